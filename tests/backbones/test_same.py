import pytest
import torch
from torch.nn import functional

from fer_space.backbones.same import SameConv2d, SameMaxPool2d, same_pad


@pytest.mark.parametrize(
    ("side", "size", "stride", "before", "after"),
    [(4, 3, 2, 0, 1), (5, 3, 2, 1, 1), (4, 3, 1, 1, 1), (6, 7, 2, 2, 3), (4, 1, 2, 0, 0)],
)
def test_padding_of_tensorflow(side: int, size: int, stride: int, before: int, after: int):
    padded = same_pad(torch.ones(1, 1, side, side), size, stride)
    expected = functional.pad(torch.ones(1, 1, side, side), (before, after, before, after))
    assert torch.equal(padded, expected)


@torch.no_grad()
@pytest.mark.parametrize("side", [1, 4, 5, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_map_is_divided_by_the_stride(side: int, stride: int):
    cells = -(-side // stride)
    features = torch.randn(2, 3, side, side)
    convolution = SameConv2d(3, 6, 3, stride, groups=3)
    assert convolution(features).shape == (2, 6, cells, cells)
    expected = functional.conv2d(same_pad(features, 3, stride), convolution.weight, stride=stride, groups=3)
    torch.testing.assert_close(convolution(features), expected)
    pooled = SameMaxPool2d(3, stride)(-features.abs() - 1.0)
    assert pooled.shape == (2, 3, cells, cells)
    assert pooled.amax() <= -1.0  # what was added is never the largest
