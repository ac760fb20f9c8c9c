"""The padding that TensorFlow calls "same"; at stride 2 on an even side it is all below and on the right."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def same_pad(features: Tensor, size: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad a map so that a filter makes ceil(side / stride) cells of each side.

    Args:
        features: float (B, C, h, w).
        size: side of the filter.
        stride: of the filter.
        value: what is added.

    Returns:
        float (B, C, h + top + bottom, w + left + right); an odd cell is below and on the right.
    """
    missing = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in features.shape[-2:]]
    top, left = (total // 2 for total in missing)
    return functional.pad(features, (left, missing[1] - left, top, missing[0] - top), value=value)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding.

    Args:
        inputs, outputs: channels.
        size: side of the kernel.
        stride: of the kernel.
        groups: `inputs` for a depthwise convolution.
        bias: whether one is added.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, stride: int = 1, *, groups: int = 1, bias: bool = False
    ) -> None:
        # At stride 1 an odd kernel pads alike on both sides, which needs no copy of the map.
        padding = size // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, size, stride, padding, groups=groups, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, I, h, w) -> (B, O, ceil(h / stride), ceil(w / stride))."""
        if self.stride[0] > 1:
            features = same_pad(features, self.kernel_size[0], self.stride[0])
        return super().forward(features)


class SameMaxPool2d(nn.Module):
    """A max pool with TensorFlow's padding, which never is the largest value.

    Args:
        size: side of the window.
        stride: of the window.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C, ceil(h / stride), ceil(w / stride))."""
        padded = same_pad(features, self.size, self.stride, -torch.inf)
        return functional.max_pool2d(padded, self.size, self.stride)
