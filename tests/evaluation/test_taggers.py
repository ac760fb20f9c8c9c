import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.evaluation.taggers import (
    beside_taggers,
    entropy,
    model_against_rest,
    one_against_rest,
    shares_of,
    surprise,
)
from tests.evaluation.made import rows_of

some_votes = arrays(np.int64, (5, 8), elements=st.integers(0, 10)).filter(
    lambda votes: votes.sum(axis=1).min() >= 2
)


def votes_of(*rows: dict[int, int]) -> np.ndarray:
    votes = np.zeros((len(rows), 10), dtype=np.int64)
    for row, counts in zip(votes, rows, strict=True):
        for column, count in counts.items():
            row[column] = count
    return votes


@pytest.mark.parametrize(
    ("counts", "one", "model"),
    [
        ({0: 10}, 1.0, 1.0),
        ({0: 9, 1: 1}, 0.9, 1.0),
        # Of five and five, a vote taken out leaves four against five: the others say something else.
        ({0: 5, 1: 5}, 0.0, 0.5),
        # A vote for 0 leaves two and two, a half each; one for 1 leaves three against one.
        ({0: 3, 1: 2}, 3 / 5 * 0.5, 3 / 5 * 0.5 + 2 / 5),
    ],
    ids=["all agree", "one dissents", "divided", "three of five"],
)
def test_one_tagger_and_a_model_against_the_others_by_hand(counts: dict[int, int], one: float, model: float):
    votes = votes_of(counts)[:, :8]
    assert one_against_rest(votes) == pytest.approx(one)
    assert model_against_rest(rows_of(["neutral"]), votes) == pytest.approx(model)


@given(some_votes)
def test_people_and_models_agree_by_shares(votes: np.ndarray):
    rows = shares_of(votes)
    assert 0.0 <= one_against_rest(votes) <= 1.0
    assert 0.0 <= model_against_rest(rows, votes) <= 1.0
    assert (surprise(rows, rows) <= 0.02).all()  # but for the least probability
    assert (surprise(rows, shares_of(votes[::-1])) >= -1e-12).all()
    assert ((entropy(rows) >= 0.0) & (entropy(rows) <= 3.0)).all()


def test_a_model_beside_its_taggers():
    votes = votes_of({0: 10}, {1: 5, 2: 5}, {8: 10}, {6: 1, 9: 9})
    found = beside_taggers(rows_of(["neutral", "happiness", "fear", "fear"], 1.0), votes)
    assert found.n == 2  # the others have no two votes for emotions
    assert found.one_tagger == 0.5
    assert found.model == 0.75
    assert found.vote_entropy_bits == 0.5
    assert 0.0 < found.js_bits < 1.0


def test_no_answer_agrees_with_nobody_and_is_left_out_of_divergences():
    votes = votes_of({0: 10}, {0: 10})
    found = beside_taggers(rows_of(["neutral", ""], 1.0), votes)
    assert found.model == 0.5
    assert found.js_bits == pytest.approx(0.0)
