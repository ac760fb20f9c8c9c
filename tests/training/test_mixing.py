import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from fer_space.training.mixing import (
    MIXES,
    AttentiveCutMix,
    CutMix,
    MixParams,
    Mixup,
    SnapMix,
    _fitted,
)

EYE = torch.eye(8)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sampled(
    weight: list[float], boxes: list[list[int]] | None = None, partner_boxes: list[list[int]] | None = None
) -> MixParams:
    none = [[0, 0, 0, 0]] * len(weight)
    ours = torch.tensor(boxes or none)
    theirs = torch.tensor(partner_boxes or boxes or none)
    return MixParams(torch.arange(len(weight)).roll(1), torch.tensor(weight), ours, theirs)


def batch(count: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Pictures float (B, 1, S, S) and one-hot targets float (B, 8)."""
    pictures = torch.rand(count, 1, size, size, generator=rng(seed)) * 255
    return pictures, EYE[torch.randint(8, (count,), generator=rng(seed + 1))]


def maps(count: int, seed: int = 0, side: int = 7) -> Tensor:
    return torch.rand(count, side, side, generator=rng(seed))


def black_and_white(size: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A black picture of class 0 and a white one of class 1."""
    return torch.zeros(1, 1, size, size), EYE[:1], torch.ones(1, 1, size, size), EYE[1:2]


def test_mixup_by_hand():
    mixed, targets = Mixup().apply(*black_and_white(), sampled([0.75]))
    torch.testing.assert_close(mixed, torch.full((1, 1, 4, 4), 0.25))
    torch.testing.assert_close(targets[0, :3], torch.tensor([0.75, 0.25, 0.0]))


def test_cutmix_by_hand():
    mixed, targets = CutMix().apply(*black_and_white(), sampled([1 - 6 / 16], [[1, 0, 4, 2]]))
    assert mixed[0, 0].int().tolist() == [[0, 1, 1, 1], [0, 1, 1, 1], [0] * 4, [0] * 4]
    torch.testing.assert_close(targets[0, :3], torch.tensor([10 / 16, 6 / 16, 0.0]))


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_mixup_is_that_of_torchvision(lam: float):
    pictures, targets = batch(5, 6)
    theirs = v2.MixUp(num_classes=8)
    their_params = {"lam": lam, "labels": targets, "batch_size": 5}
    params = sampled([lam] * 5)
    mixed, rows = Mixup().apply(pictures, targets, pictures[params.partner], targets[params.partner], params)
    torch.testing.assert_close(mixed, theirs.transform(pictures, their_params))
    torch.testing.assert_close(rows, theirs.transform(targets, their_params))


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (2, 1, 5, 6), (0, 0, 6, 6)])
def test_cutmix_is_that_of_torchvision(box: tuple[int, int, int, int]):
    pictures, targets = batch(5, 6)
    theirs = v2.CutMix(num_classes=8)
    kept = 1 - (box[2] - box[0]) * (box[3] - box[1]) / 36
    their_params = {"box": box, "lam_adjusted": kept, "labels": targets, "batch_size": 5}
    params = sampled([kept] * 5, [list(box)] * 5)
    mixed, rows = CutMix().apply(pictures, targets, pictures[params.partner], targets[params.partner], params)
    assert torch.equal(mixed, theirs.transform(pictures, their_params))
    torch.testing.assert_close(rows, theirs.transform(targets, their_params))


def test_snapmix_by_hand():
    map_a = torch.zeros(1, 4, 4)
    map_a[0, 0, 0], map_a[0, 3, 3] = 0.75, 0.25  # three quarters of A's meaning lie in its box
    map_b = torch.zeros(1, 4, 4)
    map_b[0, 2, 2], map_b[0, 0, 3] = 0.5, 0.5
    params = sampled([12 / 16], [[0, 0, 2, 2]], [[1, 1, 4, 4]])
    mixed, targets = SnapMix().apply(*black_and_white(), params, map_a, map_b)
    assert mixed[0, 0].int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    torch.testing.assert_close(targets[0, :3], torch.tensor([0.25, 0.5, 0.0]))


def test_snapmix_adds_up_equal_classes():
    a, target, b, _ = black_and_white()
    params = sampled([12 / 16], [[0, 0, 2, 2]])
    keeps, brings = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    keeps[0, 3, 3], brings[0, 0, 0] = 1, 1  # nothing of A is covered, all of B is pasted
    _, targets = SnapMix().apply(a, target, b, target, params, keeps, brings)
    torch.testing.assert_close(targets, 2.0 * target)


@pytest.mark.parametrize("value", [0.0, 0.3, float("nan")], ids=["zero", "constant", "nan"])
def test_snapmix_falls_back_to_area(value: float):
    empty = torch.full((1, 2, 2), value)
    params = sampled([12 / 16], [[0, 0, 2, 2]], [[1, 1, 4, 4]])
    _, targets = SnapMix().apply(*black_and_white(), params, empty, empty)
    torch.testing.assert_close(targets[0, :2], torch.tensor([12 / 16, 4 / 16]))


def test_snapmix_target_is_the_loss_of_the_paper():
    pictures, targets = batch(4, 8)
    params = SnapMix().sample(4, 8, rng(3))
    own, partners = maps(4, side=8), targets.roll(1, 0)
    _, rows = SnapMix().apply(pictures, targets, pictures.roll(1, 0), partners, params, own, own.roll(1, 0))
    logits = torch.randn(4, 8, generator=rng(5))
    loss = 0.0
    for i in range(4):
        percents = [own[j] - own[j].min() for j in (i, i - 1)]
        left, top, right, bottom = params.boxes[i].tolist()
        rho_a = 1.0 - percents[0][top:bottom, left:right].sum() / percents[0].sum()
        left, top, right, bottom = params.partner_boxes[i].tolist()
        rho_b = percents[1][top:bottom, left:right].sum() / percents[1].sum()
        loss += rho_a * functional.cross_entropy(logits[i], targets[i].argmax()) / 4
        loss += rho_b * functional.cross_entropy(logits[i], partners[i].argmax()) / 4
    torch.testing.assert_close(functional.cross_entropy(logits, rows), loss)


@pytest.mark.parametrize("box", [[1, 2, 7, 4], [0, 0, 9, 9], [3, 3, 4, 9]], ids=str)
@pytest.mark.parametrize("source", [[2, 2, 4, 9], [5, 0, 9, 1], [0, 0, 9, 9]], ids=str)
def test_a_box_is_resized_as_if_it_had_been_cut_out(box: list[int], source: list[int]):
    pictures, _ = batch(1, 9)
    left, top, right, bottom = box
    cut = pictures[..., source[1] : source[3], source[0] : source[2]]
    expected = functional.interpolate(cut, (bottom - top, right - left), mode="bilinear")
    fitted = _fitted(pictures, sampled([0.5], [box], [source]))
    torch.testing.assert_close(fitted[..., top:bottom, left:right], expected, atol=2e-3, rtol=1e-4)


def test_attentive_cutmix_by_hand():
    attention = torch.zeros(1, 7, 7)
    cells = [(0, 0), (2, 3), (2, 4), (3, 3), (6, 5), (6, 6)]
    for row, column in cells:
        attention[0, row, column] = 1.0 + row
    mixed, targets = AttentiveCutMix().apply(*black_and_white(14), sampled([43 / 49]), None, attention)
    expected = torch.zeros(14, 14)
    for row, column in cells:
        expected[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = 1
    assert torch.equal(mixed[0, 0], expected)
    torch.testing.assert_close(targets[0, :3], torch.tensor([43 / 49, 6 / 49, 0.0]))


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_attentive_cutmix_leaves_a_picture_whose_partner_has_no_attention(value: float):
    a, target, b, other = black_and_white(14)
    mixed, targets = AttentiveCutMix().apply(
        a, target, b, other, sampled([43 / 49]), None, torch.full((1, 7, 7), value)
    )
    assert torch.equal(mixed, a)
    assert torch.equal(targets, target)


MIXTURES = [Mixup(), CutMix(share=0.8), SnapMix(share=0.8), AttentiveCutMix(share=0.8)]


@pytest.mark.parametrize("mix", MIXTURES, ids=lambda mix: type(mix).__name__)
@given(count=st.integers(1, 6), size=st.integers(7, 20), seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_every_mix_keeps_its_promises(mix: object, count: int, size: int, seed: int):
    pictures, targets = batch(count, size, seed)
    attention = maps(count, seed)
    params = mix.sample(count, size, rng(seed))
    rows = (pictures, targets, pictures[params.partner], targets[params.partner])
    before = [tensor.clone() for tensor in (*rows, attention)]
    mixed, mixed_targets = mix.apply(*rows, params, attention, attention[params.partner])
    for tensor, copy in zip((*rows, attention), before, strict=True):
        assert torch.equal(tensor, copy)
    assert mixed.data_ptr() != pictures.data_ptr()
    assert mixed.shape == pictures.shape
    assert mixed_targets.shape == (count, 8)
    assert mixed_targets.dtype == torch.float32
    assert 0.0 <= params.weight.min() <= params.weight.max() <= 1.0
    assert mixed_targets.min() >= 0.0
    assert mixed_targets.sum(dim=1).max() <= 2.0 + 1e-4
    whole = params.weight == 1.0
    assert torch.equal(mixed[whole], pictures[whole])
    torch.testing.assert_close(mixed_targets[whole], targets[whole])
    if not isinstance(mix, SnapMix):
        torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(count))


@given(count=st.integers(2, 6), size=st.integers(3, 20), seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_cutmix_weighs_by_the_pixels_that_it_took(count: int, size: int, seed: int):
    mix = CutMix(share=1.0)
    params = mix.sample(count, size, rng(seed))
    black, white = torch.zeros(count, 3, size, size), torch.ones(count, 3, size, size)
    mixed, targets = mix.apply(black, EYE[:1].repeat(count, 1), white, EYE[1:2].repeat(count, 1), params)
    torch.testing.assert_close(targets[:, 1], mixed.mean(dim=(1, 2, 3)))
    assert set(mixed.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("mix", [CutMix(share=1.0), SnapMix()], ids=["cutmix", "snapmix"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_pixels_outside_the_boxes_stay(mix: object, seed: int):
    pictures, targets = batch(3, 12, seed)
    params = mix.sample(3, 12, rng(seed))
    partners = pictures[params.partner] + 1000.0
    mixed, _ = mix.apply(pictures, targets, partners, targets[params.partner], params, maps(3), maps(3))
    for i, (left, top, right, bottom) in enumerate(params.boxes.tolist()):
        outside = torch.ones(12, 12, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert torch.equal(mixed[i, 0][outside], pictures[i, 0][outside])
        assert (mixed[i, 0][~outside] >= 999.0).all()


@pytest.mark.parametrize("mix", MIXTURES, ids=lambda mix: type(mix).__name__)
def test_a_worker_that_takes_its_share_mixes_the_same(mix: object):
    pictures, targets = batch(6, 14)
    attention = maps(6)
    params = mix.sample(6, 14, rng(2))
    rows = (pictures, targets, pictures[params.partner], targets[params.partner])
    whole = mix.apply(*rows, params, attention, attention[params.partner])
    mine = params.map(lambda tensor: tensor[1::2])
    part = mix.apply(*(tensor[1::2] for tensor in rows), mine, attention[1::2], attention[mine.partner])
    for all_rows, some in zip(whole, part, strict=True):
        torch.testing.assert_close(some, all_rows[1::2])


@pytest.mark.parametrize("mix", MIXTURES, ids=lambda mix: type(mix).__name__)
def test_equal_seeds_draw_equally(mix: object):
    first, second = (mix.sample(9, 24, rng(7)) for _ in range(2))
    for name in ("partner", "weight", "boxes", "partner_boxes"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert not (first.partner == torch.arange(9)).any()


@pytest.mark.parametrize(
    ("mix", "mean", "spread"), [(Mixup(alpha=1.0), 0.5, 1 / 12), (Mixup(alpha=5.0), 0.5, 1 / 44)]
)
def test_lambda_has_the_moments_of_its_beta(mix: Mixup, mean: float, spread: float):
    weight = mix.sample(20_000, 8, rng()).weight
    assert weight.mean().item() == pytest.approx(mean, abs=0.01)
    assert weight.var().item() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize("mix", [Mixup(share=0.25), CutMix(share=0.25), AttentiveCutMix(share=0.25)])
def test_share_is_the_part_of_the_pictures_that_is_mixed(mix: object):
    weight = mix.sample(8000, 96, rng()).weight
    assert (weight < 1.0).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_registry_builds_each_and_says_what_it_needs():
    needs = {name: build().needs for name, build in MIXES.items()}
    assert needs == {"mixup": "", "cutmix": "", "snapmix": "own", "attentive-cutmix": "guide"}
    for name in ("snapmix", "attentive-cutmix"):
        with pytest.raises(ValueError, match="maps"):
            MIXES[name]().apply(*black_and_white(), sampled([0.5]))
