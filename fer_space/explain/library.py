"""Attention maps by other methods than the engine's own, and what is made of a map.

The methods are those of the grad-cam library (Gildenblat et al., pytorch-grad-cam), on the features that the
head reads. The library works by hooks; it gets a wrapper of its own around the head, so that nothing is ever
left on a network that other threads read with.
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.base import HIRESCAM, RELEVANCE, Head
from fer_space.errors import UnknownNameError
from fer_space.explain.maps import DEFAULT, GRAD_CAM, scaled

EIGENCAM = "eigencam"
GRID = 7  # cells a side in Attentive CutMix


@dataclass(frozen=True)
class Method:
    """A way to make attention maps.

    Attributes:
        title: how the page writes it.
        source: "module:class" of the library, or "" for the engine's own code.
        does: what it makes of features and gradients, in a phrase.
        paper: where it was published.
    """

    title: str
    source: str
    does: str
    paper: str


METHODS: dict[str, Method] = {
    DEFAULT: Method(
        "Default",
        "",
        "HiResCAM; for the ViT relevance, which follows what its attention moves",
        "Chefer et al. 2021, arXiv 2103.15679",
    ),
    GRAD_CAM: Method(
        "Grad-CAM",
        "",
        "weighs each channel by the mean of its gradient",
        "Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    "grad-cam++": Method(
        "Grad-CAM++",
        "grad_cam_plusplus:GradCAMPlusPlus",
        "weighs each channel by its positive gradients, so that small regions count too",
        "Chattopadhay et al. 2018, arXiv 1710.11063",
    ),
    HIRESCAM: Method(
        "HiResCAM",
        "",
        "multiplies features by gradients place by place",
        "Draelos & Carin 2020, arXiv 2011.08891",
    ),
    "layercam": Method(
        "LayerCAM",
        "layer_cam:LayerCAM",
        "multiplies features by positive gradients place by place",
        "Jiang et al. 2021, doi 10.1109/TIP.2021.3089943",
    ),
    EIGENCAM: Method(
        "EigenCAM",
        "eigen_cam:EigenCAM",
        "shows the first principal component of the features, whatever the class",
        "Muhammad & Yeasin 2020, arXiv 2008.00299",
    ),
}


def method_title(name: str) -> str:
    """Write a method as the page does, that behind the default of the ViT too."""
    return "Relevance" if name == RELEVANCE else METHODS[name].title


def library_maps(head: Head, features: Tensor, method: str) -> Tensor:
    """Make attention maps of every class by a method of the grad-cam library.

    EigenCAM asks what stands out in the features, not which class it speaks for: all its maps are alike.

    Args:
        head: in evaluation mode; its parameters need no gradient.
        features: float (B, C, h, w), the body's output.
        method: a name in `METHODS` that has a source.

    Returns:
        float32 (B, K, h', w') in [0, 1], as those of `explain.maps.attend`.

    Raises:
        UnknownNameError: there is no such method.
    """
    require_method(method)
    with torch.no_grad():
        classes = head(features[:1]).logits.shape[1]
    if method == EIGENCAM:
        return _maps(head, features, 0, method)[:, None].expand(-1, classes, -1, -1)
    return torch.stack([_maps(head, features, column, method) for column in range(classes)], dim=1)


def require_method(method: str) -> None:
    """Raise UnknownNameError unless a name is among `METHODS`."""
    if method not in METHODS:
        raise UnknownNameError.of("method", method, METHODS)


class _Entrance(nn.Module):
    """A head behind a layer of its own, where the library may hook: views (B * V, C, h, w) -> logits."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.entrance = nn.Identity()
        self.head = head

    def forward(self, views: Tensor) -> Tensor:
        features = torch.unflatten(self.entrance(views), 0, (-1, self.head.views)).flatten(1, 2)
        logits: Tensor = self.head(features).logits
        return logits


def _maps(head: Head, features: Tensor, column: int, method: str) -> Tensor:
    """The maps float32 (B, h', w') of one class."""
    module, _, name = METHODS[method].source.partition(":")
    library = getattr(import_module(f"pytorch_grad_cam.{module}"), name)
    network = _Entrance(head)
    views = torch.unflatten(features, 1, (head.views, -1)).flatten(0, 1)
    with torch.enable_grad(), library(model=network, target_layers=[network.entrance]) as cam:
        logits = cam.activations_and_grads(views.detach().requires_grad_(True))
        logits[:, column].sum().backward()
        seen, gradients = cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0]
        given = (array.detach().cpu().numpy() for array in (seen, gradients))
        image = cam.get_cam_image(views, network.entrance, [], *given, False)
    evidence = torch.from_numpy(np.asarray(image, dtype=np.float32)).to(features.device)
    if method == EIGENCAM:
        evidence = _turned(evidence, views)
    return scaled(head.lay(torch.unflatten(evidence, 0, (-1, head.views))))


def _turned(evidence: Tensor, views: Tensor) -> Tensor:
    """Principal components (B, h, w) with the sign that agrees with the strength of features (B, C, h, w).

    A component has no sign of its own. Where features are rectified the library's comes out right nearly
    always, behind a linear bottleneck half the time.
    """
    strength = views.square().sum(dim=1)
    raised = strength - strength.mean(dim=(1, 2), keepdim=True)
    agreement = (evidence * raised).sum(dim=(1, 2), keepdim=True)
    return torch.where(agreement < 0.0, -evidence, evidence)


def to_grid(maps: Tensor, cells: int = GRID) -> Tensor:
    """Maps float (B, h, w) on a grid (B, cells, cells): by area where they shrink, bilinear where they grow.

    Growing by area would repeat cells, and equal cells leave the choice of the best to their order.
    """
    grows = min(maps.shape[-2:]) < cells
    grid = functional.interpolate(
        maps.float().unsqueeze(1), (cells, cells), mode="bilinear" if grows else "area"
    )
    return grid.squeeze(1)


def top_cells(grid: Tensor, count: int) -> Tensor:
    """The `count` largest cells of each grid; of equal cells the first in reading order.

    Args:
        grid: float (B, h, w).
        count: from 0 to h * w.

    Returns:
        bool (B, h, w), exactly `count` True in each.
    """
    order = grid.flatten(1).argsort(dim=1, descending=True, stable=True)
    chosen = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :count], True)
    return chosen.view(grid.shape)


def attentive_cells(heatmap: NDArray[np.float32], count: int, cells: int = GRID) -> NDArray[np.bool_]:
    """The cells that Attentive CutMix would take from a face (Walawalkar et al. 2020, arXiv 2003.13048).

    Args:
        heatmap: float32 (h, w).
        count: from 0 to cells².
        cells: of the grid, a side.

    Returns:
        bool (cells, cells), exactly `count` True.
    """
    grid = to_grid(torch.from_numpy(heatmap)[None], cells)
    return np.asarray(top_cells(grid, count)[0].numpy(), dtype=np.bool_)
