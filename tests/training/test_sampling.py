import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_space.training.sampling import epoch_length, epoch_order

LABELS = torch.tensor([0] * 90 + [2] * 9 + [5])


def shown(imbalance: str, labels: torch.Tensor = LABELS) -> torch.Tensor:
    order = epoch_order(labels, imbalance, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert len(order) == epoch_length(labels, imbalance)  # type: ignore[arg-type]
    return order


def test_plain_order_shows_every_picture_once():
    assert sorted(shown("none").tolist()) == list(range(100))


def test_oversampling_shows_every_picture_and_every_emotion_alike():
    order = shown("oversample")
    assert set(order.tolist()) == set(range(100))
    assert torch.bincount(LABELS[order]).tolist() == [90, 0, 90, 0, 0, 90]


def test_undersampling_shows_as_many_as_the_rarest_has():
    assert torch.bincount(LABELS[shown("undersample")]).tolist() == [1, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(("imbalance", "ratio"), [("balanced", 1.0), ("sqrt", 3.0)])
def test_drawing_follows_the_power_of_the_count(imbalance: str, ratio: float):
    labels = torch.tensor([0] * 9000 + [1] * 1000)
    counts = torch.bincount(labels[shown(imbalance, labels)]).float()
    assert float(counts[0] / counts[1]) == pytest.approx(ratio, rel=0.1)


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=60),
    st.sampled_from(["none", "oversample", "undersample", "balanced", "sqrt"]),
)
def test_orders_hold_positions_of_the_set(labels: list[int], imbalance: str):
    order = shown(imbalance, torch.tensor(labels))
    assert order.min() >= 0
    assert order.max() < len(labels)
