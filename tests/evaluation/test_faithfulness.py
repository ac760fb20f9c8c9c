"""Deletion and insertion on a reader whose truth is known."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fer_space.evaluation.faithfulness import (
    Curves,
    area,
    centre_blob,
    compare,
    measure,
    random_maps,
    trace,
)
from fer_space.model import Model
from tests.networks import lively_tiny, toy_card


def corner_reader(pictures: Tensor) -> np.ndarray:
    """Probability of class 0 is the contrast in the upper left quarter, which a blur takes away."""
    corner = pictures[:, 0, :10, :10].double() / 255
    sure = (corner.var(dim=(1, 2), unbiased=False) * 4).clamp(0, 1)
    return torch.stack([sure, 1 - sure], dim=1).numpy()


@pytest.fixture
def pictures() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (12, 1, 20, 20), generator=rng).to(torch.uint8) * 255


def _corner_map(count: int) -> Tensor:
    heat = torch.zeros(count, 20, 20)
    heat[:, :10, :10] = 1.0
    return heat


def test_area_by_hand():
    curve = np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0]])
    assert area(curve).tolist() == [0.5, 1.0]


def test_curves_start_and_end_where_nothing_and_everything_is_done(pictures: Tensor):
    columns = np.zeros(12, dtype=np.int64)
    curves = trace(corner_reader, pictures, _corner_map(12), columns, steps=4)
    assert curves.deletion.shape == (12, 5)
    free = corner_reader(pictures)[:, 0]
    assert curves.deletion[:, 0] == pytest.approx(free)
    assert curves.insertion[:, -1] == pytest.approx(free)
    assert curves.deletion[:, -1] == pytest.approx(curves.insertion[:, 0])
    # the corner is a quarter of the picture: after one step of four all of it is hidden, or shown
    assert curves.insertion[:, 1] == pytest.approx(free)
    assert (curves.deletion[:, 1] < 0.2).all()


def test_the_true_map_is_ahead_of_a_blob_and_a_false_one_is_not(pictures: Tensor):
    columns = np.zeros(12, dtype=np.int64)

    def curves(heat: Tensor) -> Curves:
        return trace(corner_reader, pictures, heat, columns)

    blob = curves(centre_blob(12, 20))
    true, false = _corner_map(12), 1.0 - _corner_map(12)
    assert compare(curves(true), blob).ahead
    verdict = compare(curves(false), blob)
    assert not verdict.ahead
    assert verdict.low <= verdict.value <= verdict.high < 0.0
    assert compare(blob, blob).value == 0.0


def test_the_blob_is_in_the_middle_and_random_maps_repeat():
    blob = centre_blob(2, 9)
    assert blob.shape == (2, 9, 9)
    assert blob[0].argmax() == 40
    assert torch.equal(random_maps(3, 9, seed=1), random_maps(3, 9, seed=1))
    assert not torch.equal(random_maps(3, 9, seed=1), random_maps(3, 9, seed=2))
    assert 0.0 <= random_maps(3, 9).min() <= random_maps(3, 9).max() <= 1.0


def test_a_model_is_measured_by_every_method_beside_both_rivals():
    model = Model(toy_card(), lively_tiny())
    pictures = torch.randint(0, 256, (6, 1, 12, 12), dtype=torch.uint8)
    record = measure(model, pictures, ["default", "layercam"])
    assert list(record) == ["centre", "random", "hirescam", "layercam"]
    for method in ("hirescam", "layercam"):
        assert set(record[method]) == {"deletion", "insertion", "ahead_of_centre", "ahead_of_random"}
        value, low, high = record[method]["ahead_of_random"]
        assert low <= value <= high
        net = record[method]["insertion"] - record[method]["deletion"]
        rival = record["random"]["insertion"] - record["random"]["deletion"]
        assert value == pytest.approx(net - rival, abs=1e-3)
