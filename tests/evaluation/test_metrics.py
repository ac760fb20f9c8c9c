from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.distributions import NO_ANSWER, top
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from fer_space.evaluation import metrics
from fer_space.evaluation.metrics import ccc, pearson, rmse
from tests.evaluation.made import SEVEN, lively

NAN = float("nan")


def sure(answers: list[int], confidence: float = 1.0) -> np.ndarray:
    """One row an answer; NO_ANSWER gives none."""
    rows = np.full((len(answers), 8), (1 - confidence) / 7)
    rows[np.arange(len(answers)), answers] = confidence
    rows[np.array(answers, dtype=int) == NO_ANSWER] = NAN
    return rows


LABELS = np.array([0, 0, 0, 1, 5])
ANSWERS = sure([0, 0, 1, 1, 0])
pairs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40)


def test_scores_by_hand():
    assert metrics.accuracy(ANSWERS, LABELS) == pytest.approx(3 / 5)
    assert metrics.recalls(ANSWERS, LABELS) == pytest.approx(
        {"neutral": 2 / 3, "happiness": 1.0, "disgust": 0.0}
    )
    assert metrics.balanced_accuracy(ANSWERS, LABELS) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert metrics.macro_f1(ANSWERS, LABELS) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_confusion_has_labels_in_rows():
    counts = metrics.confusion(ANSWERS, LABELS)
    assert counts[0, 1] == 1
    assert counts[5, 0] == 1
    assert counts.sum() == 5


def test_a_face_that_was_not_found_is_wrong_everywhere():
    rows, labels = sure([0, NO_ANSWER]), np.array([0, 0])
    assert top(rows).tolist() == [0, NO_ANSWER]
    assert metrics.accuracy(rows, labels) == 0.5
    assert metrics.confusion(rows, labels).sum() == 1
    assert metrics.ece(rows, labels) == pytest.approx(0.0)
    assert metrics.confusion(sure([NO_ANSWER]), np.array([0])).sum() == 0


def test_ece_by_hand():
    rows = np.concatenate([sure([0] * 4, 0.9), sure([1] * 4, 0.6)])
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 0])  # .9 is right in .75, .6 in .5
    assert metrics.ece(rows, labels) == pytest.approx(0.5 * 0.15 + 0.5 * 0.1)


@given(pairs)
def test_every_score_is_a_fraction(pairs: list[tuple[int, int]]):
    record = metrics.rates(sure([a for a, _ in pairs], 0.7), np.array([b for _, b in pairs]))
    low, high = record.accuracy_interval
    assert 0.0 <= low <= record.accuracy + 1e-5
    assert record.accuracy <= high + 1e-5 <= 1.0 + 1e-5
    assert all(0.0 <= share <= 1.0 for share in (record.balanced_accuracy, record.macro_f1, record.ece))


def test_reliability_by_hand():
    rows = np.concatenate([sure([0] * 4, 0.9), sure([1] * 4, 0.6), sure([NO_ANSWER])])
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0])
    bins = metrics.reliability(rows, labels, bins=5)
    assert bins.count.tolist() == [0, 0, 0, 4, 4]
    np.testing.assert_allclose(bins.confidence, [NAN, NAN, NAN, 0.6, 0.9])
    np.testing.assert_allclose(bins.accuracy, [NAN, NAN, NAN, 0.5, 0.75])
    assert bins.ece == metrics.ece(rows, labels, bins=5) == pytest.approx(0.125)


@given(pairs, st.integers(1, 20))
def test_bins_hold_every_answer_once(pairs: list[tuple[int, int]], bins: int):
    rows, labels = sure([a for a, _ in pairs], 1.0), np.array([b for _, b in pairs], dtype=np.int64)
    seen = metrics.reliability(rows, labels, bins)
    assert seen.count.sum() == seen.count[-1] == len(pairs)
    assert 0.0 <= seen.ece <= 1.0


def test_a_model_is_level_with_itself_and_ahead_of_a_worse_one():
    labels = np.arange(800) % 8
    good = sure(np.where(np.arange(800) % 5 == 0, (labels + 1) % 8, labels).tolist())  # 80 %
    poor = sure(np.where(np.arange(800) % 2 == 0, (labels + 1) % 8, labels).tolist())  # 50 %
    assert set(metrics.differences(good, good, labels).values()) == {(0.0, 0.0, 0.0)}
    ahead, behind = metrics.differences(good, poor, labels), metrics.differences(poor, good, labels)
    for name, (value, low, high) in ahead.items():
        assert 0.2 < low < value < high < 0.4
        assert value == pytest.approx(0.3)
        np.testing.assert_allclose(behind[name], (-value, -high, -low), atol=1e-5)


def test_pairs_are_told_apart_where_independent_intervals_overlap():
    labels = np.zeros(400, dtype=np.int64)
    wrong = np.arange(400) < 200
    first = sure(np.where(wrong, 1, 0).tolist())
    second = sure(np.where(wrong & (np.arange(400) >= 12), 1, 0).tolist())  # right on 12 faces more
    value, low, high = metrics.differences(second, first, labels)["accuracy"]
    assert 0.0 < low < value == 0.03 < high < 0.06
    (_, of_first), (of_second, _) = (metrics.bootstrap_interval(rows, labels) for rows in (first, second))
    assert of_first > of_second


def runs(values: list[float], half: float) -> list[dict[str, metrics.Difference]]:
    """Make the differences of one change, a seed each."""
    return [{"accuracy": metrics.Difference(v, v - half, v + half)} for v in values]


def test_seeds_that_agree_leave_what_the_faces_leave_open():
    found = metrics.over_seeds({"mixup": runs([0.03] * 3, 0.01), "focal": runs([-0.02] * 3, 0.005)})
    assert found["mixup"]["accuracy"] == pytest.approx((0.03, 0.02, 0.04))
    assert found["focal"]["accuracy"] == pytest.approx((-0.02, -0.025, -0.015))


def test_the_noise_of_seeds_is_pooled_over_all_changes():
    found = metrics.over_seeds({"none": runs([0.0] * 3, 0.0), "mixup": runs([-0.01, 0.0, 0.01], 0.0)})
    deviation = sqrt(2 * 0.01**2 / 4)  # four degrees of freedom, of which two are those of a constant
    half = 2.776 * deviation / sqrt(3)  # the t quantile of four degrees
    for change in found.values():
        assert change["accuracy"] == pytest.approx((0.0, -half, half), abs=2e-5)


def test_answers_and_errors_of_a_pair_by_hand():
    labels = np.arange(4)
    one, two = sure([0, 3, 4, 3]), sure([0, 3, 5, 6])  # wrong on the second and third; on the last three
    found = metrics.overlap([one, two], labels)
    np.testing.assert_allclose(found.same_answer, [[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(found.shared_errors, [[1.0, 1.0], [2 / 3, 1.0]])
    assert (found.all_right, found.any_right) == (0.25, 0.5)


def test_a_missing_answer_is_an_error_that_agrees_with_nobody():
    labels, gap = np.arange(4), sure([NO_ANSWER, 1, 2, 3])
    found = metrics.overlap([gap, gap, sure([0, 1, 2, 3])], labels)
    assert found.same_answer[0, 1] == 0.75
    assert found.shared_errors[0].tolist() == [1.0, 1.0, 0.0]
    assert np.isnan(found.shared_errors[2]).all()  # it makes no error that could be shared


@given(st.lists(st.lists(st.integers(-1, 7), min_size=4, max_size=4), min_size=1, max_size=4))
def test_what_always_holds_of_an_overlap(answers: list[list[int]]):
    found = metrics.overlap([sure(given) for given in answers], np.arange(4))
    assert (found.same_answer == found.same_answer.T).all()
    known = found.shared_errors[~np.isnan(found.shared_errors)]
    assert ((known >= 0.0) & (known <= 1.0)).all()
    assert found.all_right <= found.any_right


def test_adjustment_by_hand():
    rows = np.zeros((3, 8))
    rows[0, :2], rows[1, :2], rows[2] = [0.9, 0.1], [0.6, 0.4], NAN  # means of the answers: .75 and .25
    np.testing.assert_allclose(metrics.adjusted(rows, 1.0)[:, :2], [[0.75, 0.25], [1 / 3, 2 / 3], [NAN, NAN]])
    np.testing.assert_allclose(metrics.adjusted(rows, 0.0), rows)
    assert not metrics.adjusted(rows, 1.0)[:2, 2:].any()


@given(raw=arrays(np.float64, (6, 8), elements=st.floats(0.0, 1.0)), tau=st.floats(-1.0, 2.0))
def test_adjusted_rows_sum_to_one_or_are_no_answer(raw: np.ndarray, tau: float):
    rows = metrics.adjusted(np.where(raw < 1e-3, 0.0, raw), tau)
    unanswered = np.isnan(rows).all(axis=1)
    np.testing.assert_allclose(rows[~unanswered].sum(axis=1), 1.0)


def test_rare_emotions_rise_with_the_strength():
    made = lively(2_000)
    rows, labels = made.probabilities.copy(), made.labels
    rows[:, 5] *= 0.02  # a model that hardly ever says disgust
    rows /= rows.sum(axis=1, keepdims=True)
    points = metrics.tradeoff(rows, labels, (0.0, 0.5, 1.0))
    disgust = [point.recalls["disgust"] for point in points]
    assert disgust == sorted(disgust)
    assert disgust[0] < 0.3 < disgust[2]
    assert points[0].accuracy == metrics.accuracy(rows, labels)
    assert points[2].balanced_accuracy == pytest.approx(np.mean(list(points[2].recalls.values())))


@given(st.sets(st.sampled_from(EMOTIONS)), st.sets(st.sampled_from(EMOTIONS)))
def test_absences_are_what_only_one_side_knows(model: set[str], data: set[str]):
    if not model & data:
        with pytest.raises(DataError, match="in common"):
            metrics.absences(model, data)
        return
    from_data, from_model = metrics.absences(model, data)
    assert (set(from_data), set(from_model)) == (model - data, data - model)


def test_absences_are_in_canonical_order():
    assert metrics.absences(EMOTIONS[::-1], EMOTIONS[2:4]) == ((*EMOTIONS[:2], *EMOTIONS[4:]), ())
    assert metrics.absences(SEVEN, EMOTIONS) == ((), ("contempt",))


X = np.array([0.0, 0.2, 0.4, 0.6])


def test_agreement_by_hand():
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
def test_agreement_of_plain_cases(
    predicted: np.ndarray, labels: np.ndarray, expected: tuple[float, float, float]
):
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
