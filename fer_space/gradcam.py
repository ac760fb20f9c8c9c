"""Grad-CAM for every emotion from one forward of the body.

Selvaraju et al. 2017, arXiv 1610.02391. The body's features are cut off from its graph, the head runs once
with gradients, and one small gradient through the head per emotion gives the weight of each channel. No
hook is registered and nothing of the backbone is touched, so any number of threads may do this at once.
"""

import torch
from torch import Tensor, nn

from fer_space.backbones.base import Output

METHOD = "grad-cam"


def attend(head: nn.Module, features: Tensor) -> tuple[Output, Tensor]:
    """Run the head and explain each of its logits.

    Args:
        head: features -> Output.
        features: float (B, C, h, w), the body's output.

    Returns:
        The head's output, detached, and maps float (B, K, h, w) in [0, 1], the largest value of each
        map being 1 unless the map is 0 everywhere.
    """
    with torch.enable_grad():
        features = features.detach().requires_grad_(True)
        output: Output = head(features)
        columns = output.logits.sum(dim=0).unbind()
        maps = [_map(torch.autograd.grad(c, features, retain_graph=True)[0], features) for c in columns]
    affect = None if output.affect is None else output.affect.detach()
    return Output(output.logits.detach(), affect), torch.stack(maps, dim=1)


@torch.no_grad()
def _map(gradient: Tensor, features: Tensor) -> Tensor:
    """Gradient and features (B, C, h, w) -> map (B, h, w) in [0, 1]; equations 1 and 2 of the paper."""
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    raw = torch.relu((weights * features).sum(dim=1))
    raw = raw - raw.amin(dim=(1, 2), keepdim=True)
    peak = raw.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0.0, raw / peak, raw)
