"""Attention maps of every emotion from one forward of the body.

The head alone says how much each place of the body's features speaks for each emotion (`Head.evidence`). No
hook is registered and nothing of the backbone is touched, so any number of threads may do this at once.
"""

import torch
from torch import Tensor

from fer_space.backbones.backward import cells
from fer_space.backbones.base import HIRESCAM, Head, Output

DEFAULT = "default"  # what the head itself takes for its evidence
GRAD_CAM = "grad-cam"


@torch.no_grad()
def attend(head: Head, features: Tensor, method: str = DEFAULT) -> tuple[Output, Tensor]:
    """Run the head and explain each of its logits.

    Args:
        head: features -> Output, in evaluation mode.
        features: float (B, C, h, w), the body's output.
        method: `DEFAULT`, `HIRESCAM` or `GRAD_CAM`.

    Returns:
        The head's output, detached, and the maps of `maps_of`.
    """
    if method in (DEFAULT, head.method):
        output, evidence = head.evidence(features)
    elif method == HIRESCAM:
        output, evidence = Head.evidence(head, features)
    else:
        output, evidence = _grad_cam(head, features)
    return output, maps_of(head, evidence)


def _grad_cam(head: Head, features: Tensor) -> tuple[Output, Tensor]:
    """As `Head.evidence`, by Grad-CAM: each channel counts as the mean of its gradient, wherever it is.

    Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2.
    """
    output, gradient = head.jacobian(features)
    weights = gradient.mean(dim=2).expand(features.shape[0], -1, -1)
    by_view = (torch.unflatten(part, -1, (head.views, -1)) for part in (weights, cells(features)))
    evidence = torch.einsum("bkvc,bnvc->bkvn", *by_view)
    return output, torch.unflatten(evidence, 3, features.shape[2:])


@torch.no_grad()
def maps_of(head: Head, evidence: Tensor) -> Tensor:
    """Turn evidence into maps of the face.

    Args:
        head: knows where the views of a face lie.
        evidence: float (B, K, views, h, w), how much each place speaks for each class.

    Returns:
        Maps float (B, K, h', w') in [0, 1], the largest value of each map being 1 unless the map is 0
        everywhere; h' and w' are h and w unless the head says otherwise.
    """
    maps = scaled(head.lay(evidence.flatten(0, 1)))
    return torch.unflatten(maps, 0, evidence.shape[:2])


def scaled(evidence: Tensor) -> Tensor:
    """A class's evidence (B, h, w) -> map (B, h, w) in [0, 1]: what speaks against it is left out."""
    raw = torch.relu(evidence)
    raw = raw - raw.amin(dim=(1, 2), keepdim=True)
    peak = raw.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0.0, raw / peak, raw)
