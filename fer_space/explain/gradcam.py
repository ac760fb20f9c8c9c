"""Grad-CAM for every emotion from one forward of the body.

Selvaraju et al. 2017, arXiv 1610.02391. The head alone says how much each channel of the body's features
matters to each emotion (`Head.importance`). No hook is registered and nothing of the backbone is touched, so
any number of threads may do this at once.
"""

import torch
from torch import Tensor

from fer_space.backbones.base import Head, Output

METHOD = "grad-cam"


@torch.no_grad()
def attend(head: Head, features: Tensor) -> tuple[Output, Tensor]:
    """Run the head and explain each of its logits.

    Args:
        head: features -> Output.
        features: float (B, C, h, w), the body's output.

    Returns:
        The head's output, detached, and the maps of `maps_of`.
    """
    output, weights = head.importance(features)
    return output, maps_of(head, features, weights)


@torch.no_grad()
def maps_of(head: Head, features: Tensor, weights: Tensor) -> Tensor:
    """Weigh the channels of features.

    Args:
        head: knows how many views of a face the features hold, and where they lie.
        features: float (B, C, h, w), the body's output.
        weights: float (B, K, C), how much each channel matters to each class.

    Returns:
        Maps float (B, K, h', w') in [0, 1], the largest value of each map being 1 unless the map is 0
        everywhere; h' and w' are h and w unless the head says otherwise.
    """
    by_view = torch.unflatten(features.detach(), 1, (head.views, -1))
    evidence = torch.einsum("bkvc,bvchw->bkvhw", torch.unflatten(weights, 2, (head.views, -1)), by_view)
    maps = scaled(head.lay(evidence.flatten(0, 1)))
    return torch.unflatten(maps, 0, weights.shape[:2])


def scaled(evidence: Tensor) -> Tensor:
    """A class's evidence (B, h, w) -> map (B, h, w) in [0, 1]; the ReLU is that of the paper's equation 2."""
    raw = torch.relu(evidence)
    raw = raw - raw.amin(dim=(1, 2), keepdim=True)
    peak = raw.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0.0, raw / peak, raw)
