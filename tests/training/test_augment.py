import pytest
import torch

from fer_space.training.augment import Augment, LookParams, _inside

STILL = Augment(0, 0, 0, 0, 0, 0, 0)
WILD = Augment(15, 0.2, 0.1, 0.3, 0.3, 0.5, 0.5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(size: int = 8) -> torch.Tensor:
    return torch.arange(size * size, dtype=torch.uint8).view(1, 1, size, size)


def test_nothing_drawn_changes_nothing():
    torch.testing.assert_close(STILL.apply(ramp(), STILL.sample(1, rng()), 8), ramp().float())


def test_flip_mirrors_columns():
    flipped = Augment(0, 0, 0, 0, 0, 1, 0)
    torch.testing.assert_close(flipped.apply(ramp(), flipped.sample(1, rng()), 8), ramp().float().flip(3))


def test_enlarging_is_bilinear():
    got = STILL.apply(ramp(), STILL.sample(1, rng()), 16)
    expected = torch.nn.functional.interpolate(ramp().float(), 16, mode="bilinear")
    torch.testing.assert_close(got, expected)


def test_shift_moves_by_its_share_of_the_side():
    quarter = torch.tensor([[[1.0, 0, 0.5], [0, 1, 0]]])  # a half of [-1, 1] is a quarter of the side
    one = torch.ones(1, 1, 1, 1)
    params = LookParams(quarter, one, 0 * one, torch.zeros(1, 4))
    torch.testing.assert_close(STILL.apply(ramp(), params, 8)[..., :6], ramp().float()[..., 2:])


def test_brightness_and_contrast_by_hand():
    pictures = torch.tensor([[[[100, 120], [140, 160]]]], dtype=torch.uint8)
    one = torch.ones(1, 1, 1, 1)
    params = LookParams(torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), 0.5 * one, 0.1 * one, torch.zeros(1, 4))
    expected = torch.tensor([[[[115.0, 125.0], [135.0, 145.0]]]]) + 25.5
    torch.testing.assert_close(STILL.apply(pictures, params, 2), expected)


def test_erased_box_holds_the_mean():
    inside = _inside(torch.tensor([[0.0, 0.5, 0.5, 1.0]]), 4)[0, 0]
    assert inside.int().tolist() == [[0] * 4, [0] * 4, [1, 1, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("count", [1, 7])
def test_equal_seeds_draw_equally_and_inputs_stay(count: int):
    pictures = torch.randint(0, 256, (count, 1, 12, 12), dtype=torch.uint8, generator=rng(1))
    before = pictures.clone()
    first, second = (WILD.apply(pictures, WILD.sample(count, rng(5)), 16) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(pictures, before)
    assert first.shape == (count, 1, 16, 16)
    assert 0.0 <= first.min() <= first.max() <= 255.0


def test_part_of_a_draw_is_the_same_as_the_draw_of_a_part():
    pictures = torch.randint(0, 256, (6, 1, 12, 12), dtype=torch.uint8, generator=rng(1))
    params = WILD.sample(6, rng())
    whole = WILD.apply(pictures, params, 16)
    part = WILD.apply(pictures[1::2], params.map(lambda rows: rows[1::2]), 16)
    torch.testing.assert_close(part, whole[1::2])
