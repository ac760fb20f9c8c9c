from dataclasses import replace

import numpy as np
import pytest

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.comparing import differences_from
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from tests.evaluation.made import lively, predictions_of, rows_of


def test_differences_are_those_of_the_scores_and_lie_in_their_intervals():
    base = lively(400)
    other = replace(base, probabilities=lively(400, seed=3).probabilities)
    found = differences_from(base, other)
    assert list(found) == ["accuracy", "balanced_accuracy"]
    for rule in (accuracy, balanced_accuracy):
        value, low, high = found[rule.__name__]
        assert value == pytest.approx(
            rule(other.probabilities, base.labels) - rule(base.probabilities, base.labels), abs=1e-5
        )
        assert low < value < high


def test_what_the_data_lack_is_left_out_of_both():
    labels = ["neutral", "happiness"] * 20
    rows = rows_of(["contempt", "happiness"] * 20)
    rows[::2, EMOTIONS.index("neutral")] += 0.05  # second to contempt
    rows /= rows.sum(axis=1, keepdims=True)
    known = ("neutral", "happiness")
    one = predictions_of(labels, rows, data_classes=known)
    two = predictions_of(labels, rows_of(labels), data_classes=known)
    assert differences_from(one, two)["accuracy"] == (0.0, 0.0, 0.0)


def test_other_faces_cannot_be_compared():
    with pytest.raises(InputError, match="not of the same faces"):
        differences_from(lively(20), lively(20, seed=1))
    assert not np.array_equal(lively(20).labels, lively(20, seed=1).labels)
