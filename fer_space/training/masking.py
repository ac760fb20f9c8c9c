"""Masks worn on training faces: `sample` decides, `apply` does.

Training faces are framed alike, so the mask of an average face fits most of them and no landmarks are
needed (`fer_space.occlusion.template_mask`). `UpperFace` is the other way to read a masked face: leave the
mask out.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fer_space.occlusion import UPPER_SHARE, template_mask
from fer_space.training.params import Params

MARGIN = 0.25  # of the side, around the picture, where a moved mask goes on


@dataclass(frozen=True, eq=False)
class MaskParams(Params):
    """What was sampled for a batch of B pictures.

    Attributes:
        worn: bool (B,), who wears a mask.
        affine: float (B, 2, 3), maps positions in the face to positions on the template, both in [-1, 1].
        gray: float (B, 1, 1, 1), brightness of the cloth, 0 to 255.
        opacity: float (B, 1, 1, 1) in [0, 1].
        relief: float (B, 1, 1, 1), strength of pleats and shading; 0 is flat, 1 that of `draw_mask`.
    """

    worn: Tensor
    affine: Tensor
    gray: Tensor
    opacity: Tensor
    relief: Tensor


@dataclass(frozen=True)
class Masking:
    """Put masks on faces.

    Attributes:
        share: probability that a face wears one.
        rotate: largest turn against the template, in degrees.
        zoom, shift: largest change of scale (share), and largest move in parts of the side.
        native_size: pixels a side in which the mask is drawn before it is enlarged: those of the faces, so
            that its edge is as soft as theirs (`fer_space.vision.preprocess.Preprocess`).
    """

    share: float
    rotate: float = 8.0
    zoom: float = 0.1
    shift: float = 0.04
    native_size: int = 48

    def sample(self, count: int, rng: torch.Generator) -> MaskParams:
        """Sample for `count` pictures from `rng`; nothing else is random."""

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(count, generator=rng)

        worn = torch.rand(count, generator=rng) < self.share
        angle = torch.deg2rad(between(-self.rotate, self.rotate))
        scale = torch.exp(between(-self.zoom, self.zoom))
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        shift_x, shift_y = (between(-self.shift * 2, self.shift * 2) for _ in range(2))
        affine = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], dim=1).view(count, 2, 3)
        levels = [between(25.0, 245.0), between(0.97, 1.0), between(0.3, 1.3)]
        return MaskParams(worn, affine, *(level.view(-1, 1, 1, 1) for level in levels))

    def apply(self, pictures: Tensor, params: MaskParams, framing: Tensor | None = None) -> Tensor:
        """Put on the masks.

        Args:
            pictures: float (B, C, S, S), values 0 to 255, framed like FERPlus.
            params: of these rows.
            framing: float (B, 2, 3), the `affine` of the augmentation that the pictures have gone through
                (`fer_space.training.augment.LookParams`), so that the masks turn and move with the faces.

        Returns:
            New pictures float (B, C, S, S), 0 to 255; faces without a mask keep their values.
        """
        affine = params.affine if framing is None else _compose(params.affine, framing)
        texture = _texture(self.native_size, pictures.device)
        count, size = len(pictures), pictures.shape[-1]
        grid = functional.affine_grid(affine, [count, 1, size, size], align_corners=False)
        grid = grid * (self.native_size / texture.shape[-1])  # the template's canvas has a margin
        sampled = functional.grid_sample(
            texture.expand(count, -1, -1, -1), grid, mode="bilinear", align_corners=False
        )
        coverage, shade = sampled[:, :1], sampled[:, 1:]
        cloth = (params.gray * (1.0 + params.relief * (shade - 1.0))).clamp(0.0, 255.0)
        opacity = params.opacity * params.worn.view(-1, 1, 1, 1)  # a GPU need not know who wears one
        return torch.lerp(pictures, cloth.expand_as(pictures), coverage * opacity)


@dataclass(frozen=True, eq=False)
class UpperParams(Params):
    """Which of a batch of B pictures are cut: bool (B,)."""

    cut: Tensor


@dataclass(frozen=True)
class UpperFace:
    """Cut the lower part of faces off and stretch the rest, as `fer_space.occlusion.upper_face` does.

    Attributes:
        share: probability that a face is cut.
    """

    share: float

    def sample(self, count: int, rng: torch.Generator) -> UpperParams:
        """Sample for `count` pictures from `rng`; nothing else is random."""
        return UpperParams(torch.rand(count, generator=rng) < self.share)

    def apply(self, pictures: Tensor, params: UpperParams) -> Tensor:
        """Cut pictures float (B, C, S, S) into new ones; faces that are not cut keep their values."""
        size = pictures.shape[-1]
        rows = max(round(size * UPPER_SHARE), 1)
        upper = functional.interpolate(pictures[:, :, :rows], (size, size), mode="bilinear")
        return torch.where(params.cut.view(-1, 1, 1, 1), upper, pictures)


@lru_cache(maxsize=4)
def _texture(side: int, device: torch.device) -> Tensor:
    """Coverage and shade of the template's mask on its canvas, float32 (1, 2, n, n)."""
    return torch.from_numpy(np.stack(template_mask(side, round(side * MARGIN)))).unsqueeze(0).to(device)


def _compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The affine maps outer(inner(x)), each float (B, 2, 3)."""
    linear = outer[:, :, :2] @ inner
    return torch.cat([linear[:, :, :2], linear[:, :, 2:] + outer[:, :, 2:]], dim=2)
