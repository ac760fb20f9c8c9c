"""Rules that hold for all distributions, and a few by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.distributions import (
    CIRCUMPLEX,
    NO_ANSWER,
    boost_rare,
    by_emotion,
    circumplex,
    divergence,
    mean_of,
    renormalise,
    restrict,
    row_of,
    top,
)
from fer_space.emotions import EMOTIONS

PARTS = st.floats(0.001, 1.0)


@st.composite
def stacks(draw: st.DrawFn) -> np.ndarray:
    """Distributions (M, N, 8), some emotions of some models absent, some faces unanswered."""
    models, faces = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    raw = draw(arrays(np.float64, (models, faces, 8), elements=PARTS))
    absent = draw(arrays(np.bool_, (models, 1, 8)))
    absent[:, :, 0] = False  # everybody knows one emotion at least
    silent = draw(arrays(np.bool_, (models, faces, 1)))
    masked = np.where(absent | silent, np.nan, raw)
    return np.stack([renormalise(rows) for rows in masked])


@given(stacks())
def test_a_mean_is_a_distribution_over_what_anybody_knows(several: np.ndarray):
    mean = mean_of(several)
    known = ~np.isnan(several).all(axis=0)
    assert np.array_equal(~np.isnan(mean), known)
    answered = known.any(axis=1)
    assert np.allclose(np.nansum(mean[answered], axis=1), 1.0)


@given(stacks())
def test_the_mean_of_equals_is_each_of_them_and_they_do_not_disagree(several: np.ndarray):
    twice = np.stack([several[0]] * 3)
    assert np.allclose(mean_of(twice, (0.2, 0.7, 0.1)), several[0], equal_nan=True)
    assert np.nan_to_num(divergence(twice)) == pytest.approx(0.0, abs=1e-9)


@given(stacks())
def test_disagreement_lies_between_0_and_the_log_of_the_models(several: np.ndarray):
    bits = divergence(several)
    answered = ~np.isnan(several).all(axis=2).all(axis=0)
    assert np.array_equal(~np.isnan(bits), answered)
    assert (bits[answered] >= 0.0).all()
    assert (bits[answered] <= np.log2(len(several)) + 1e-9).all()


@given(stacks())
def test_a_share_of_0_is_as_if_the_model_were_not_there(several: np.ndarray):
    both = np.concatenate([several, several[:1][:, :, ::-1]])
    shares = (1.0,) * len(several) + (0.0,)
    assert np.allclose(mean_of(both, shares), mean_of(several), equal_nan=True)


@given(stacks())
def test_valence_and_arousal_stay_inside_the_square(several: np.ndarray):
    place = circumplex(several[0])
    assert np.array_equal(np.isnan(place).all(axis=1), np.isnan(several[0]).all(axis=1))
    assert np.nanmax(np.abs(place), initial=0.0) <= 1.0


def test_models_that_lack_an_emotion_do_not_vote_on_it():
    rows = [row_of({"neutral": 0.5, "contempt": 0.5}), row_of({"neutral": 1.0})]
    mean = by_emotion(mean_of(np.stack(rows)[:, None])[0])
    assert mean == pytest.approx({"neutral": 0.75 / 1.25, "contempt": 0.5 / 1.25})


def test_opposites_disagree_by_one_bit():
    rows = np.stack([row_of({"neutral": 1.0}), row_of({"fear": 1.0})])[:, None]
    assert divergence(rows)[0] == pytest.approx(1.0)


def test_restriction_rescales_and_an_empty_rest_is_no_answer():
    rows = np.stack([row_of({"neutral": 0.5, "anger": 0.3, "fear": 0.2}), row_of({"neutral": 1.0})])
    kept = restrict(rows, ("anger", "fear"))
    assert by_emotion(kept[0]) == pytest.approx({"anger": 0.6, "fear": 0.4})
    assert top(kept).tolist() == [EMOTIONS.index("anger"), NO_ANSWER]
    assert restrict(rows, EMOTIONS) is rows


def test_boost_multiplies_the_odds():
    rows = row_of({"neutral": 0.8, "fear": 0.2})[None]
    boosted = by_emotion(boost_rare(rows, row_of({"neutral": 0.0, "fear": np.log(4.0)}))[0])
    assert boosted == pytest.approx({"neutral": 0.5, "fear": 0.5})


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_sure_answer_is_the_emotions_own_place(emotion: str):
    assert tuple(circumplex(row_of({emotion: 1.0})[None])[0]) == CIRCUMPLEX[emotion]


def test_every_emotion_has_its_place():
    assert tuple(CIRCUMPLEX) == EMOTIONS
