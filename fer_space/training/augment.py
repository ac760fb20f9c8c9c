"""Augmentation of whole batches with tensors: `sample` decides, `apply` does.

One resampling step does rotation, zoom, shift, flip and the enlargement to the network's size, so a
48-pixel face is interpolated once only.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fer_space.training.params import Params


@dataclass(frozen=True, eq=False)
class LookParams(Params):
    """What was sampled for a batch of B pictures.

    Attributes:
        affine: float (B, 2, 3), maps output positions to input positions, both in [-1, 1].
        gain, offset: float (B, 1, 1, 1), contrast factor and brightness shift (share of 255).
        boxes: float (B, 4), the erased box as left, top, right, bottom in [0, 1]; empty where
            nothing is erased.
    """

    affine: Tensor
    gain: Tensor
    offset: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Augment:
    """Change geometry and light at random, and erase boxes.

    Attributes:
        rotate: largest turn in degrees.
        zoom: largest change of scale (share).
        shift: largest move (share of the side).
        brightness, contrast: largest change (share).
        flip: probability of mirroring.
        erase: probability that a box of 2 to 20 % of the area turns gray (Zhong et al. 2017,
            arXiv 1708.04896).
    """

    rotate: float
    zoom: float
    shift: float
    brightness: float
    contrast: float
    flip: float
    erase: float

    def sample(self, count: int, rng: torch.Generator) -> LookParams:
        """Sample for `count` pictures from `rng`; nothing else is random."""

        def spread(limit: float) -> Tensor:
            return (torch.rand(count, generator=rng) * 2 - 1) * limit

        angle = torch.deg2rad(spread(self.rotate))
        scale = torch.exp(spread(self.zoom))
        mirror = torch.where(torch.rand(count, generator=rng) < self.flip, -1.0, 1.0)
        cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
        shift_x, shift_y = spread(self.shift * 2), spread(self.shift * 2)
        rows = [cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y]
        affine = torch.stack(rows, dim=1).view(count, 2, 3)
        gain = (1 + spread(self.contrast)).view(-1, 1, 1, 1)
        offset = spread(self.brightness).view(-1, 1, 1, 1)
        return LookParams(affine, gain, offset, self._sample_boxes(count, rng))

    def _sample_boxes(self, count: int, rng: torch.Generator) -> Tensor:
        area = 0.02 + 0.18 * torch.rand(count, generator=rng)
        ratio = torch.exp((torch.rand(count, generator=rng) * 2 - 1) * 1.1)
        size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).clamp(max=1.0)
        corner = torch.rand(count, 2, generator=rng) * (1 - size)
        size = size * (torch.rand(count, 1, generator=rng) < self.erase)
        return torch.cat([corner, corner + size], dim=1)

    def apply(self, pictures: Tensor, params: LookParams, size: int) -> Tensor:
        """Move, light and erase pictures.

        Args:
            pictures: (B, C, h, w), values 0 to 255.
            params: of these rows.
            size: side in pixels of what comes out.

        Returns:
            float (B, C, size, size), values 0 to 255.
        """
        shape = [len(pictures), pictures.shape[1], size, size]
        grid = functional.affine_grid(params.affine, shape, align_corners=False)
        moved = functional.grid_sample(
            pictures.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        mean = moved.mean(dim=(1, 2, 3), keepdim=True)
        lit = (moved - mean) * params.gain + mean + params.offset * 255.0
        return torch.where(_inside(params.boxes, size), mean, lit).clamp(0.0, 255.0)


def _inside(boxes: Tensor, size: int) -> Tensor:
    """Mask bool (B, 1, size, size) of the pixel centres inside each box."""
    centres = (torch.arange(size, device=boxes.device) + 0.5) / size
    left, top, right, bottom = boxes.unbind(1)
    across = (centres >= left[:, None]) & (centres < right[:, None])
    down = (centres >= top[:, None]) & (centres < bottom[:, None])
    return (down[:, :, None] & across[:, None, :]).unsqueeze(1)
