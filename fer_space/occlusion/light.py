"""How light falls on what is worn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.occlusion.layers import Plane

_THINNEST = 0.7  # pixels: half a soft line
_THREAD = 0.016  # period of a weave, in sides


def ridge(distance: NDArray[np.floating[Any]], width: float, side: float) -> Plane:
    """A soft line: 1 where the distance is 0, almost 0 beyond twice the width.

    Args:
        distance: float (h, w), from the line, in sides.
        width: in sides; a line thinner than a pixel is drawn a pixel wide and fainter.
        side: of the face, in pixels.
    """
    wide = max(width, _THINNEST / side)
    return np.asarray(width / wide * np.exp(-np.minimum((distance / wide) ** 2, 30.0)), dtype=np.float32)


def woven(x: Plane, y: Plane, side: float) -> Plane:
    """The relief of threads at places of the face's frame: float32 (h, w), -0.05 to 0.05.

    It fades where a thread would be thinner than two pixels; `side` is that of the face in pixels.
    """
    clear = np.float32(0.05 * np.clip((_THREAD * side - 2.0) / 2.0, 0.0, 1.0))
    turn = np.float32(2.0 * np.pi / _THREAD)
    return np.asarray(clear * np.sin(turn * x) * np.sin(turn * y), dtype=np.float32)
