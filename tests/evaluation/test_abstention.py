import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp

from fer_space.data.taggers import SPLIT, UNSEEN, TaggedFaces
from fer_space.evaluation.abstention import (
    NEIGHBOURS,
    Signals,
    as_text,
    auroc,
    cut_of,
    energy,
    false_passes,
    measure,
    nearness,
    read_signals,
    risk_area,
    risk_at,
    together,
)
from fer_space.model import Model
from fer_space.vision.imaging import encode_png
from tests.networks import lively_tiny, toy_card

KNOWN = np.array([True] * 20 + [False] * 5)


def tagged(count: int = 40, seed: int = 0) -> TaggedFaces:
    """Faces of noise; of four, two have a label, one divides its taggers and one shows no face."""
    rng = np.random.default_rng(seed)
    votes = np.zeros((count, 10), dtype=np.int64)
    for i, row in enumerate(votes):
        if i % 4 < 2:
            row[i % 8] = 10
        elif i % 4 == 2:
            row[:3] = (4, 3, 3)
        else:
            row[9] = 10
    pictures = [encode_png(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)) for _ in range(count)]
    sources = tuple(lambda data=data: data for data in pictures)
    return TaggedFaces("made", "test", tuple(f"{i}.png" for i in range(count)), sources, votes)


@pytest.fixture
def model() -> Model:
    return Model(toy_card(), lively_tiny())


def test_a_signal_that_knows_tells_all_apart():
    signal = np.where(KNOWN, np.arange(25.0) + 100.0, 0.0)
    assert auroc(signal, KNOWN) == 1.0
    assert auroc(-signal, KNOWN) == 0.0
    assert false_passes(signal, KNOWN) == 0.0
    assert false_passes(-signal, KNOWN) == 1.0


@given(arrays(np.float64, 200, elements=st.floats(-1e3, 1e3)), st.floats(0.05, 1.0))
def test_a_cut_lets_at_least_its_share_pass(signal: np.ndarray, passing: float):
    known = np.ones(200, dtype=np.bool_)
    assert (signal >= cut_of(signal, known, passing)).mean() >= passing - 1e-9


def test_risk_by_hand():
    signal, right = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, True, False, False])
    risks = [risk_at(signal, right, share) for share in (0.25, 0.5, 0.75, 1.0)]
    assert risks == pytest.approx([0.0, 0.0, 1 / 3, 0.5])
    assert risk_area(signal, right) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert risk_area(-signal, right) > risk_area(signal, right)


def test_energy_is_of_the_calibrated_logits():
    logits, card = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32), toy_card(temperature=2.0)
    expected = logsumexp((logits + np.array(card.bias)) / 2.0, axis=1)
    np.testing.assert_allclose(energy(logits, card), expected)


def test_nearness_is_the_distance_to_the_tenth_neighbour_that_is_not_the_face_itself():
    angles = np.deg2rad(np.arange(30.0))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    own = nearness(ring, ring, own=np.ones(30, dtype=np.bool_))
    assert own[0] == pytest.approx(-2 * np.sin(np.deg2rad(NEIGHBOURS) / 2), abs=1e-4)
    other = nearness(5.0 * ring[:1], ring)  # length means nothing
    assert other[0] == pytest.approx(-2 * np.sin(np.deg2rad(NEIGHBOURS - 1) / 2), abs=1e-4)


def test_every_signal_of_a_model_is_measured(model: Model):
    valid = read_signals(model, tagged(seed=1))
    test = read_signals(model, tagged(seed=2), valid)
    record = measure(valid, test)
    assert json.loads(json.dumps(record)) == record
    assert (record["n"], record["known"]) == (40, 20)
    assert record["without_label"] == {SPLIT: 10, UNSEEN: 10}
    assert set(record["signals"]) == {"probability", "entropy", "energy", "nearness"}
    for found in record["signals"].values():
        assert 0.0 <= found["auroc"] <= 1.0
        assert set(found["auroc_by_reason"]) == {SPLIT, UNSEEN}
        assert found["risk"]["1"] >= 0.5  # half of the faces have no right answer
    assert record["taggers"]["one_tagger"] == 1.0
    text = as_text("tiny", record)
    assert "tiny on made test: 20 known faces, 20 without a label" in text
    assert text.count("AUROC") == 4


def test_the_cut_is_that_of_the_validation_faces(model: Model):
    valid, test = read_signals(model, tagged(seed=1)), read_signals(model, tagged(seed=2))
    closed = Signals(valid.faces, valid.probabilities, {n: v + 1e6 for n, v in valid.values.items()})
    assert measure(closed, test)["signals"]["energy"]["others_passing"] == 0.0
    opened = Signals(valid.faces, valid.probabilities, {n: v - 1e6 for n, v in valid.values.items()})
    assert measure(opened, test)["signals"]["energy"]["others_passing"] == 1.0


def test_several_have_their_agreement_and_common_units(model: Model):
    other = Model(toy_card(), lively_tiny(1))
    valid = [read_signals(m, tagged(seed=1)) for m in (model, other)]
    test = [read_signals(m, tagged(seed=2), v) for m, v in zip((model, other), valid, strict=True)]
    both = together(test, valid)
    assert set(both.values) == {"probability", "entropy", "agreement", "energy", "nearness"}
    assert (both.values["agreement"] <= 0.0).all()
    one = together([test[0], test[0]], [valid[0], valid[0]])
    assert np.abs(one.values["agreement"]).max() == pytest.approx(0.0)
    order = one.values["energy"].argsort()
    np.testing.assert_array_equal(order, test[0].values["energy"].argsort())
    np.testing.assert_allclose(together(test, valid, (1.0, 0.0)).probabilities, test[0].probabilities)
