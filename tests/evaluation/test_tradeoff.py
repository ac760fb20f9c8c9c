import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.evaluation.metrics import accuracy
from fer_space.evaluation.tradeoff import adjusted, tradeoff
from tests.evaluation.made import lively


def test_adjustment_by_hand():
    rows = np.zeros((3, 8))
    rows[0, :2], rows[1, :2] = [0.9, 0.1], [0.6, 0.4]  # means of the answers: .75 and .25
    np.testing.assert_allclose(adjusted(rows, 1.0)[:, :2], [[0.75, 0.25], [1 / 3, 2 / 3], [0, 0]])
    np.testing.assert_allclose(adjusted(rows, 0.0), rows)
    assert not adjusted(rows, 1.0)[:, 2:].any()


@given(
    raw=arrays(np.float64, (6, 8), elements=st.floats(0.0, 1.0)),
    tau=st.floats(-1.0, 2.0),
)
def test_rows_sum_to_one_or_nothing(raw: np.ndarray, tau: float):
    rows = adjusted(np.where(raw < 1e-3, 0.0, raw), tau)
    sums = rows.sum(axis=1)
    assert np.isfinite(rows).all()
    assert (np.isclose(sums, 1.0) | (sums == 0.0)).all()


def test_rare_emotions_rise_with_the_strength():
    made = lively(2_000)
    rows, labels = made.probabilities.copy(), made.labels
    rows[:, 5] *= 0.02  # a model that hardly ever says disgust
    rows /= rows.sum(axis=1, keepdims=True)
    points = tradeoff(rows, labels, (0.0, 0.5, 1.0))
    disgust = [point.recalls["disgust"] for point in points]
    assert disgust == sorted(disgust)
    assert disgust[0] < 0.3 < disgust[2]
    assert points[0].accuracy == accuracy(rows, labels)
    assert points[2].balanced_accuracy == pytest.approx(np.mean(list(points[2].recalls.values())))
