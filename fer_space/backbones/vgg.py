"""VGG16 with batch norm and a pooled head.

Simonyan & Zisserman 2015, arXiv 1409.1556. The two layers of 4096 units, nine tenths of the original's
parameters, give way to global average pooling; the last max pooling is left out, so that a face of 48 pixels
ends on a map of 3x3.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import vgg16_bn

from fer_space.backbones.base import Backbone, PooledLinearHead

CHANNELS = 512
# Places of the convolutions among the layers of torchvision's VGG16, without norms and with them.
PLAIN = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
NORMED = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)
NORMS = tuple(place + 1 for place in NORMED)  # each follows its convolution
EPS = 1e-5  # of its norms


class VggBody(nn.Module):
    """Pictures float (B, 3, S, S) -> features float (B, 512, S/16, S/16)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = vgg16_bn(weights=None).features[:-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """The feature map after the last activation."""
        features: Tensor = self.features(pictures)
        return features


def build_vgg16(num_classes: int, affect: bool = False) -> Backbone:
    """Build the untrained network, with valence and arousal if `affect`; its head starts at zero."""
    return Backbone(VggBody(), PooledLinearHead(CHANNELS, num_classes, affect=affect, dropout=0.4))


def name_in_body(name: str) -> str:
    """The name here of a tensor of torchvision's VGG16 with norms."""
    return f"body.{name}"


def name_of_convolution(name: str) -> str:
    """The name here of a tensor of torchvision's VGG16 without norms.

    Example:
        >>> name_of_convolution("features.28.bias")
        'body.features.40.bias'
    """
    _, place, kind = name.split(".")
    return f"body.features.{NORMED[PLAIN.index(int(place))]}.{kind}"


def idle_norms(own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make norms that change nothing in evaluation mode, by the tensors of a fresh network."""
    weights = (f"body.features.{place}.weight" for place in NORMS)
    return {name: torch.full_like(own[name], (1.0 + EPS) ** 0.5) for name in weights}
