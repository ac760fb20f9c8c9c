"""What a cover changes, by hand."""

import numpy as np
import pytest

from fer_space.comparison import CONSENSUS, PREDICTED, Change, Comparison, Covered, pair
from fer_space.explain.sensitivity import Sensitivity
from fer_space.types import Face
from tests.toys import toy_prediction, toy_reading

FACE = Face((10.0, 20.0, 60.0, 70.0), 0.9)
HAPPY, SAD = {"happiness": 1.0, "sadness": 0.0}, {"happiness": 0.0, "sadness": 1.0}


def _reading(probabilities: dict[str, float], name: str = "toy_lite", **changes: object):
    return toy_reading(toy_prediction(probabilities, name, **changes))


def test_opposite_answers_are_a_bit_apart() -> None:
    change = Change(_reading(HAPPY), _reading(SAD))
    assert not change.kept
    assert change.shift == pytest.approx(1.0)


def test_equal_answers_are_nothing_apart() -> None:
    change = Change(_reading(HAPPY, valence=0.5, arousal=0.0), _reading(HAPPY, valence=0.1, arousal=0.2))
    assert change.kept
    assert change.shift == pytest.approx(0.0, abs=1e-9)
    assert change.movement == pytest.approx((-0.4, 0.2))


def test_the_shift_of_a_half_by_hand() -> None:
    change = Change(_reading(HAPPY), _reading({"happiness": 0.5, "sadness": 0.5}))
    mean = np.array([0.75, 0.25])
    entropy = -(mean * np.log2(mean)).sum()
    assert change.shift == pytest.approx(entropy - 0.5)


def test_answers_of_two_backbones_are_no_change() -> None:
    with pytest.raises(ValueError, match="one model"):
        Change(_reading(HAPPY), _reading(SAD, "toy_dan"))


def test_a_covered_face_counts_who_keeps_and_who_moves_most() -> None:
    before = Comparison(FACE, (_reading(HAPPY), _reading(HAPPY, "toy_dan")))
    after = Comparison(FACE, (_reading({"happiness": 0.9, "sadness": 0.1}), _reading(SAD, "toy_dan")))
    covered = Covered(before, after, "scarf")
    assert [change.backbone for change in covered.kept] == ["toy_lite"]
    assert covered.most_moved.backbone == "toy_dan"


def test_faces_are_paired_in_their_order() -> None:
    happy, sad = (Comparison(FACE, (_reading(answer),)) for answer in (HAPPY, SAD))
    first, second = pair([happy, sad], [sad, sad], "scarf")
    assert (first.before, first.after, first.kind) == (happy, sad, "scarf")
    assert (second.before, second.after) == (sad, sad)
    with pytest.raises(ValueError, match="shorter"):
        pair([happy, sad], [sad], "scarf")


@pytest.mark.parametrize("worth", [np.zeros(9), np.full((3, 3), np.inf), np.full((3, 3), np.nan)])
def test_worth_is_a_grid_of_numbers(worth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="worth"):
        Sensitivity("toy_lite", "happiness", worth.astype(np.float32))


def compare(*rows: dict[str, float], shares: tuple[float, ...] = ()) -> Comparison:
    return Comparison(FACE, tuple(_reading(row, f"b{i}") for i, row in enumerate(rows)), shares)


SURE_HAPPY, SURE_NEUTRAL = {"neutral": 0.0, "happiness": 1.0}, {"neutral": 1.0, "happiness": 0.0}


def test_without_all_members_of_the_ensemble_all_models_count_alike() -> None:
    comparison = compare(SURE_NEUTRAL, SURE_HAPPY, SURE_HAPPY)
    assert (comparison.rule, comparison.consensus) == ("mean", "happiness")
    assert comparison.agreement == pytest.approx(2 / 3)
    assert comparison.together == pytest.approx({"neutral": 1 / 3, "happiness": 2 / 3})


def test_the_fitted_mean_may_overrule_the_majority() -> None:
    comparison = compare(SURE_NEUTRAL, SURE_HAPPY, SURE_HAPPY, shares=(0.7, 0.3, 0.0))
    assert (comparison.rule, comparison.consensus) == ("fitted mean", "neutral")
    assert comparison.agreement == pytest.approx(1 / 3)
    assert comparison.together == pytest.approx({"neutral": 0.7, "happiness": 0.3})


def test_a_model_that_counts_nothing_adds_no_emotion() -> None:
    comparison = compare({"neutral": 1.0}, {"contempt": 1.0}, shares=(1.0, 0.0))
    assert comparison.together == {"neutral": 1.0}


@pytest.mark.parametrize("shares", [(1.0,), (0.0, 0.0), (1.5, -0.5)], ids=str)
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="shares"):
        compare(SURE_HAPPY, SURE_NEUTRAL, shares=shares)


def test_what_a_map_is_about() -> None:
    comparison = compare(SURE_NEUTRAL, SURE_HAPPY, SURE_HAPPY)
    reading = comparison.readings[0]
    assert comparison.explained(reading, PREDICTED) == "neutral"
    assert comparison.explained(reading, CONSENSUS) == "happiness"
    assert comparison.explained(reading, "fear") == "fear"
