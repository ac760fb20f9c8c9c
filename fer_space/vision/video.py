"""Frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video or camera.

    Attributes:
        number: of the frame, from 0.
        time: in seconds from the start.
        image_rgb: uint8 (H, W, 3), upright.
    """

    number: int
    time: float
    image_rgb: NDArray[np.uint8]
