"""Attention maps of a network in training, which steer mixing; those of a trained one are `Model.class_maps`.

Both come from `fer_space.explain.maps.attend`, the code behind the maps of the app. Maps are float (B, h,
w) with values of at least 0; a map that is 0 everywhere or not finite is called empty.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.base import Backbone
from fer_space.explain.maps import GRAD_CAM, attend

NOISE = 1e-5  # a map that varies by less than this share of its peak is flat but for rounding


def class_maps(backbone: Backbone, inputs: Tensor, classes: Tensor | None = None) -> Tensor:
    """Read one class's Grad-CAM map a picture, in evaluation mode; every module's mode is restored.

    Args:
        backbone: any network; no gradient of its weights and no running statistic changes.
        inputs: float (B, 3, S, S), normalised.
        classes: int64 (B,), whose map is wanted; None takes each picture's most probable class.

    Returns:
        float (B, h, w) in [0, 1], h and w those of the body's features.
    """
    with torch.no_grad(), _reading(backbone):
        output, maps = attend(backbone.head, backbone.body(inputs), GRAD_CAM)
    chosen = output.logits.argmax(dim=1) if classes is None else classes
    return maps[torch.arange(len(maps), device=maps.device), chosen]


def percent_map(maps: Tensor, size: int) -> Tensor:
    """Turn maps into semantic percent maps for SnapMix (Huang et al. 2021, arXiv 2012.04846).

    The map is enlarged, its minimum taken off, and divided by its sum. So the smallest value is exactly 0,
    except for an empty or constant map: there every pixel counts alike, 1 / size².

    Args:
        maps: float (B, h, w).
        size: side in pixels of the pictures.

    Returns:
        float32 (B, size, size), at least 0, each map summing to 1.
    """
    enlarged = functional.interpolate(maps.float().unsqueeze(1), (size, size), mode="bilinear").squeeze(1)
    raised = enlarged - enlarged.amin(dim=(1, 2), keepdim=True)
    total = raised.sum(dim=(1, 2), keepdim=True)
    varies = raised.amax(dim=(1, 2), keepdim=True) > NOISE * enlarged.amax(dim=(1, 2), keepdim=True)
    usable = total.isfinite() & (total > 0.0) & varies
    return torch.where(usable, raised / total, 1.0 / size**2)


@contextmanager
def _reading(network: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while. Some modules may be frozen already, so each gets its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
