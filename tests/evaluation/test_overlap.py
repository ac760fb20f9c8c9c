import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.overlap import overlap
from fer_space.evaluation.predictions import Predictions
from tests.evaluation.made import predictions_of, rows_of

LABELS = ["neutral", "happiness", "fear", "anger"]


def says(name: str, *answers: str) -> Predictions:
    return predictions_of(LABELS, rows_of(answers), backbone=name)


def test_answers_and_errors_of_a_pair_by_hand():
    one = says("one", "neutral", "sadness", "anger", "anger")  # wrong on the second and third
    two = says("two", "neutral", "sadness", "surprise", "fear")  # wrong on the last three
    found = overlap([one, two])
    np.testing.assert_allclose(found.same_answer, [[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(found.shared_errors, [[1.0, 1.0], [2 / 3, 1.0]])
    assert (found.all_right, found.any_right) == (0.25, 0.5)


def test_a_missing_answer_is_an_error_that_agrees_with_nobody():
    found = overlap([says("one", "", *LABELS[1:]), says("two", "", *LABELS[1:]), says("three", *LABELS)])
    assert found.same_answer[0, 1] == 0.75
    assert found.shared_errors[0].tolist() == [1.0, 1.0, 0.0]
    assert np.isnan(found.shared_errors[2]).all()  # it makes no error that could be shared


def test_an_emotion_that_the_data_lack_is_no_answer():
    """As accuracy has it: nothing is left of the answer."""
    seven = EMOTIONS[:-1]
    sure = rows_of(["contempt"] * 4, 1.0)
    found = overlap([predictions_of(LABELS, sure, backbone=b, data_classes=seven) for b in ("one", "two")])
    assert found.all_right == 0.0
    assert found.same_answer[0, 1] == 0.0
    assert found.shared_errors[0, 1] == 1.0


def test_the_faces_must_be_the_same():
    with pytest.raises(InputError, match="not of the same faces"):
        overlap([says("one", *LABELS), predictions_of(LABELS[:3], rows_of(LABELS[:3]))])


@given(st.lists(st.lists(st.sampled_from(EMOTIONS), min_size=4, max_size=4), min_size=1, max_size=4))
def test_what_always_holds(answers: list[list[str]]):
    found = overlap([says(str(k), *given) for k, given in enumerate(answers)])
    assert (found.same_answer == found.same_answer.T).all()
    known = found.shared_errors[~np.isnan(found.shared_errors)]
    assert ((known >= 0.0) & (known <= 1.0)).all()
    assert found.all_right <= found.any_right
