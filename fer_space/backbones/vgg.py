"""VGG16 with batch norm and a pooled head.

Simonyan & Zisserman 2015, arXiv 1409.1556. The two layers of 4096 units, nine tenths of the original's
parameters, give way to global average pooling; the last max pooling is left out, so that a face of 48 pixels
ends on a map of 3x3.
"""

from torch import Tensor, nn
from torchvision.models import vgg16_bn

from fer_space.backbones.base import Backbone, PooledLinearHead

CHANNELS = 512


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
