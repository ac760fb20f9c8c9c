"""How light falls on what is worn."""

import numpy as np

from fer_space.occlusion.layers import Plane

_THREAD = 0.016  # period of a weave, in sides


def ridge(distance: Plane, width: float) -> Plane:
    """A soft line: 1 where the distance is 0, almost 0 beyond twice the width."""
    return np.asarray(np.exp(-np.minimum((distance / width) ** 2, 30.0)), dtype=np.float32)


def woven(x: Plane, y: Plane, side: float) -> Plane:
    """The relief of threads at places of the face's frame: float32 (h, w), -0.05 to 0.05.

    It fades where a thread would be thinner than two pixels; `side` is that of the face in pixels.
    """
    clear = np.float32(0.05 * np.clip((_THREAD * side - 2.0) / 2.0, 0.0, 1.0))
    turn = np.float32(2.0 * np.pi / _THREAD)
    return np.asarray(clear * np.sin(turn * x) * np.sin(turn * y), dtype=np.float32)
