"""ResNet-29 that learned to tell people apart: dlib's face-recognition network.

D. King, dlib-models (CC0): a ResNet-34 (He et al. 2016, arXiv 1512.03385) with a few layers less and half the
filters. Its 8-bit copy comes in the npm package `@vladmandic/face-api`.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import Followed, chain, follow
from fer_space.backbones.base import Backbone, DeferredHead, PooledLinearHead
from fer_space.backbones.norms import set_affine
from fer_space.backbones.tfjs import find_manifest, kernel, read_tfjs, take
from fer_space.vision.preprocess import IMAGENET_MEAN, IMAGENET_STD

STEM = 32
STAGES = {  # names of the original's blocks; those that halve the map say "down"
    "stage32": ("conv32_1", "conv32_2", "conv32_3"),
    "stage64": ("conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    "stage128": ("conv128_down", "conv128_1", "conv128_2"),
    "stage256": ("conv256_down", "conv256_1", "conv256_2", "conv256_down_out"),
}
CHANNELS = 256
KERNEL = 3

DLIB_PACKAGE = "@vladmandic/face-api@1.7.15"
DLIB_MANIFESTS = ("face_recognition_model-weights_manifest.json",)
DLIB_SHA256 = {
    DLIB_MANIFESTS[0]: "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    "face_recognition_model.bin": "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
}
DLIB_MEAN_RGB = (122.782, 117.001, 104.298)


class Block(nn.Module):
    """A residual block as dlib builds it.

    A block that goes down convolves without padding, and its shortcut is an average pool that lacks the new
    channels. What either branch lacks beside the other, channels at the end or rows and columns below and on
    the right, is zero.

    Args:
        inputs, outputs: channels.
        down: whether it halves the map.
    """

    def __init__(self, inputs: int, outputs: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        stride, padding = (2, 0) if down else (1, 1)
        self.conv1 = nn.Conv2d(inputs, outputs, KERNEL, stride, padding, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, KERNEL, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, h, w), or (B, O, h // 2, w // 2) if the block goes down."""
        if self.down:
            features = _grown(features, KERNEL)  # smaller maps than the kernel come from small pictures
        residual = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(features)))))
        if self.down:
            features = functional.avg_pool2d(features, 2)
            features = functional.pad(features, (0, 0, 0, 0, 0, residual.shape[1] - features.shape[1]))
            residual = _grown(residual, features.shape[-1])  # even sides: the pool sees one cell more
        return torch.relu(features + residual)


@follow.register
def _block(module: Block, features: Tensor) -> Followed:
    read = _grown(features, KERNEL) if module.down else features
    parts = (module.conv1, module.norm1, nn.ReLU(), module.conv2, module.norm2)
    residual, pull = chain(parts, read)
    shortcut = nn.AvgPool2d(2) if module.down else nn.Identity()
    beside, pull_beside = follow(shortcut, read)
    lacking = residual.shape[1] - beside.shape[1]
    grown = _grown(residual, beside.shape[-1])
    out, rectified = follow(nn.ReLU(), functional.pad(beside, (0, 0, 0, 0, 0, lacking)) + grown)

    def back(gradient: Tensor) -> Tensor:
        gradient = rectified(gradient)
        by_residual = _cropped(gradient, grown, residual)
        both = pull(by_residual) + pull_beside(gradient[..., : beside.shape[1]])
        return _cropped(both, read, features)

    return out, back


def _cropped(gradient: Tensor, grown: Tensor, features: Tensor) -> Tensor:
    """Gradients float (B, K, N, C) by what was grown -> by what it had been."""
    if grown is features:
        return gradient
    height, width = features.shape[2:]
    return torch.unflatten(gradient, 2, grown.shape[2:])[:, :, :height, :width].flatten(2, 3)


class Stem(nn.Sequential):
    """Pictures float (B, 3, S, S) -> features float (B, 32, S/4 - 2, S/4 - 2), nothing padded."""

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d

    def __init__(self) -> None:
        convolution = nn.Conv2d(3, STEM, 7, stride=2, bias=False)
        norm = nn.BatchNorm2d(STEM)
        relu = nn.ReLU(inplace=True)
        super().__init__(
            OrderedDict(convolution=convolution, norm=norm, relu=relu, pool=nn.MaxPool2d(3, stride=2))
        )


def _grown(features: Tensor, side: int) -> Tensor:
    """Add zeros below and on the right, so that no side is shorter than `side`."""
    height, width = features.shape[-2:]
    below, beside = max(0, side - height), max(0, side - width)
    return functional.pad(features, (0, beside, 0, below)) if below or beside else features


def resnet29_body() -> nn.Sequential:
    """Build the body: pictures float (B, 3, S, S) -> features float (B, 256, h, w).

    From 150 pixels, as the original was trained, come 2x2 cells; from 112 pixels comes 1.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict(stem=Stem())
    inputs = STEM
    for stage, names in STAGES.items():
        outputs = int(stage.removeprefix("stage"))
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for name in names:
            blocks[name] = Block(inputs, outputs, down="down" in name)
            inputs = outputs
        stages[stage] = nn.Sequential(blocks)
    return nn.Sequential(stages)


class ResNet29(Backbone):
    """dlib's ResNet-29 with a pooled linear head.

    Args:
        num_classes, affect: see `PooledLinearHead`.
    """

    body: nn.Sequential

    def __init__(self, num_classes: int, affect: bool) -> None:
        super().__init__(resnet29_body(), PooledLinearHead(CHANNELS, num_classes, affect=affect))

    def for_reading(self) -> Backbone:
        """Divide before the last stage: a face of 112 pixels has 6x6 cells there, and a single one after."""
        head = DeferredHead(self.body[-1:], self.head)
        return Backbone(self.body[:-1], head).train(self.training)


def build_resnet29(num_classes: int, affect: bool = False) -> ResNet29:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    return ResNet29(num_classes, affect)


@torch.no_grad()
def load_dlib(backbone: ResNet29, folder: Path) -> Tensor:
    """Fill the body with dlib's face-recognition network.

    The original takes (RGB less a mean) / 255; the first layer, which is not padded, is rewritten for the
    mean and deviation of ImageNet. Norms hold scale and shift alone: `restore_norms` before training.

    Args:
        backbone: its head stays as it is.
        folder: holds `face_recognition_model-weights_manifest.json` and `face_recognition_model.bin`.

    Returns:
        float (256, 128): pooled features times it are dlib's descriptor of a face.

    Raises:
        InputError: the files are not there or hold another network.
    """
    path = find_manifest(folder, DLIB_MANIFESTS, DLIB_PACKAGE)
    arrays = read_tfjs(path, DLIB_SHA256)

    def fill(convolution: nn.Conv2d, norm: nn.BatchNorm2d, name: str) -> None:
        outputs, inputs, height, width = convolution.weight.shape
        filters = take(arrays, f"{name}/conv/filters", (height, width, inputs, outputs), path)
        convolution.weight.copy_(kernel(filters))
        parts = ("conv/bias", "scale/weights", "scale/biases")
        bias, scale, shift = (torch.from_numpy(take(arrays, f"{name}/{p}", (outputs,), path)) for p in parts)
        set_affine(norm, scale, bias * scale + shift)

    stem = backbone.body.get_submodule("stem")
    assert isinstance(stem, Stem)
    fill(stem.convolution, stem.norm, "conv32_down")
    mean = torch.tensor(IMAGENET_MEAN) - torch.tensor(DLIB_MEAN_RGB) / 255.0
    slope = stem.norm.weight / (1.0 + stem.norm.eps) ** 0.5  # what the norm multiplies by: its variance is 1
    stem.norm.bias.add_(torch.einsum("oihw,i->o", stem.convolution.weight, mean) * slope)
    stem.convolution.weight.mul_(torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
    for stage, names in STAGES.items():
        for name in names:
            block = backbone.body.get_submodule(f"{stage}.{name}")
            assert isinstance(block, Block)
            fill(block.conv1, block.norm1, f"{name}/conv1")
            fill(block.conv2, block.norm2, f"{name}/conv2")
    return torch.from_numpy(take(arrays, "fc", (CHANNELS, 128), path))
