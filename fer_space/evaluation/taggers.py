"""Models beside people: how far an answer is from what ten taggers said of the same face.

One tagger against the other nine is what a person reaches; a model against the same nine can be set beside
it, because both are asked for the same answer. Only votes for the eight emotions count here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_space.distributions import NO_ANSWER, Distributions, divergence, top
from fer_space.emotions import EMOTIONS

FEWEST = 2  # votes: one tagger and somebody to be compared with
LEAST = 1e-3  # a smaller probability of a model counts as this one in `surprise`
DIGITS = 5

Votes = NDArray[np.int64]


class BesideTaggers(NamedTuple):
    """A model beside the taggers of the same faces.

    Attributes:
        n: faces with at least two votes for emotions.
        one_tagger: share of the taggers who say what most of the others say, in [0, 1].
        model: share of the model's answers that are what most of those others say.
        kl_bits: mean Kullback-Leibler divergence of the votes from the model's distribution.
        js_bits: mean Jensen-Shannon divergence of the two, from 0 to 1.
        vote_entropy_bits: mean entropy of the votes: how much people disagree about these faces.
    """

    n: int
    one_tagger: float
    model: float
    kl_bits: float
    js_bits: float
    vote_entropy_bits: float


def beside_taggers(probabilities: Distributions, votes: Votes) -> BesideTaggers:
    """Set a model's answers beside the votes of taggers.

    Args:
        probabilities: float64 (N, 8); a face without an answer agrees with nobody and is left out of the
            divergences.
        votes: int64 (N, 8) or (N, 10), counts by emotion; further columns do not count.
    """
    emotions = votes[:, : len(EMOTIONS)]
    enough = emotions.sum(axis=1) >= FEWEST
    emotions, rows = emotions[enough], probabilities[enough]
    answered = top(rows) != NO_ANSWER
    said = shares_of(emotions)
    return BesideTaggers(
        n=int(enough.sum()),
        one_tagger=round(one_against_rest(emotions), DIGITS),
        model=round(model_against_rest(rows, emotions), DIGITS),
        kl_bits=round(float(surprise(said[answered], rows[answered]).mean()), DIGITS),
        js_bits=round(float(divergence(np.stack([said[answered], rows[answered]])).mean()), DIGITS),
        vote_entropy_bits=round(float(entropy(said).mean()), DIGITS),
    )


def shares_of(votes: Votes) -> Distributions:
    """Turn counts (N, 8), at least one a row, into distributions float64 (N, 8)."""
    return np.asarray(votes / votes.sum(axis=1, keepdims=True), dtype=np.float64)


def one_against_rest(votes: Votes) -> float:
    """Measure how often a tagger says what most of the others say.

    Every vote is taken out once and compared with the most frequent of the rest; of several equally frequent
    ones each counts as its share.

    Args:
        votes: int64 (N, 8), at least two a row.

    Returns:
        Mean over faces of the share of their taggers, in [0, 1].

    Example:
        >>> one_against_rest(np.array([[9, 1, 0, 0, 0, 0, 0, 0]]))
        0.9
    """
    agreed = np.zeros(len(votes))
    for emotion, leading in _leading_of_rest(votes):
        agreed += votes[:, emotion] * leading[:, emotion]
    return float((agreed / votes.sum(axis=1)).mean())


def model_against_rest(probabilities: Distributions, votes: Votes) -> float:
    """Measure how often a model says what most of the taggers but one say, over all ways to leave one out.

    Args:
        probabilities: float64 (N, 8).
        votes: int64 (N, 8), at least two a row.

    Returns:
        Mean over faces, in [0, 1]: beside `one_against_rest`, the same question asked of a person.
    """
    named = top(probabilities)
    rows = np.arange(len(votes))
    agreed = np.zeros(len(votes))
    for emotion, leading in _leading_of_rest(votes):
        agreed += votes[:, emotion] * np.where(named == NO_ANSWER, 0.0, leading[rows, named])
    return float((agreed / votes.sum(axis=1)).mean())


def surprise(said: Distributions, probabilities: Distributions) -> NDArray[np.float64]:
    """Kullback-Leibler divergence of votes from a model's answers, float64 (N,) in bits, at least 0."""
    expected = np.maximum(np.nan_to_num(probabilities), LEAST)
    expected /= expected.sum(axis=1, keepdims=True)
    logs = np.log2(said, where=said > 0.0, out=np.zeros_like(said))
    return np.asarray((said * (logs - np.log2(expected))).sum(axis=1))


def entropy(distributions: Distributions) -> NDArray[np.float64]:
    """Shannon entropy of each row in bits, float64 (N,); absent emotions count as 0."""
    known = np.nan_to_num(distributions)
    logs = np.log2(known, where=known > 0.0, out=np.zeros_like(known))
    return np.asarray(-(known * logs).sum(axis=1))


def _leading_of_rest(votes: Votes) -> list[tuple[int, NDArray[np.float64]]]:
    """For each emotion, what leads when one vote for it is taken out: shares float64 (N, 8) of the tied."""
    found = []
    for emotion in range(votes.shape[1]):
        rest = votes.copy()
        rest[:, emotion] -= 1  # rows without such a vote are multiplied by 0 later
        tied = rest == rest.max(axis=1, keepdims=True)
        found.append((emotion, tied / tied.sum(axis=1, keepdims=True)))
    return found
