from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.evaluation.affect_metrics import ccc, pearson, rmse

X = np.array([0.0, 0.2, 0.4, 0.6])
NAN = float("nan")


def test_by_hand():
    """Labels are twice the predictions: cov = 2 var x = 0.1, var y = 0.2, means differ by 0.3."""
    assert X.var() == pytest.approx(0.05)
    assert ccc(X, 2 * X) == pytest.approx(0.2 / (0.05 + 0.2 + 0.09))
    assert pearson(X, 2 * X) == pytest.approx(1.0)
    assert rmse(X, 2 * X) == pytest.approx(sqrt((0.04 + 0.16 + 0.36) / 4))


@pytest.mark.parametrize(
    ("predicted", "labels", "expected"),
    [
        (X, X, (1.0, 1.0, 0.0)),
        (-X, X, (-0.1 / (0.1 + 0.36), -1.0, sqrt(4 * 0.56 / 4))),
        (X + 0.5, X, (0.1 / (0.1 + 0.25), 1.0, 0.5)),
        (np.full(4, 0.5), X, (0.0, NAN, sqrt((0.25 + 0.09 + 0.01 + 0.01) / 4))),
        (np.full(4, 0.5), np.full(4, 0.1), (0.0, NAN, 0.4)),
        (np.full(4, 0.5), np.full(4, 0.5), (NAN, NAN, 0.0)),
        (np.array([]), np.array([]), (NAN, NAN, NAN)),
    ],
    ids=["equal", "turned round", "shifted", "constant", "two constants", "same constant", "nothing"],
)
def test_plain_cases(predicted: np.ndarray, labels: np.ndarray, expected: tuple[float, float, float]):
    found = (ccc(predicted, labels), pearson(predicted, labels), rmse(predicted, labels))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_pairs_with_a_gap_are_left_out():
    gappy, labels = np.append(X, [NAN, 0.9]), np.append(2 * X, [0.3, NAN])
    assert ccc(gappy, labels) == ccc(X, 2 * X)
    assert rmse(gappy, labels) == rmse(X, 2 * X)
    assert isnan(pearson(np.array([NAN]), np.array([0.0])))


values = arrays(np.float64, 12, elements=st.floats(-1, 1, width=32))


@given(values, values)
def test_concordance_is_symmetric_and_no_larger_than_correlation(x: np.ndarray, y: np.ndarray):
    agreement, correlation = ccc(x, y), pearson(x, y)
    if isnan(agreement) or isnan(correlation):
        return
    assert agreement == pytest.approx(ccc(y, x), abs=1e-9)
    assert -1.0 - 1e-9 <= agreement <= 1.0 + 1e-9
    if min(x.std(), y.std()) > 1e-6:
        assert abs(agreement) <= abs(correlation) + 1e-6
