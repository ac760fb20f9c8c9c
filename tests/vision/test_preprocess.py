import numpy as np
import pytest
import torch

from fer_space.vision.preprocess import Preprocess

RULE = Preprocess(96, 48, gray=True)


def test_luma_is_itu_r_601():
    crop = np.zeros((48, 48, 3), np.uint8)
    crop[..., 0] = 200
    assert RULE.reduce([crop]).unique().tolist() == [60]  # .299 * 200, rounded


@pytest.mark.parametrize(("gray", "channels"), [(True, 1), (False, 3)])
@pytest.mark.parametrize("side", [20, 48, 224])
def test_any_crop_becomes_the_networks_input(gray: bool, channels: int, side: int):
    rule = Preprocess(96, 48, gray=gray)
    crops = [np.full((side, side, 3), 128, np.uint8)] * 2
    assert rule.reduce(crops).shape == (2, channels, 48, 48)
    tensor = rule.normalise(rule.reduce(crops))
    assert tensor.shape == (2, 3, 96, 96)
    expected = [(128 / 255 - m) / s for m, s in zip(rule.mean, rule.std, strict=True)]
    torch.testing.assert_close(tensor.mean(dim=(0, 2, 3)), torch.tensor(expected), atol=1e-4, rtol=0)


def test_channels_keep_their_order():
    crop = np.zeros((8, 8, 3), np.uint8)
    crop[..., 0] = 255
    rule = Preprocess(8, 8, gray=False)
    red, green, blue = rule.normalise(rule.reduce([crop]))[0].mean(dim=(1, 2)).tolist()
    assert red > 2.0
    assert max(green, blue) < -1.7


def test_detail_beyond_the_training_resolution_is_gone():
    stripes = np.zeros((192, 192, 3), np.uint8)
    stripes[:, ::2] = 255
    assert int(RULE.reduce([stripes]).float().std()) == 0
