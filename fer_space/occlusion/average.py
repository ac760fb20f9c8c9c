"""The 68 landmarks of an average FERPlus training face, for pictures that are framed like it.

Medians over 1,491 of the first 1,500 training faces, left and right averaged, in parts of the picture's side,
by benchmarks/measure_template.py. The chin lies below the picture. The jaw line is that of the first
measurement, on which masks were trained: it is 0.001 off in three values.
"""

import numpy as np
from numpy.typing import NDArray

# Where each landmark lies in a mirror: jaw, brows, nose bridge, nostrils, eyes, lips.
MIRROR = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)

# By the number of a row's first landmark: its left half and middle, x in the first line, y in the second.
_HALF: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    0: (
        (0.096, 0.101, 0.115, 0.137, 0.177, 0.238, 0.316, 0.401, 0.5),
        (0.397, 0.505, 0.611, 0.716, 0.814, 0.901, 0.975, 1.034, 1.051),
    ),
    17: ((0.163, 0.215, 0.284, 0.357, 0.428), (0.313, 0.272, 0.26, 0.27, 0.298)),
    27: ((0.5, 0.5, 0.5, 0.5), (0.384, 0.452, 0.52, 0.591)),
    31: ((0.417, 0.457, 0.5), (0.64, 0.654, 0.666)),
    36: ((0.245, 0.289, 0.344, 0.391, 0.341, 0.287), (0.392, 0.367, 0.368, 0.403, 0.413, 0.412)),
    48: ((0.343, 0.397, 0.457, 0.5), (0.775, 0.744, 0.732, 0.742)),
    57: ((0.5, 0.454, 0.396), (0.868, 0.862, 0.836)),
    60: ((0.367, 0.457, 0.5), (0.777, 0.766, 0.77)),
    66: ((0.5, 0.456), (0.815, 0.81)),
}


def _whole() -> NDArray[np.float64]:
    points = np.empty((68, 2))
    for first, (x, y) in _HALF.items():
        for i, (left, down) in enumerate(zip(x, y, strict=True), first):
            points[MIRROR[i]] = 1.0 - left, down
            points[i] = left, down
    return points


AVERAGE = _whole()
AVERAGE.setflags(write=False)
TEMPLATE_JAW = AVERAGE[2:9]  # the left half of what a mask hangs on
TEMPLATE_BRIDGE = AVERAGE[28:30]
