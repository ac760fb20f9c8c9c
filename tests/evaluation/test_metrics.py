import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.evaluation import metrics


def sure(answers: list[int], confidence: float = 1.0) -> np.ndarray:
    rows = np.full((len(answers), 8), (1 - confidence) / 7)
    rows[np.arange(len(answers)), answers] = confidence
    return rows


LABELS = np.array([0, 0, 0, 1, 5])
ANSWERS = sure([0, 0, 1, 1, 0])


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
    rows = sure([0, 0])
    rows[1] = 0.0
    labels = np.array([0, 0])
    assert metrics.answers(rows).tolist() == [0, metrics.NO_ANSWER]
    assert metrics.accuracy(rows, labels) == 0.5
    assert metrics.confusion(rows, labels).sum() == 1
    assert metrics.ece(rows, labels) == pytest.approx(0.0)


def test_ece_by_hand():
    rows = np.concatenate([sure([0] * 4, 0.9), sure([1] * 4, 0.6)])
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 0])  # .9 is right in .75, .6 in .5
    assert metrics.ece(rows, labels) == pytest.approx(0.5 * 0.15 + 0.5 * 0.1)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40))
def test_every_score_is_a_fraction(pairs: list[tuple[int, int]]):
    record = metrics.score(sure([a for a, _ in pairs], 0.7), np.array([b for _, b in pairs]))
    low, high = record["accuracy_interval"]
    assert 0.0 <= low <= record["accuracy"] + 1e-5
    assert record["accuracy"] <= high + 1e-5 <= 1.0 + 1e-5
    assert all(0.0 <= record[key] <= 1.0 for key in ("balanced_accuracy", "macro_f1", "ece"))


def test_a_model_is_level_with_itself_and_ahead_of_a_worse_one():
    labels = np.arange(800) % 8
    good = sure(np.where(np.arange(800) % 5 == 0, (labels + 1) % 8, labels).tolist())  # 80 %
    poor = sure(np.where(np.arange(800) % 2 == 0, (labels + 1) % 8, labels).tolist())  # 50 %
    assert set(metrics.difference_intervals(good, good, labels).values()) == {(0.0, 0.0)}
    for low, high in metrics.difference_intervals(good, poor, labels).values():
        assert 0.2 < low < 0.3 < high < 0.4
    flipped = metrics.difference_intervals(poor, good, labels)
    np.testing.assert_allclose(
        flipped["accuracy"],
        [-v for v in reversed(metrics.difference_intervals(good, poor, labels)["accuracy"])],
    )


def test_pairs_are_told_apart_where_independent_intervals_overlap():
    labels = np.zeros(400, dtype=np.int64)
    wrong = np.arange(400) < 200
    first = sure(np.where(wrong, 1, 0).tolist())
    second = sure(np.where(wrong & (np.arange(400) >= 12), 1, 0).tolist())  # right on 12 faces more
    low, high = metrics.difference_intervals(second, first, labels)["accuracy"]
    assert 0.0 < low < 0.03 < high < 0.06
    (_, of_first), (of_second, _) = (metrics.bootstrap_interval(rows, labels) for rows in (first, second))
    assert of_first > of_second


def test_reliability_by_hand():
    rows = np.concatenate([sure([0] * 4, 0.9), sure([1] * 4, 0.6), np.zeros((1, 8))])
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0])
    bins = metrics.reliability(rows, labels, bins=5)
    assert bins.count.tolist() == [0, 0, 0, 4, 4]
    np.testing.assert_allclose(bins.confidence, [np.nan, np.nan, np.nan, 0.6, 0.9])
    np.testing.assert_allclose(bins.accuracy, [np.nan, np.nan, np.nan, 0.5, 0.75])
    assert bins.ece == metrics.ece(rows, labels, bins=5) == pytest.approx(0.125)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40), st.integers(1, 20))
def test_bins_hold_every_answer_once(pairs: list[tuple[int, int]], bins: int):
    rows, labels = sure([a for a, _ in pairs], 1.0), np.array([b for _, b in pairs], dtype=np.int64)
    seen = metrics.reliability(rows.reshape(-1, 8), labels, bins)
    assert seen.count.sum() == seen.count[-1] == len(pairs)
    assert 0.0 <= seen.ece <= 1.0
