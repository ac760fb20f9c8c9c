"""Whether a face seems to wear a mask: a logistic regression on the edges and the gray levels of its crop.

    masked_probability(crop_face(photo, face, CropRule(), SIDE).image_rgb)

The edges are a histogram of oriented gradients (Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177) in which
each cell is measured against its neighbours, so that colour and light of a mask do not matter, only where
there are edges and where there are none. `benchmarks/fit_masked.py` fits it and says how well it tells.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

SIDE = 64  # pixels of the crop
_GRID = 8  # cells a side
_ANGLES = 8
_FILE = Path(__file__).with_name("masked.safetensors")


def masked_probability(crop_rgb: NDArray[np.uint8]) -> float:
    """Tell how probable it is that a mask covers mouth and nose.

    Args:
        crop_rgb: uint8 (SIDE, SIDE, 3) RGB, a face framed by the default `CropRule`.

    Returns:
        In [0, 1], for as many faces with a mask as without.

    Example:
        >>> from fer_space.vision.imaging import load_image, resize
        >>> face = load_image("examples/astronaut.jpg")[70:175, 170:275]
        >>> masked_probability(resize(face, (SIDE, SIDE))) < 0.5
        True
    """
    weight, bias = _fitted()
    score = np.clip(edges_and_levels(crop_rgb) @ weight + bias, -50.0, 50.0)
    return float(1.0 / (1.0 + np.exp(-score)))


def edges_and_levels(crop_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Describe a crop by the directions of its edges and its gray levels, cell by cell.

    Args:
        crop_rgb: uint8 (SIDE, SIDE, 3) RGB.

    Returns:
        float32 (576,): eight directions in 8 x 8 cells against all edges around the cell, then 8 x 8 gray
        levels against the mean in units of their spread.
    """
    gray = cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    across, down = (cv2.Sobel(gray, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength = np.hypot(across, down)
    turn = np.arctan2(down, across) % np.pi * (_ANGLES / np.pi)  # in [0, 8]
    below = np.floor(turn)
    histogram = np.zeros((_ANGLES, SIDE, SIDE), np.float32)
    for angle, share in ((below, 1.0 - turn + below), (below + 1.0, turn - below)):
        np.put_along_axis(histogram, (angle.astype(int) % _ANGLES)[None], (strength * share)[None], axis=0)
    cell = SIDE // _GRID
    cells = histogram.reshape(_ANGLES, _GRID, cell, _GRID, cell).sum(axis=(2, 4))
    around = cv2.blur(cells.sum(axis=0), (3, 3)) + 1.0
    levels = cv2.resize(gray, (_GRID, _GRID), interpolation=cv2.INTER_AREA) - gray.mean()
    return np.concatenate([(cells / around).ravel(), (levels / (gray.std() + 0.05)).ravel()])


@cache
def _fitted() -> tuple[NDArray[np.float32], np.float32]:
    stored = load_file(_FILE)
    return stored["weight"], stored["bias"][0]
