"""face-api's expression network, as many pages run it in browsers.

V. Mühler, face-api.js; kept alive as the npm package `@vladmandic/face-api` (MIT). Four dense blocks of
separable convolutions, a third of a megabyte. What it learned from is not documented.
"""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_space.backbones.base import Backbone, PooledLinearHead
from fer_space.backbones.same import SameConv2d
from fer_space.backbones.tfjs import depthwise, find_manifest, kernel, read_tfjs, rows_of, take
from fer_space.vision.preprocess import Preprocess

CHANNELS = (32, 64, 128, 256)  # of the blocks
LAYERS = 4  # of each block
LABELS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
SIDE = 112
# The original: (RGB, 0 to 255, less this mean) / 255.
PREPROCESS = Preprocess(
    input_size=SIDE,
    native_size=SIDE,
    gray=False,
    mean=(122.782 / 255.0, 117.001 / 255.0, 104.298 / 255.0),
    std=(1.0, 1.0, 1.0),
)

PACKAGE = "@vladmandic/face-api@1.7.15"
MANIFEST = "face_expression_model-weights_manifest.json"
SHA256 = {
    MANIFEST: "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
    "face_expression_model.bin": "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
}


class SeparableConv2d(nn.Sequential):
    """A depthwise 3x3 convolution and a pointwise one with bias, padded as TensorFlow does it.

    Args:
        inputs, outputs: channels.
        stride: of the depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            SameConv2d(inputs, inputs, 3, stride, groups=inputs), SameConv2d(inputs, outputs, 1, bias=True)
        )


class DenseBlock(nn.Module):
    """Four convolutions, each of which reads the rectified sum of all before it.

    Args:
        first: the convolution that halves the map and sets the channels.
        channels: of its output.
    """

    def __init__(self, first: nn.Module, channels: int) -> None:
        super().__init__()
        others = [SeparableConv2d(channels, channels) for _ in range(LAYERS - 1)]
        self.convolutions = nn.ModuleList([first, *others])

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, ceil(h / 2), ceil(w / 2))."""
        first, *others = self.convolutions
        total: Tensor = torch.relu(first(features))
        for convolution in others:
            total = total + convolution(torch.relu(total))
        return torch.relu(total)


def face_api_body() -> nn.Sequential:
    """Build the body: pictures float (B, 3, S, S) -> features float (B, 256, S/16, S/16)."""
    blocks = [DenseBlock(SameConv2d(3, CHANNELS[0], 3, 2, bias=True), CHANNELS[0])]
    for inputs, outputs in pairwise(CHANNELS):
        blocks.append(DenseBlock(SeparableConv2d(inputs, outputs, 2), outputs))
    return nn.Sequential(*blocks)


def build_face_api(num_classes: int, affect: bool = False) -> Backbone:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    head = PooledLinearHead(CHANNELS[-1], num_classes, affect=affect, dropout=0.0)
    return Backbone(face_api_body(), head)


@torch.no_grad()
def load_face_api(backbone: Backbone, folder: Path) -> None:
    """Fill the network with the original; its outputs are `LABELS`.

    Args:
        backbone: built for as many classes as there are `LABELS`, or for all of `EMOTIONS`; what the original
            lacks stays as it is.
        folder: holds `face_expression_model-weights_manifest.json` and `face_expression_model.bin`.

    Raises:
        InputError: the files are not there or hold another network.
    """
    path = find_manifest(folder, (MANIFEST,), PACKAGE)
    arrays = read_tfjs(path, SHA256)

    def fill(convolution: nn.Module, name: str) -> None:
        """Copy one convolution; the bias of a separable one is that of its second half."""
        if isinstance(convolution, SeparableConv2d):
            by_channel, across = convolution
            assert isinstance(by_channel, nn.Conv2d)
            shape = (3, 3, by_channel.in_channels, 1)
            by_channel.weight.copy_(depthwise(take(arrays, f"{name}/depthwise_filter", shape, path)))
            convolution, filters = across, f"{name}/pointwise_filter"
        else:
            filters = f"{name}/filters"
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        outputs, inputs, height, width = convolution.weight.shape
        convolution.weight.copy_(kernel(take(arrays, filters, (height, width, inputs, outputs), path)))
        convolution.bias.copy_(torch.from_numpy(take(arrays, f"{name}/bias", (outputs,), path)))

    for number, block in enumerate(backbone.body.children()):
        assert isinstance(block, DenseBlock)
        for place, convolution in enumerate(block.convolutions):
            fill(convolution, f"dense{number}/conv{place}")
    head = backbone.head
    assert isinstance(head, PooledLinearHead)
    weights = take(arrays, "fc/weights", (CHANNELS[-1], len(LABELS)), path)
    rows = rows_of(LABELS, head.classifier)
    head.classifier.weight[rows] = torch.from_numpy(weights.T)
    head.classifier.bias[rows] = torch.from_numpy(take(arrays, "fc/bias", (len(LABELS),), path))
