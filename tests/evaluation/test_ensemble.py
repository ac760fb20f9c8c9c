from dataclasses import replace

import numpy as np
import pytest

from fer_space.card import Fit
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.ensemble import LEAST_SHARE, fit_shares, fitted_mean, plain_mean
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.recording import record_of, scores_of
from tests.evaluation.made import SEVEN, lively, outputs_of, rows_of

LABELS = ["neutral", "happiness", "fear"]


def member(name: str, answers: list[str], confidence: float = 0.8, **changes: object) -> Outputs:
    return outputs_of(LABELS, rows_of(answers, confidence), model=name, **changes)


def fit_of(**shares: float) -> Fit:
    return Fit(name="made", shares=shares, data="made valid", command="none", date="2031-02-03")


def test_the_mean_is_scored_and_the_disagreement_told():
    one = member("one", ["neutral", "happiness", "anger"], 0.6)
    two = member("two", ["neutral", "sadness", "fear"], 0.9)
    together = plain_mean([one, two])
    np.testing.assert_allclose(together.probabilities, (one.probabilities + two.probabilities) / 2)
    record = record_of(together)
    assert (record["backbone"], record["rule"], record["members"]) == ("ensemble", "mean", ["one", "two"])
    assert record["accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert together.disagreement is not None
    assert record["disagreement"] == pytest.approx(together.disagreement.mean(), abs=1e-5)


@pytest.mark.parametrize(("answers", "bits"), [(["fear"] * 3, 0.0), (["anger"] * 3, 1.0)])
def test_disagreement_runs_from_none_to_one_bit_for_two(answers: list[str], bits: float):
    together = plain_mean([member("one", ["fear"] * 3, 1.0), member("two", answers, 1.0)])
    assert scores_of(together).disagreement == pytest.approx(bits)


def test_a_member_without_an_emotion_has_no_say_in_it():
    full = member("full", ["neutral", "happiness", "neutral"], 0.5)
    seven = outputs_of(LABELS, rows_of(["neutral"] * 3, 0.5, SEVEN), model="seven", model_classes=SEVEN)
    together = plain_mean([full, seven])
    assert together.about.model_classes == EMOTIONS
    assert (together.probabilities[:, -1] > full.probabilities[:, -1] * 0.9).all()
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1.0)


def test_a_face_that_was_not_found_has_no_answer():
    together = plain_mean([member("one", ["neutral", "", "fear"]), member("two", ["neutral", "", "fear"])])
    assert together.answered.tolist() == [True, False, True]
    assert scores_of(together).disagreement == 0.0


def test_valence_and_arousal_are_of_the_heads_where_all_have_one():
    low, high = np.zeros((3, 2)), np.full((3, 2), 0.5)
    heads = [member("a", LABELS, affect=low), member("b", LABELS, affect=high)]
    both = plain_mean(heads)
    assert both.affect is not None
    assert both.affect.tolist() == [[0.25, 0.25]] * 3
    weighted = fitted_mean(heads, fit_of(a=0.2, b=0.8))
    assert weighted is not None
    np.testing.assert_allclose(weighted.affect, np.full((3, 2), 0.4))
    assert plain_mean([heads[0], member("b", LABELS)]).affect is None


def test_one_backbone_is_no_ensemble():
    with pytest.raises(InputError, match="at least two backbones; here is only one"):
        plain_mean([member("one", LABELS)])
    with pytest.raises(InputError, match="at least two"):
        fit_shares([member("one", LABELS)], "made", "none")


def test_the_fitted_mean_by_hand_is_of_the_members_alone():
    one, two = member("one", ["neutral", "happiness", "anger"]), member("two", ["anger", "sadness", "fear"])
    other = member("other", ["disgust"] * 3)
    together = fitted_mean([other, two, one], fit_of(one=0.75, two=0.25))
    assert together is not None
    assert (together.about.model, together.about.rule) == ("weighted", "fitted mean")
    assert together.about.members == ("one", "two")
    np.testing.assert_allclose(together.probabilities, (3 * one.probabilities + two.probabilities) / 4)


def test_without_one_of_its_members_there_is_no_fitted_mean():
    several = [member("one", LABELS), member("other", LABELS)]
    assert fitted_mean(several, fit_of(one=0.75, two=0.25)) is None


def test_shares_that_explain_the_labels_best():
    right, wrong = member("right", LABELS, 0.9), member("wrong", ["anger"] * 3, 0.9)
    assert fit_shares([right, wrong], "made", "none").shares == {"right": 1.0}
    like = member("like", LABELS, 0.9)
    fit = fit_shares([right, like], "made", "fer-space test")
    assert fit.shares == pytest.approx({"right": 0.5, "like": 0.5})
    assert (fit.name, fit.data, fit.command) == ("made", "made test", "fer-space test")


def test_no_other_shares_explain_them_better():
    one = member("one", ["neutral", "happiness", "anger"], 0.9)
    two = member("two", ["neutral", "sadness", "fear"], 0.7)

    def likelihood(share: float) -> float:
        mixed = share * one.probabilities + (1 - share) * two.probabilities
        return float(np.log(mixed[np.arange(3), one.labels]).sum())

    share = fit_shares([one, two], "made", "none").shares["one"]
    assert 0.0 < share < 1.0
    assert all(likelihood(share) >= likelihood(other) - 1e-7 for other in np.linspace(0, 1, 101))


def test_members_that_hardly_count_are_left_out_and_the_rest_sums_to_one():
    several = [replace(lively(300), about=lively(300).about.model_copy(update={"model": "good"}))]
    noise = np.random.default_rng(1).dirichlet(np.ones(8), 300)
    about = several[0].about
    several += [
        replace(several[0], about=about.model_copy(update={"model": f"noise{i}"}), probabilities=noise)
        for i in range(2)
    ]
    shares = fit_shares(several, "made", "none").shares
    assert min(shares.values()) > LEAST_SHARE
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)
    assert max(shares, key=shares.__getitem__) == "good"


def test_shares_need_answers():
    with pytest.raises(InputError, match="No face"):
        fit_shares([member("one", [""] * 3), member("two", LABELS)], "made", "none")


def test_joined_sets_count_alike_however_large():
    labels = ["happiness"] * 90 + ["anger"] * 10
    first = outputs_of(labels, rows_of(["happiness"] * 100, 0.9), model="a")
    second = outputs_of(labels, rows_of(["anger"] * 100, 0.9), model="b")
    by_face = fit_shares([first, second], "x", "")
    by_set = fit_shares([first, second], "x", "", np.repeat([0, 1], [90, 10]))
    assert by_face.shares["a"] > 0.85
    assert by_set.shares == pytest.approx({"a": 0.5, "b": 0.5}, abs=1e-3)


def test_derived_valence_and_arousal_are_not_averaged_with_predicted_ones():
    values = np.zeros((3, 2))
    head = member("a", LABELS, affect=values)
    derived = member("b", LABELS, affect=values)  # as boosting leaves them
    derived = replace(derived, about=derived.about.model_copy(update={"affect_source": "circumplex"}))
    for pair in ([head, derived], [derived, head]):
        both = plain_mean(pair)
        assert (both.affect, both.affect_source) == (None, "circumplex")
    for one in (head, derived):
        other = replace(one, about=one.about.model_copy(update={"model": "c"}))
        assert plain_mean([one, other]).affect_source == one.affect_source
