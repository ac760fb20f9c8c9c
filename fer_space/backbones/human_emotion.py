"""The emotion network of Human: a mini-Xception that reads gray faces of 64 pixels.

O. Arriaga et al. 2017, arXiv 1710.07557, trained on FER-2013 (oarriaga/face_classification, MIT); its
TensorFlow.js graph comes in the npm package `@vladmandic/human` (MIT), with norms folded into convolutions.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import landing
from fer_space.backbones.base import Backbone, Head, Output, kept_outputs, zero_linear
from fer_space.backbones.same import SameConv2d, SameMaxPool2d
from fer_space.backbones.tfjs import depthwise, find_manifest, kernel, read_tfjs, rows_of, take
from fer_space.vision.preprocess import Preprocess

CHANNELS = 256
SIZE = 3  # of the last convolution
LAST = nn.Conv2d(1, 1, SIZE, padding=1, device="meta")  # which places its taps read, and nothing else
LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
SIDE = 64
PREPROCESS = Preprocess(
    input_size=SIDE, native_size=SIDE, gray=True, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)

PACKAGE = "@vladmandic/human@3.3.6"
MANIFEST = "emotion.json"
SHA256 = {
    MANIFEST: "56f7e557eb0c863a8b9ab04ac7ccba756e93bf2c27dce135ef0e8712b80b7ad2",
    "emotion.bin": "927ac8224f356ab1e68c2bcfbfa07b0c8567047d1bcf817388ba6e38214c4987",
}
GRAPH = "StatefulPartitionedCall/model_1"


class SeparableConv2d(nn.Sequential):
    """A depthwise 3x3 convolution and a pointwise one that adds the shift of its folded norm.

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            SameConv2d(inputs, inputs, 3, groups=inputs), SameConv2d(inputs, outputs, 1, bias=True)
        )


class XceptionBlock(nn.Module):
    """Two separable convolutions and a max pool beside a pointwise shortcut of stride 2.

    Args:
        inputs, outputs: channels.
        rectified: whether the input of the convolutions is rectified; the shortcut reads it as it is.
    """

    def __init__(self, inputs: int, outputs: int, *, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.separable1 = SeparableConv2d(inputs, outputs)
        self.separable2 = SeparableConv2d(outputs, outputs)
        self.pool = SameMaxPool2d(3, 2)
        self.shortcut = SameConv2d(inputs, outputs, 1, 2, bias=True)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, ceil(h / 2), ceil(w / 2))."""
        filtered = torch.relu(features) if self.rectified else features
        filtered = self.separable2(torch.relu(self.separable1(filtered)))
        total: Tensor = self.pool(filtered) + self.shortcut(features)
        return total


class MiniXceptionBody(nn.Module):
    """Gray pictures float (B, 3, S, S), three channels alike -> features float (B, 256, S/8, S/8).

    The first two convolutions are not padded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(1, 32, 3, 2)
        self.convolution2 = nn.Conv2d(32, 64, 3)
        self.block1 = XceptionBlock(64, 128, rectified=False)
        self.block2 = XceptionBlock(128, CHANNELS, rectified=True)

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map that the last convolution reads; it is not rectified."""
        features = torch.relu(self.convolution1(pictures[:, :1]))
        features = torch.relu(self.convolution2(features))
        out: Tensor = self.block2(self.block1(features))
        return out


class PooledConvolutionHead(Head):
    """A 3x3 convolution to one map a class and the mean over its places.

    As a mean of a convolution it is linear: sums over windows of the features, one a tap of the kernel, times
    the taps. So it is one linear layer of 9 C inputs.

    Args:
        channels: of the features.
        num_classes: columns of the logits.
        affect: whether a linear layer and tanh read valence and arousal from the mean; it starts at zero.
    """

    def __init__(self, channels: int, num_classes: int, *, affect: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.classifier = zero_linear(channels * SIZE**2, num_classes)
        self.affect = zero_linear(channels, 2) if affect else None

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        self.classifier = kept_outputs(self.classifier, columns)

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head; the same for every picture."""
        output: Output = self(features)
        lands = landing(LAST, features)  # (N, taps, N')
        taps = torch.unflatten(self.classifier.weight, 1, (self.channels, SIZE**2))
        return output, torch.einsum("kct,nt->knc", taps, lands.mean(dim=2))[None]

    def windows(self, features: Tensor) -> Tensor:
        """Mean of what each tap of the kernel reads, zeros around the map: (B, C, h, w) -> (B, C, 9)."""
        height, width = features.shape[2:]
        padded = functional.pad(features, (1, 1, 1, 1))
        taps = [(y, x) for y in range(SIZE) for x in range(SIZE)]
        means = [padded[..., y : y + height, x : x + width].mean(dim=(2, 3)) for y, x in taps]
        return torch.stack(means, dim=2)

    def forward(self, features: Tensor) -> Output:
        """Features float (B, C, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        embedding = features.mean(dim=(2, 3))
        affect = None if self.affect is None else torch.tanh(self.affect(embedding))
        return Output(self.classifier(self.windows(features).flatten(1)), affect, embedding)


def build_human_emotion(num_classes: int, affect: bool = False) -> Backbone:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    return Backbone(MiniXceptionBody(), PooledConvolutionHead(CHANNELS, num_classes, affect=affect))


@torch.no_grad()
def load_human_emotion(backbone: Backbone, folder: Path) -> None:
    """Fill the network with the original; its outputs are `LABELS`.

    Args:
        backbone: built for as many classes as there are `LABELS`, or for all of `EMOTIONS`; what the original
            lacks stays as it is.
        folder: holds `emotion.json` and `emotion.bin`.

    Raises:
        InputError: the files are not there or hold another network.
    """
    path = find_manifest(folder, (MANIFEST,), PACKAGE)
    arrays = read_tfjs(path, SHA256)

    def fill(convolution: nn.Module, name: str) -> None:
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.bias is not None
        outputs, inputs, height, width = convolution.weight.shape
        filters = take(arrays, f"{GRAPH}/{name}_weights", (height, width, inputs, outputs), path)
        convolution.weight.copy_(kernel(filters))
        offset = take(arrays, f"{GRAPH}/{name}_bn_offset", (outputs,), path)
        convolution.bias.copy_(torch.from_numpy(offset))

    def fill_separable(separable: SeparableConv2d, number: int, by_channel: str) -> None:
        first, second = separable
        assert isinstance(first, nn.Conv2d)
        shape = (3, 3, first.in_channels, 1)
        first.weight.copy_(depthwise(take(arrays, by_channel, shape, path)))
        fill(second, f"separable_conv2d_{number}/separable_conv2d")

    body, head = backbone.body, backbone.head
    assert isinstance(body, MiniXceptionBody)
    assert isinstance(head, PooledConvolutionHead)
    fill(body.convolution1, "conv2d_1/Conv2D")
    fill(body.convolution2, "conv2d_2/Conv2D")
    fill(body.block1.shortcut, "conv2d_3/Conv2D")
    fill(body.block2.shortcut, "conv2d_4/Conv2D")
    # The converter kept no names of the depthwise kernels.
    fill_separable(body.block1.separable1, 1, "unknown_9")
    fill_separable(body.block1.separable2, 2, "unknown_15")
    fill_separable(body.block2.separable1, 3, "unknown_26")
    fill_separable(body.block2.separable2, 4, "unknown_32")
    last = kernel(take(arrays, "unknown_43", (SIZE, SIZE, CHANNELS, len(LABELS)), path))
    rows = rows_of(LABELS, head.classifier)
    head.classifier.weight[rows] = last.flatten(1)
    head.classifier.bias[rows] = torch.from_numpy(take(arrays, "unknown_44", (len(LABELS),), path))
