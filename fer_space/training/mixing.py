"""Mixing two pictures and their targets: `sample` decides, `apply` does.

    mix = MIXES["cutmix"]()
    params = mix.sample(len(pictures), size, rng)
    mixed, targets = mix.apply(pictures, targets, pictures[params.partner], targets[params.partner], params)

A is the picture itself, B its partner. Inputs are never written to. Everything is sampled a picture, so that
one batch holds many strengths of mixing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fer_space.explain.library import GRID, to_grid, top_cells
from fer_space.training.attention import percent_map
from fer_space.training.params import Params

Needs = Literal["", "own", "guide"]


@dataclass(frozen=True, eq=False)
class MixParams(Params):
    """What was sampled for a batch of B pictures.

    Attributes:
        partner: int64 (B,), position in the batch of the picture that is mixed in. Batches are shuffled, so
            the neighbour before it will do; it is never the picture itself in a batch of two or more.
        weight: float (B,) in [0, 1], what the picture itself weighs in its target: the lambda of mixup, the
            share of real pixels that a box leaves. 1 leaves the picture as it is.
        boxes: int64 (B, 4), left, top, right, bottom in pixels (right and bottom exclusive), where A is
            covered; empty where the picture is left as it is.
        partner_boxes: int64 (B, 4), what part of B covers it.
    """

    partner: Tensor
    weight: Tensor
    boxes: Tensor
    partner_boxes: Tensor


class Rows(NamedTuple):
    """One side of a mixture: pictures float (B, C, S, S), targets float (B, K), maps float (B, h, w)."""

    pictures: Tensor
    targets: Tensor
    maps: Tensor


class Mix(ABC):
    """Mix pictures in one way. `needs` names its maps: none, of the network itself, of a trained one."""

    needs: ClassVar[Needs] = ""

    @abstractmethod
    def sample(self, count: int, size: int, rng: torch.Generator) -> MixParams:
        """Sample for `count` pictures of `size` x `size` pixels from `rng`; nothing else is random."""

    def apply(
        self,
        pictures_a: Tensor,
        targets_a: Tensor,
        pictures_b: Tensor,
        targets_b: Tensor,
        params: MixParams,
        maps_a: Tensor | None = None,
        maps_b: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mix B into A as sampled.

        Args:
            pictures_a: float (B, C, S, S).
            targets_a: float (B, K).
            pictures_b: float (B, C, S, S), the partner of each row.
            targets_b: float (B, K).
            params: of these rows.
            maps_a: float (B, h, w), at least 0, of each picture's class; where `needs` is "own".
            maps_b: likewise, of the partners; where `needs` is not "".

        Returns:
            New pictures float (B, C, S, S) and targets float (B, K). Raises ValueError when maps are missing.
        """
        if (self.needs and maps_b is None) or (self.needs == "own" and maps_a is None):
            raise ValueError(f"{type(self).__name__} needs attention maps")
        none = pictures_a.new_zeros(len(pictures_a), 1, 1)
        side_a = Rows(pictures_a, targets_a.float(), none if maps_a is None else maps_a)
        side_b = Rows(pictures_b, targets_b.float(), none if maps_b is None else maps_b)
        return self._mix(side_a, side_b, params)

    @abstractmethod
    def _mix(self, a: Rows, b: Rows, params: MixParams) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Mixup(Mix):
    """Average two pictures and their targets by a weight (Zhang et al. 2018, arXiv 1710.09412).

    Attributes:
        alpha: lambda is sampled from Beta(alpha, alpha); the paper takes .1 to .4.
        share: probability that a picture is mixed.
    """

    alpha: float = 0.2
    share: float = 1.0

    def sample(self, count: int, size: int, rng: torch.Generator) -> MixParams:
        """Sample lambda for each picture."""
        weight = _beta(self.alpha, count, rng)
        return _without_boxes(torch.where(torch.rand(count, generator=rng) < self.share, weight, 1.0))

    def _mix(self, a: Rows, b: Rows, params: MixParams) -> tuple[Tensor, Tensor]:
        return _blend(a.pictures, b.pictures, params.weight), _blend(a.targets, b.targets, params.weight)


@dataclass(frozen=True)
class CutMix(Mix):
    """Paste a box of B at the same place in A (Yun et al. 2019, arXiv 1905.04899).

    Attributes:
        alpha: a box covers 1 - lambda of the picture before it is clipped, lambda from Beta(alpha, alpha).
        share: probability that a picture is mixed; the authors' code takes .5 for small pictures (CIFAR).
    """

    alpha: float = 1.0
    share: float = 0.5

    def sample(self, count: int, size: int, rng: torch.Generator) -> MixParams:
        """Sample a box for each picture."""
        boxes = _sample_boxes(_beta(self.alpha, count, rng), size, rng)
        boxes = boxes * (torch.rand(count, 1, generator=rng) < self.share)
        return _with_boxes(boxes, boxes, size)

    def _mix(self, a: Rows, b: Rows, params: MixParams) -> tuple[Tensor, Tensor]:
        mixed = torch.where(_inside(params.boxes, a.pictures.shape[-1]), b.pictures, a.pictures)
        return mixed, _blend(a.targets, b.targets, params.weight)


@dataclass(frozen=True)
class SnapMix(Mix):
    """Resize a box of B into a box of A, weighed by what they mean (Huang et al. 2021, arXiv 2012.04846).

    Both boxes are sampled on their own. A keeps rho_a, what its percent map holds outside its box; B brings
    rho_b, what its own holds inside its box. The two need not sum to 1, so rows of the targets need not
    either: cross entropy with rho_a y_a + rho_b y_b is the paper's rho_a CE(y_a) + rho_b CE(y_b), and
    equal classes add up by themselves. Where a map is empty, the area of A's box counts instead. The maps are
    Grad-CAM's, which cuts evidence against a class off at 0; the paper's keep it until the minimum is taken.

    Attributes:
        alpha: of Beta(alpha, alpha), from which the size of each box is sampled, as in CutMix.
        share: probability that a picture is mixed; the authors' code takes 1.
    """

    needs: ClassVar[Needs] = "own"
    alpha: float = 5.0
    share: float = 1.0

    def sample(self, count: int, size: int, rng: torch.Generator) -> MixParams:
        """Sample both boxes for each picture; where one has no pixel the other is emptied too."""
        boxes = _sample_boxes(_beta(self.alpha, count, rng), size, rng)
        partner_boxes = _sample_boxes(_beta(self.alpha, count, rng), size, rng)
        mixed = (torch.rand(count, generator=rng) < self.share) & (_area(boxes) * _area(partner_boxes) > 0)
        return _with_boxes(boxes * mixed.unsqueeze(1), partner_boxes * mixed.unsqueeze(1), size)

    def _mix(self, a: Rows, b: Rows, params: MixParams) -> tuple[Tensor, Tensor]:
        size = a.pictures.shape[-1]
        mixed = torch.where(_inside(params.boxes, size), _fitted(b.pictures, params), a.pictures)
        rho_a = 1.0 - _meaning(a.maps, params.boxes, size, otherwise=1.0 - params.weight)
        rho_b = _meaning(b.maps, params.partner_boxes, size, otherwise=1.0 - params.weight)
        return mixed, rho_a.unsqueeze(1) * a.targets + rho_b.unsqueeze(1) * b.targets


@dataclass(frozen=True)
class AttentiveCutMix(Mix):
    """Paste the most attended cells of B at the same place in A (Walawalkar et al. 2020, arXiv 2003.13048).

    B weighs cells / 49 in the target. Where 7 does not divide the side, cells differ by a pixel. A partner
    with an empty map has no attended cell, and the picture is left as it is. The map of a small network has
    fewer cells (EfficientNet-Lite0 sees 3 x 3 at 96 px) and is enlarged, so that the best cells lie together.

    Attributes:
        cells: how many of the 7 x 7 cells are pasted; the paper found 6 best.
        share: probability that a picture is mixed.
    """

    needs: ClassVar[Needs] = "guide"
    cells: int = 6
    share: float = 0.5

    def sample(self, count: int, size: int, rng: torch.Generator) -> MixParams:
        """Sample which pictures are mixed; the maps decide the rest."""
        weight = 1.0 - self.cells / GRID**2
        return _without_boxes(torch.where(torch.rand(count, generator=rng) < self.share, weight, 1.0))

    def _mix(self, a: Rows, b: Rows, params: MixParams) -> tuple[Tensor, Tensor]:
        peaks = b.maps.amax(dim=(1, 2))
        weight = torch.where(peaks.isfinite() & (peaks > 0.0), params.weight, 1.0)
        pasted = top_cells(to_grid(b.maps), self.cells) & (weight < 1.0).view(-1, 1, 1)
        cell_of = torch.arange(a.pictures.shape[-1], device=pasted.device) * GRID // a.pictures.shape[-1]
        mask = pasted[:, cell_of[:, None], cell_of].unsqueeze(1)
        return torch.where(mask, b.pictures, a.pictures), _blend(a.targets, b.targets, weight)


MIXES: dict[str, Callable[..., Mix]] = {
    "mixup": Mixup,
    "cutmix": CutMix,
    "snapmix": SnapMix,
    "attentive-cutmix": AttentiveCutMix,
}


def _without_boxes(weight: Tensor) -> MixParams:
    none = torch.zeros(len(weight), 4, dtype=torch.int64)
    return MixParams(torch.arange(len(weight)).roll(1), weight, none, none)


def _with_boxes(boxes: Tensor, partner_boxes: Tensor, size: int) -> MixParams:
    return MixParams(torch.arange(len(boxes)).roll(1), 1.0 - _area(boxes) / size**2, boxes, partner_boxes)


def _beta(alpha: float, count: int, rng: torch.Generator) -> Tensor:
    """Beta(alpha, alpha), float (B,). torch's own takes no generator, so `rng` seeds NumPy's."""
    seed = int(torch.randint(2**62, (), generator=rng))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


def _sample_boxes(weight: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Boxes int64 (B, 4) of 1 - weight of the picture around random pixels, clipped at its edges."""
    centre = torch.randint(size, (len(weight), 2), generator=rng)
    half = (0.5 * (1.0 - weight).sqrt() * size).long().unsqueeze(1)
    return torch.cat([(centre - half).clamp(min=0), (centre + half).clamp(max=size)], dim=1)


def _area(boxes: Tensor) -> Tensor:
    """Pixels in each box, int64 (B,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _inside(boxes: Tensor, size: int) -> Tensor:
    """Mask bool (B, 1, size, size) of the pixels of each box."""
    index = torch.arange(size, device=boxes.device)
    left, top, right, bottom = boxes.unsqueeze(2).unbind(1)
    across, down = (index >= left) & (index < right), (index >= top) & (index < bottom)
    return (down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1)


def _blend(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Rows of A times `weight` float (B,) plus those of B times the rest."""
    weight = weight.view(-1, *[1] * (a.ndim - 1))
    return a * weight + b * (1.0 - weight)


def _meaning(maps: Tensor, boxes: Tensor, size: int, otherwise: Tensor) -> Tensor:
    """Share of each map's meaning inside its box, float (B,); `otherwise` for an empty map."""
    percent = percent_map(maps, size)
    share = (percent * _inside(boxes, size).squeeze(1)).sum(dim=(1, 2)).clamp(0.0, 1.0)
    empty = percent.amin(dim=(1, 2)) > 0.0  # see percent_map: only a flat one has no zero
    return torch.where(empty, otherwise, share)


def _fitted(pictures_b: Tensor, params: MixParams) -> Tensor:
    """B resized so that its box fills A's box, bilinear, and reads no pixel outside its own box."""
    size = pictures_b.shape[-1]
    columns = _positions(params.boxes[:, [0, 2]], params.partner_boxes[:, [0, 2]], size)
    rows = _positions(params.boxes[:, [1, 3]], params.partner_boxes[:, [1, 3]], size)
    across, down = columns.unsqueeze(1).expand(-1, size, -1), rows.unsqueeze(2).expand(-1, -1, size)
    grid = torch.stack([across, down], dim=3)
    return functional.grid_sample(pictures_b, grid.to(pictures_b), mode="bilinear", align_corners=False)


def _positions(ends: Tensor, source_ends: Tensor, size: int) -> Tensor:
    """Where pixel 0 to size - 1 of A reads in B along one axis, float (B, size) in [-1, 1].

    Ends are int64 (B, 2), first and past-the-last pixel of A's box and of B's.
    """
    low, high = ends.unsqueeze(2).unbind(1)
    first, last = source_ends.unsqueeze(2).unbind(1)
    along = (torch.arange(size, device=ends.device) + 0.5 - low) / (high - low).clamp(min=1)
    place = first + along * (last - first)
    inside = torch.maximum(torch.minimum(place, last - 0.5), first + 0.5)  # centres of the outer pixels
    return inside / size * 2.0 - 1.0
