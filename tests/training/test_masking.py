import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from fer_space.occlusion import UPPER_SHARE
from fer_space.training.augment import Augment
from fer_space.training.masking import Masking, MaskParams, UpperFace, UpperParams

STILL = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def faces(count: int, size: int = 48, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=rng(9)) * 255


def one(gray: float = 200.0, opacity: float = 1.0, relief: float = 0.0, affine: Tensor = STILL) -> MaskParams:
    def level(value: float) -> Tensor:
        return torch.full((1, 1, 1, 1), value)

    return MaskParams(torch.tensor([True]), affine, level(gray), level(opacity), level(relief))


@pytest.mark.parametrize("size", [48, 96])
def test_a_plain_mask_by_hand(size: int):
    masked = Masking(1.0).apply(torch.zeros(1, 1, size, size), one())[0, 0]
    for x, y, value in [(0.5, 0.6, 200), (0.5, 0.77, 200), (0.5, 0.97, 200), (0.3, 0.4, 0), (0.03, 0.97, 0)]:
        assert masked[int(y * size), int(x * size)].item() == pytest.approx(value, abs=1), (x, y)
    edge = masked[(masked > 20) & (masked < 180)]
    assert len(edge) > size // 2, "the edge is soft"


def test_opacity_and_relief_by_hand():
    black = torch.zeros(1, 1, 48, 48)
    plain = Masking(1.0).apply(black, one())
    torch.testing.assert_close(Masking(1.0).apply(black, one(opacity=0.5)), plain / 2)
    pleated = Masking(1.0).apply(black, one(relief=1.0))[0, 0, 28:46, 24]
    assert pleated.std() > 1.0
    assert plain[0, 0, 28:46, 24].std() < 1e-3


def test_a_shift_of_the_template_is_a_share_of_the_side():
    quarter = STILL.clone()
    quarter[0, 0, 2] = -0.5  # half of [-1, 1] is a quarter of the side: 12 of 48 pixels
    black = torch.zeros(1, 1, 48, 48)
    still, moved = (Masking(1.0).apply(black, one(affine=affine)) for affine in (STILL, quarter))
    torch.testing.assert_close(moved[..., 12:], still[..., :-12], atol=1e-3, rtol=1e-4)


def test_a_mask_goes_with_the_face_that_augmentation_moved():
    plain = Augment(0, 0, 0, 0, 0, 0, 0)
    params = Augment(20, 0.1, 0.1, 0, 0, 1.0, 0).sample(1, rng(4))
    masking, black = Masking(1.0), torch.zeros(1, 1, 48, 48)
    later = masking.apply(black, one(), framing=params.affine)
    first = plain.apply(masking.apply(black, one()).round().byte(), params, 48)
    inner = slice(8, 36)  # beyond the picture augmentation repeats its edge
    assert (later - first)[..., inner, inner].abs().mean() < 3.0


@given(
    count=st.integers(1, 5),
    size=st.integers(8, 64),
    seed=st.integers(0, 5000),
    channels=st.sampled_from([1, 3]),
)
@settings(max_examples=30)
def test_faces_without_a_mask_keep_every_bit(count: int, size: int, seed: int, channels: int):
    pictures = faces(count, size, channels)
    before = pictures.clone()
    masking = Masking(0.5)
    params = masking.sample(count, rng(seed))
    masked = masking.apply(pictures, params)
    assert torch.equal(pictures, before)
    assert torch.equal(masked[~params.worn], pictures[~params.worn])
    assert (masked[params.worn] != pictures[params.worn]).flatten(1).any(dim=1).all()
    assert 0.0 <= masked.min() <= masked.max() <= 255.0
    top = size // 4  # no mask climbs above the brows
    assert torch.equal(masked[:, :, :top], pictures[:, :, :top])


@pytest.mark.parametrize("variant", [Masking(0.5), UpperFace(0.5)], ids=["mask", "upper"])
def test_draws_repeat_and_can_be_shared_out(variant: Masking | UpperFace):
    pictures = faces(6)
    first, second = (variant.apply(pictures, variant.sample(6, rng(3))) for _ in range(2))
    assert torch.equal(first, second)
    part = variant.sample(6, rng(3)).map(lambda rows: rows[1::2])
    torch.testing.assert_close(variant.apply(pictures[1::2], part), first[1::2])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_share_of_masked_faces(share: float):
    assert Masking(share).sample(5000, rng()).worn.float().mean().item() == pytest.approx(share, abs=0.03)
    assert UpperFace(share).sample(5000, rng()).cut.float().mean().item() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("variant", [Masking(0.0), UpperFace(0.0)], ids=["mask", "upper"])
def test_nobody_drawn_changes_nothing(variant: Masking | UpperFace):
    pictures = faces(3)
    assert torch.equal(variant.apply(pictures, variant.sample(3, rng())), pictures)  # type: ignore[arg-type]


def test_upper_face_by_hand():
    pictures = faces(2, 50)
    cut = UpperFace(0.5).apply(pictures, UpperParams(torch.tensor([True, False])))
    rows = round(50 * UPPER_SHARE)
    expected = functional.interpolate(pictures[:1, :, :rows], (50, 50), mode="bilinear")
    torch.testing.assert_close(cut[:1], expected)
    assert torch.equal(cut[1], pictures[1])
