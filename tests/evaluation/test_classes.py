import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from fer_space.evaluation.classes import absences, known_to, on_data_classes
from fer_space.evaluation.scoring import record_of
from tests.evaluation.made import predictions_of, rows_of

SEVEN = EMOTIONS[:-1]
some_classes = st.sets(st.sampled_from(EMOTIONS), min_size=2)
distributions = arrays(np.float64, (6, 8), elements=st.floats(0.01, 1.0)).map(
    lambda rows: rows / rows.sum(axis=1, keepdims=True)
)


def in_order(classes: set[str]) -> tuple[str, ...]:
    return tuple(emotion for emotion in EMOTIONS if emotion in classes)


@given(distributions, some_classes)
def test_what_is_left_is_a_distribution_in_the_same_proportions(rows: np.ndarray, classes: set[str]):
    left = on_data_classes(rows, classes)
    kept = known_to(classes, np.arange(8))
    assert not left[:, ~kept].any()
    np.testing.assert_allclose(left.sum(axis=1), 1.0)
    np.testing.assert_allclose(left[:, kept] * rows[:, kept].sum(axis=1, keepdims=True), rows[:, kept])


@given(distributions, some_classes, some_classes, st.lists(st.integers(0, 7), min_size=6, max_size=6))
def test_every_record_tells_what_is_absent_and_counts_it(
    rows: np.ndarray, model: set[str], data: set[str], draws: list[int]
):
    labels = [in_order(data)[draw % len(data)] for draw in draws]
    if not model & data:
        with pytest.raises(DataError, match="in common"):
            absences(model, data)
        return
    made = predictions_of(
        labels, on_data_classes(rows, model), model_classes=in_order(model), data_classes=in_order(data)
    )
    record = record_of(made)
    assert set(record["absent_from_data"]) == model - data
    assert set(record["absent_from_model"]) == data - model
    assert {EMOTIONS[k] for k in made.scored.argmax(axis=1)} <= model & data
    assert all(record["per_class"].get(emotion, 0.0) == 0.0 for emotion in data - model)
    if data - model:
        right = round(record["accuracy"] * record["n"])
        shared = record["accuracy_on_shared"]
        assert record["n_shared"] == sum(label in model for label in labels)
        assert right == round((shared or 0.0) * record["n_shared"])
    else:
        assert "accuracy_on_shared" not in record


def test_the_answer_is_the_best_that_the_data_has():
    rows = rows_of(["contempt"], 0.6)
    rows[0, 0], rows[0, 1] = 0.1, rows[0, 1] + rows[0, 0] - 0.1
    made = predictions_of(["neutral"], rows, data_classes=SEVEN)
    record = record_of(made)
    assert record["accuracy"] == float(made.scored[0].argmax() == 0)
    assert made.scored[0, 0] == pytest.approx(0.1 / 0.4)


def test_nothing_left_is_no_answer():
    made = predictions_of(["neutral"], rows_of(["contempt"], 1.0), data_classes=SEVEN)
    assert record_of(made)["accuracy"] == 0.0
    assert not made.scored.any()
    assert made.answered.all()  # the face was found


def test_faces_of_an_emotion_that_the_model_lacks_are_wrong_and_named():
    rows = rows_of(["neutral", "happiness", "neutral"], classes=SEVEN)
    made = predictions_of(["neutral", "happiness", "contempt"], rows, model_classes=SEVEN)
    record = record_of(made)
    assert record["accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert (record["accuracy_on_shared"], record["n_shared"]) == (1.0, 2)
    assert record["per_class"]["contempt"] == 0.0
    assert record["absent_from_model"] == ["contempt"]
