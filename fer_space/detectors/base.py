"""What a face detector is."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fer_space.types import Face


class Detector(Protocol):
    """Finds faces. One instance serves all threads: it keeps no state between calls.

    Attributes:
        sure: the score from which a face is taken to stand upright; below it, it is looked at in four turns.
        fair: the score that a face must have which only a closer look, or one at the picture turned, shows:
            many looks see many things.
    """

    sure: float
    fair: float

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Return the faces of a picture, uint8 (H, W, 3) RGB, in any order; none is a normal answer."""
        ...
