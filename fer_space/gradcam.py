"""Grad-CAM for every emotion from one forward of the body.

Selvaraju et al. 2017, arXiv 1610.02391. The body's features are cut off from its graph, the head runs once
with gradients, and one small gradient through the head per emotion gives the weight of each channel. No
hook is registered and nothing of the backbone is touched, so any number of threads may do this at once.
"""

import torch
from torch import Tensor

from fer_space.backbones.base import Head, Output

METHOD = "grad-cam"


def attend(head: Head, features: Tensor) -> tuple[Output, Tensor]:
    """Run the head and explain each of its logits.

    Args:
        head: features -> Output.
        features: float (B, C, h, w), the body's output.

    Returns:
        The head's output, detached, and maps float (B, K, h', w') in [0, 1], the largest value of each
        map being 1 unless the map is 0 everywhere; h' and w' are h and w unless the head says otherwise.
    """
    with torch.enable_grad():
        features = features.detach().requires_grad_(True)
        output: Output = head(features)
        columns = output.logits.sum(dim=0).unbind()
        gradients = [torch.autograd.grad(c, features, retain_graph=True)[0] for c in columns]
    with torch.no_grad():
        maps = [scaled(_evidence(head, gradient, features)) for gradient in gradients]
    affect = None if output.affect is None else output.affect.detach()
    return Output(output.logits.detach(), affect), torch.stack(maps, dim=1)


def _evidence(head: Head, gradient: Tensor, features: Tensor) -> Tensor:
    """Where on the face the evidence for a class lies, (B, h', w'): equation 1 of the paper."""
    weighted = gradient.mean(dim=(2, 3), keepdim=True) * features
    return head.lay(torch.unflatten(weighted, 1, (head.views, -1)).sum(dim=2))


def scaled(evidence: Tensor) -> Tensor:
    """A class's evidence (B, h, w) -> map (B, h, w) in [0, 1]; the ReLU is that of the paper's equation 2."""
    raw = torch.relu(evidence)
    raw = raw - raw.amin(dim=(1, 2), keepdim=True)
    peak = raw.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0.0, raw / peak, raw)
