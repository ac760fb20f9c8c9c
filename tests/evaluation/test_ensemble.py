import numpy as np
import pytest

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.ensemble import ensemble, fit_weights
from fer_space.evaluation.predictions import Predictions
from fer_space.evaluation.scoring import record_of
from tests.evaluation.made import predictions_of, rows_of

SEVEN = EMOTIONS[:-1]
LABELS = ["neutral", "happiness", "fear"]


def member(name: str, answers: list[str], confidence: float = 0.8, **changes: object) -> Predictions:
    return predictions_of(LABELS, rows_of(answers, confidence), backbone=name, **changes)


def test_the_mean_is_scored_and_the_disagreement_told():
    one = member("one", ["neutral", "happiness", "anger"], 0.6)
    two = member("two", ["neutral", "sadness", "fear"], 0.9)
    together = ensemble([one, two])
    np.testing.assert_allclose(together.probabilities, (one.probabilities + two.probabilities) / 2)
    record = record_of(together)
    assert (record["backbone"], record["members"]) == ("ensemble", ["one", "two"])
    assert record["accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert together.disagreement is not None
    assert record["disagreement"] == pytest.approx(together.disagreement.mean(), abs=1e-5)


@pytest.mark.parametrize(("answers", "bits"), [(["fear"] * 3, 0.0), (["anger"] * 3, 1.0)])
def test_disagreement_runs_from_none_to_one_bit_for_two(answers: list[str], bits: float):
    together = ensemble([member("one", ["fear"] * 3, 1.0), member("two", answers, 1.0)])
    assert record_of(together)["disagreement"] == pytest.approx(bits)


def test_a_member_without_an_emotion_has_no_say_in_it():
    full = member("full", ["neutral", "happiness", "neutral"], 0.5)
    seven = predictions_of(
        LABELS, rows_of(["neutral"] * 3, 0.5, SEVEN), backbone="seven", model_classes=SEVEN
    )
    together = ensemble([full, seven])
    assert together.about.model_classes == EMOTIONS
    assert (together.probabilities[:, -1] > full.probabilities[:, -1] * 0.9).all()
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1.0)


def test_a_face_that_was_not_found_has_no_answer():
    together = ensemble([member("one", ["neutral", "", "fear"]), member("two", ["neutral", "", "fear"])])
    assert together.answered.tolist() == [True, False, True]
    assert record_of(together)["disagreement"] == 0.0


def test_valence_and_arousal_are_of_the_heads_where_all_have_one():
    low, high = np.zeros((3, 2)), np.full((3, 2), 0.5)
    both = ensemble([member("a", LABELS, affect=low), member("b", LABELS, affect=high)])
    assert both.affect is not None
    assert both.affect.tolist() == [[0.25, 0.25]] * 3
    assert ensemble([member("a", LABELS, affect=low), member("b", LABELS)]).affect is None


def test_one_backbone_is_no_ensemble():
    with pytest.raises(InputError, match="at least two backbones; here is only one"):
        ensemble([member("one", LABELS)])


def test_the_weighted_mean_by_hand():
    one, two = member("one", ["neutral", "happiness", "anger"]), member("two", ["anger", "sadness", "fear"])
    together = ensemble([one, two], (3.0, 1.0))
    assert together.about.backbone == "weighted"
    np.testing.assert_allclose(together.probabilities, (3 * one.probabilities + two.probabilities) / 4)


def test_weights_that_explain_the_labels_best():
    right, wrong = member("right", LABELS, 0.9), member("wrong", ["anger"] * 3, 0.9)
    assert fit_weights([right, wrong]) == pytest.approx((1.0, 0.0), abs=1e-3)
    assert fit_weights([right, member("twin", LABELS, 0.9)]) == pytest.approx((0.5, 0.5))


def test_no_other_weights_explain_them_better():
    one = member("one", ["neutral", "happiness", "anger"], 0.9)
    two = member("two", ["neutral", "sadness", "fear"], 0.7)

    def likelihood(share: float) -> float:
        mixed = share * one.probabilities + (1 - share) * two.probabilities
        return float(np.log(mixed[np.arange(3), one.labels]).sum())

    share, _ = fit_weights([one, two])
    assert 0.0 < share < 1.0
    assert all(likelihood(share) >= likelihood(other) - 1e-9 for other in np.linspace(0, 1, 101))


def test_weights_need_answers():
    with pytest.raises(InputError, match="No face"):
        fit_weights([member("one", [""] * 3), member("two", LABELS)])
