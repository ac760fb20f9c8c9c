import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from fer_space.training.camera import Camera, CameraParams, blurred, compressed

EVERY = Camera(decolour=1.0, gamma=1.0, blur=1.0, noise=1.0, jpeg=1.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(count: int, channels: int, size: int) -> Tensor:
    """Pictures without fine detail, values 0 to 255."""
    coarse = torch.rand(count, channels, 6, 6, generator=rng(1)) * 255
    return functional.interpolate(coarse, (size, size), mode="bilinear")


def still(count: int) -> CameraParams:
    """Parameters that leave every picture as it is."""
    return Camera().sample(count, rng())


@pytest.mark.parametrize("channels", [1, 3])
def test_what_nothing_happens_to_stays(channels: int):
    pictures = smooth(3, channels, 20)
    torch.testing.assert_close(EVERY.apply(pictures, still(3)), pictures, atol=1e-3, rtol=1e-5)
    assert Camera().idle
    assert not EVERY.idle


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_compression_is_that_of_a_jpeg_file(quality: int):
    picture = smooth(1, 1, 32).round()
    buffer = io.BytesIO()
    Image.fromarray(picture[0, 0].byte().numpy()).save(buffer, "JPEG", quality=quality)
    expected = torch.from_numpy(np.array(Image.open(buffer))).float()
    ours = compressed(picture, torch.tensor([float(quality)]))[0, 0]
    assert (ours - expected).abs().mean() < 1.0
    assert (ours - picture[0, 0]).abs().mean() > 0.1


def test_compression_of_a_side_that_eight_does_not_divide_keeps_the_side():
    pictures = smooth(2, 3, 30)
    assert compressed(pictures, torch.tensor([30.0, 60.0])).shape == pictures.shape


def test_blur_is_a_gaussian_of_each_picture():
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1000.0
    seen = blurred(point, torch.tensor([0.5, 0.8]))
    torch.testing.assert_close(seen.sum(dim=(1, 2, 3)), torch.full((2,), 1000.0))
    offsets = torch.arange(41) - 20.0
    variance = (seen.sum(dim=2).squeeze(1) * offsets**2).sum(dim=1) / 1000.0
    torch.testing.assert_close(variance, torch.tensor([0.25, 0.64]), atol=0.05, rtol=0.1)


def test_noise_is_as_strong_as_it_says_and_differs_between_pictures():
    gray = torch.full((4, 1, 64, 64), 128.0)
    params = Camera(noise=1.0).sample(4, rng(3))
    noisy = Camera(noise=1.0).apply(gray, params) - gray
    torch.testing.assert_close(noisy.std(dim=(1, 2, 3)), params.noise, atol=0.5, rtol=0.1)
    assert np.abs(np.corrcoef(noisy.flatten(1).numpy()) - np.eye(4)).max() < 0.2


def test_gamma_keeps_black_and_white():
    ends = torch.tensor([0.0, 255.0, 128.0]).view(1, 1, 1, 3).repeat(5, 1, 1, 1)
    seen = Camera(gamma=1.0).apply(ends, Camera(gamma=1.0).sample(5, rng(2)))
    torch.testing.assert_close(seen[..., :2], ends[..., :2], atol=0.3, rtol=0.0)
    assert (seen[..., 2] != 128.0).all()


def test_a_picture_without_colours_has_three_equal_channels():
    seen = Camera(decolour=1.0).apply(smooth(2, 3, 8), Camera(decolour=1.0).sample(2, rng()))
    assert torch.equal(seen[:, 0], seen[:, 2])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_happens_to_its_share(share: float):
    params = Camera(share, share, share, share, share).sample(4000, rng())
    touched = [params.gray, params.gamma != 1.0, params.blur > 0, params.noise > 0, params.quality > 0]
    assert [float(rows.float().mean()) for rows in touched] == pytest.approx([share] * 5, abs=0.03)


def test_parts_of_a_batch_are_as_in_the_whole():
    pictures, params = smooth(6, 3, 24), Camera(0.5, 0.5, 0.5, 0.5, 0.5).sample(6, rng(5))
    before = pictures.clone()
    whole = EVERY.apply(pictures, params)
    part = EVERY.apply(pictures[1::2], params.map(lambda rows: rows[1::2]))
    torch.testing.assert_close(part, whole[1::2], atol=1e-3, rtol=1e-5)
    assert torch.equal(pictures, before)
    assert 0.0 <= whole.min() <= whole.max() <= 255.0
