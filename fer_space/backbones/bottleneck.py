"""The last inverted bottleneck and the head behind it, differentiated by hand for every class at once.

Autograd walks back once a class, and for eight classes that costs most of what the whole network costs.
Grad-CAM needs only the mean of the gradient over the places. Between the rectifiers everything is linear, so
the sum over the places moves through the expansion and the depthwise convolution; and behind the last
rectifier the channels that are silent all over a face drop out.
"""

from typing import Any

import torch
from torch import Tensor, nn

from fer_space.backbones.base import DeferredHead, Output, PooledLinearHead

CEILING = 6.0  # of ReLU6


class BottleneckHead(DeferredHead):
    """One inverted bottleneck, a pointwise convolution with batch norm and ReLU6, and a pooled linear head.

    Args:
        block: timm's, for which `is_simple` holds.
        convolution: 1x1, float (B, I, h, w) -> (B, O, h, w), without bias.
        norm: its batch norm with the activation.
        head: the network's own.
    """

    def __init__(self, block: Any, convolution: nn.Conv2d, norm: Any, head: PooledLinearHead) -> None:
        super().__init__(nn.Sequential(block, convolution, norm), head)
        self.head: PooledLinearHead = head

    @torch.no_grad()
    def importance(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head, in evaluation mode."""
        layers: Any = self.stages
        block, convolution, norm = layers
        expanded = block.bn1(block.conv_pw(features))
        filtered = block.bn2(block.conv_dw(expanded))
        last = norm(convolution(block.bn3(block.conv_pwl(filtered))))
        output: Output = self.head(last)

        # What the sum over the places of an expanded channel is worth to each place of the filtered one.
        reach = _by_place(block.conv_dw(passing_of(expanded)) * passing_of(filtered))
        passing = _by_place(passing_of(last))
        top = self.head.classifier.weight * slope_of(norm) / passing.shape[1]
        across = (convolution.weight.flatten(1), slope_of(block.bn3), block.conv_pwl.weight.flatten(1))
        pulled = torch.stack([_pull(top, *picture, *across) for picture in zip(passing, reach, strict=True)])
        places = features.shape[2] * features.shape[3]
        pulled = pulled * (slope_of(block.bn2) * slope_of(block.bn1) / places)
        return output, pulled @ block.conv_pw.weight.flatten(1)


def is_simple(stage: Any) -> bool:
    """Whether one of timm's stages is a single inverted bottleneck of ReLU6, without shortcut and gates."""
    block = stage[0]
    return (
        len(stage) == 1
        and not block.has_skip
        and isinstance(block.se, nn.Identity)
        and isinstance(block.bn1.act, nn.ReLU6)
    )


def _pull(
    top: Tensor, passing: Tensor, reach: Tensor, convolution: Tensor, slope: Tensor, projection: Tensor
) -> Tensor:
    """Bring the gradients of one picture back to the expanded channels, summed over the places.

    Args:
        top: float (K, O), of each logit by each channel, the same at every place.
        passing: float (N, O), 1 where a channel is not silent at a place.
        reach: float (N, E).
        convolution: weights float (O, I).
        slope: float (I,), of the batch norm before it.
        projection: weights float (I, E).

    Returns:
        float (K, E).
    """
    alive = passing.any(dim=0).nonzero().squeeze(1)
    gradient = passing.index_select(1, alive)[:, None] * top.index_select(1, alive)  # (N, K, alive)
    gradient = gradient.flatten(0, 1) @ convolution.index_select(0, alive)
    gradient = (gradient * slope) @ projection
    return (torch.unflatten(gradient, 0, (len(passing), -1)) * reach[:, None]).sum(dim=0)


def passing_of(rectified: Tensor) -> Tensor:
    """Return 1 where ReLU6 lets a gradient through, judged by its output, and 0 elsewhere."""
    return ((rectified > 0.0) & (rectified < CEILING)).to(rectified.dtype)


def _by_place(maps: Tensor) -> Tensor:
    """Maps (B, C, h, w) -> (B, h * w, C)."""
    return maps.flatten(2).transpose(1, 2)


def slope_of(norm: Any) -> Tensor:
    """Return what batch norm multiplies each channel by in evaluation mode, float (C,)."""
    slope: Tensor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return slope
