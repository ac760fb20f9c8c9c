import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS, canonical
from fer_space.errors import DataError
from fer_space.types import Explanation, Face, FaceCrop, Prediction, Reading

FACE = Face((0, 0, 10, 10), 0.9)
CROP = FaceCrop(np.zeros((4, 4, 3), np.uint8), np.eye(2, 3))


def prediction(name: str, probabilities: dict[str, float]) -> Prediction:
    return Prediction(name, probabilities, 0.0, 0.0, "circumplex", 1.0)


def compare(*rows: dict[str, float]) -> Comparison:
    readings = [Reading(prediction(f"b{i}", row), {}, CROP) for i, row in enumerate(rows)]
    return Comparison(FACE, tuple(readings))


@pytest.mark.parametrize("box", [(5, 0, 5, 9), (0, 9, 5, 1), (0, 0, float("nan"), 1)])
def test_impossible_boxes_are_refused(box: tuple[float, float, float, float]):
    with pytest.raises(ValueError, match="box"):
        Face(box, 0.5)


@pytest.mark.parametrize(
    "row", [{}, {"happiness": 0.5, "neutral": 0.5}, {"neutral": 0.5}, {"hunger": 1.0}], ids=str
)
def test_impossible_probabilities_are_refused(row: dict[str, float]):
    with pytest.raises(ValueError, match="probabilities"):
        prediction("x", row)


def test_heatmap_out_of_range_is_refused():
    with pytest.raises(ValueError, match="lies in"):
        Explanation(np.full((2, 2), 1.5, np.float32), "fear", "grad-cam")


def test_backbones_that_lack_an_emotion_do_not_vote_on_it():
    comparison = compare({"neutral": 0.5, "contempt": 0.5}, {"neutral": 1.0})
    assert comparison.mean == pytest.approx({"neutral": 0.75 / 1.25, "contempt": 0.5 / 1.25})


def test_agreement_and_disagreement_of_opposites():
    sure = {"neutral": 0.0, "happiness": 1.0}
    comparison = compare({"neutral": 1.0, "happiness": 0.0}, sure, sure)
    assert comparison.consensus == "happiness"
    assert comparison.agreement == pytest.approx(2 / 3)
    assert compare({"neutral": 1.0}, {"fear": 1.0}).disagreement == pytest.approx(1.0)


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=8, max_size=8), min_size=1, max_size=5))
def test_disagreement_is_between_0_and_the_log_of_the_number_of_backbones(rows: list[list[float]]):
    distributions = [dict(zip(EMOTIONS, [w / sum(row) for w in row], strict=True)) for row in rows]
    comparison = compare(*distributions)
    assert -1e-9 <= comparison.disagreement <= np.log2(len(rows)) + 1e-9
    assert sum(comparison.mean.values()) == pytest.approx(1.0)
    assert compare(*distributions[:1] * 3).disagreement == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("word", "emotion"), [("Happy", "happiness"), (" fearful ", "fear"), ("anger", "anger")]
)
def test_synonyms(word: str, emotion: str):
    assert canonical(word) == emotion


def test_unknown_emotion_lists_the_known_ones():
    with pytest.raises(DataError, match=r"hungry.*neutral"):
        canonical("hungry")
