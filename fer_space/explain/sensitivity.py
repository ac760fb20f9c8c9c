"""What each region of a face is worth to a backbone: slide a patch over the crop and watch the answer.

Zeiler & Fergus 2014, arXiv 1311.2901, section 4.2.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.distributions import Distributions
from fer_space.emotions import EMOTIONS

Image = NDArray[np.uint8]

CELLS = 9  # places a side
PATCH = 0.22  # side of the patch, in parts of the crop's
LEAST = 1e-300  # a smaller probability has no logarithm
_BLUR = 0.12  # of the patch's filling, in parts of the crop's side


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What each region of a face is worth to a model's answer.

    Attributes:
        backbone: the model's name.
        target: the emotion whose odds are watched: the most probable one of the free face.
        worth: float32 (n, n) in bits: when that region is covered, its odds fall by two to this power. Odds
            tell one region from another also where the probability stays near 1.
    """

    backbone: str
    target: str
    worth: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.worth.ndim != 2 or not np.isfinite(self.worth).all():
            raise ValueError("worth is (n, n), a finite number of bits each")


def worth_of(backbone: str, probabilities: Distributions) -> Sensitivity:
    """Turn the answers for a free crop and its patched copies into what each region is worth.

    Args:
        backbone: the model's name.
        probabilities: float64 (1 + n², 8), of the free crop and of `patched`, in that order.
    """
    known = np.maximum(np.nan_to_num(probabilities), LEAST)
    target = int(known[0].argmax())
    odds = np.log2(known[:, target]) - np.log2(np.delete(known, target, axis=1).sum(axis=1))
    side = round((len(known) - 1) ** 0.5)
    worth = (odds[0] - odds[1:]).astype(np.float32).reshape(side, side)
    return Sensitivity(backbone, EMOTIONS[target], worth)


def patched(crop_rgb: Image, cells: int = CELLS, patch: float = PATCH) -> list[Image]:
    """Cover a crop at every place of a grid.

    The patch shows the crop itself, blurred until nothing can be made out, so that it hides what lies there
    and adds no edge that a network has never seen.

    Args:
        crop_rgb: uint8 (S, S, 3) RGB; it is not changed.
        cells: places a side; the patches are centred on the cells of a grid.
        patch: side of the patch, in parts of the crop's, in (0, 1].

    Returns:
        cells² new pictures uint8 (S, S, 3), row by row.

    Raises:
        ValueError: there is no cell, or no patch.
    """
    if cells < 1 or not 0.0 < patch <= 1.0:
        raise ValueError(f"cells must be at least 1 and patch in (0, 1]: {cells}, {patch}")
    side = crop_rgb.shape[0]
    hidden = np.asarray(cv2.GaussianBlur(crop_rgb, (0, 0), max(side * _BLUR, 1.0)), dtype=np.uint8)
    spans = [_span((i + 0.5) / cells, patch, side) for i in range(cells)]
    covered = []
    for rows in spans:
        for columns in spans:
            picture = crop_rgb.copy()
            picture[rows, columns] = hidden[rows, columns]
            covered.append(picture)
    return covered


def _span(centre: float, patch: float, side: int) -> slice:
    first = round((centre - patch / 2) * side)
    return slice(max(first, 0), max(first + max(round(patch * side), 1), 1))
