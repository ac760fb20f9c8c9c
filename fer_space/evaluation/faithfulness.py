"""Whether an attention map tells the truth: deletion and insertion (Petsiuk et al. 2018, arXiv 1806.07421).

Deletion hides the pixels of a face from the hottest to the coldest and watches the probability of the answer
fall; insertion shows them in the same order on a face of which nothing can be made out. A map that tells the
truth falls early and rises early. Hidden pixels come from the blurred face.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as pictures_of

from fer_space.evaluation.metrics import DIGITS
from fer_space.model import Model

Read = Callable[[Tensor], NDArray[np.float64]]  # pictures uint8 (N, C, H, W) -> probabilities (N, K)
STEPS = 10
RESAMPLES = 2000
RIVALS = ("centre", "random")
_BLUR = 0.12  # of the hidden face, in parts of its side, as in fer_space.explain.sensitivity
_BLOB = 0.25  # standard deviation of the centre blob, in parts of the side
_ROUGH = 4  # cells a side of a random map before it is enlarged


@dataclass(frozen=True, eq=False)
class Curves:
    """Probability of the answer, float64 (N, STEPS + 1) each, from nothing done to everything done.

    Attributes:
        deletion: while the hottest pixels are hidden.
        insertion: while the hottest pixels are shown.
    """

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]

    @property
    def net(self) -> NDArray[np.float64]:
        """Area under insertion less area under deletion, float64 (N,) in [-1, 1]: the more the better."""
        return area(self.insertion) - area(self.deletion)


def area(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the area under curves float64 (N, S) over the share of pixels, by trapezoids: float64 (N,)."""
    return np.asarray((curve[:, 1:] + curve[:, :-1]).mean(axis=1) / 2.0, dtype=np.float64)


def trace(
    read: Read, pictures: Tensor, heat: Tensor, columns: NDArray[np.int64], steps: int = STEPS
) -> Curves:
    """Follow the probability of one class a picture while its pixels are hidden and shown.

    Args:
        read: gives probabilities of pictures.
        pictures: uint8 (N, C, H, W).
        heat: float (N, h, w), enlarged to the pictures; equal pixels go in reading order.
        columns: int64 (N,), the class that is watched.
        steps: of equal shares of the pixels.
    """
    side = pictures.shape[-1]
    kernel = 2 * round(2 * _BLUR * side) + 1
    blurred = pictures_of.gaussian_blur(pictures, [kernel, kernel], [_BLUR * side])
    enlarged = functional.interpolate(heat[:, None].float(), pictures.shape[-2:], mode="bilinear")
    # The rank of each pixel among those of its picture, hottest first: the inverse of the sorting order.
    ranks = enlarged.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    ranks = ranks.view(len(pictures), 1, *pictures.shape[-2:])  # (N, 1, H, W)
    rows = np.arange(len(pictures))
    deletion, insertion = [], []
    for step in range(steps + 1):
        hot = ranks < round(ranks[0].numel() * step / steps)
        deletion.append(read(torch.where(hot, blurred, pictures))[rows, columns])
        insertion.append(read(torch.where(hot, pictures, blurred))[rows, columns])
    return Curves(np.stack(deletion, axis=1), np.stack(insertion, axis=1))


def measure(model: Model, pictures: Tensor, methods: Sequence[str]) -> dict[str, Any]:
    """Measure a model's maps of its own answers beside a blob in the middle and random maps.

    Faces are read without their mirror images, to save time; maps are averaged with those of mirror images.

    Args:
        model: one that has maps.
        pictures: uint8 (N, C, n, n) that `Model.reduce` made.
        methods: of the maps (`fer_space.explain.library.METHODS`).

    Returns:
        By method, the default under its own name, and by rival, the mean areas `deletion` and `insertion`;
        for each method also how far it is `ahead_of_centre` and `ahead_of_random`: the difference of
        `Curves.net` with its 95 % interval.
    """

    def read(given: Tensor) -> NDArray[np.float64]:
        return np.nan_to_num(model.predict_reduced(given, flip=False).probabilities)

    columns, side, rows = read(pictures).argmax(axis=1), pictures.shape[-1], np.arange(len(pictures))
    heat = {"centre": centre_blob(len(pictures), side), "random": random_maps(len(pictures), side)}
    own = {model.method(method): method for method in methods}
    for name, method in own.items():
        maps = model.predict_reduced(pictures, maps=method).maps
        assert maps is not None
        heat[name] = torch.from_numpy(maps[rows, columns])
    curves = {which: trace(read, pictures, given, columns) for which, given in heat.items()}
    record: dict[str, Any] = {
        which: {
            "deletion": round(float(area(curve.deletion).mean()), 4),
            "insertion": round(float(area(curve.insertion).mean()), 4),
        }
        for which, curve in curves.items()
    }
    for name in own:
        for rival in RIVALS:
            verdict = compare(curves[name], curves[rival])
            record[name][f"ahead_of_{rival}"] = [verdict.value, verdict.low, verdict.high]
    return record


def centre_blob(count: int, side: int) -> Tensor:
    """Make the map of somebody who has seen no picture: a Gaussian, float32 (count, side, side)."""
    places = (torch.arange(side) + 0.5) / side - 0.5
    squared = places[:, None].square() + places[None].square()
    return torch.exp(-squared / (2 * _BLOB**2)).expand(count, side, side)


def random_maps(count: int, side: int, seed: int = 0) -> Tensor:
    """Make smooth maps that know nothing, float32 (count, side, side) in [0, 1], the same for equal seeds."""
    rough = torch.rand(count, 1, _ROUGH, _ROUGH, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(rough, (side, side), mode="bilinear")[:, 0]


@dataclass(frozen=True)
class Verdict:
    """How far a map is ahead of another in `Curves.net`, its mean and 95 % interval over the faces."""

    value: float
    low: float
    high: float

    @property
    def ahead(self) -> bool:
        """Whether it is better beyond chance."""
        return self.low > 0.0


def compare(map_curves: Curves, other: Curves, seed: int = 0) -> Verdict:
    """Measure how far a map is ahead of another on the same faces, with a bootstrap interval over them."""
    differences = map_curves.net - other.net
    picks = np.random.default_rng(seed).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[picks].mean(axis=1), [0.025, 0.975])
    return Verdict(*(round(float(number), DIGITS) for number in (differences.mean(), low, high)))
