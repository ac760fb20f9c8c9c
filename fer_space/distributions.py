"""Distributions over the eight emotions, many at a time: float64 (N, 8) in the order of `EMOTIONS`.

An emotion that a model does not have is NaN, which is not the same as a probability of 0; a row of NaN is a
face without an answer. Every mean, divergence and readout of this project is computed here, for the page, for
tests and for ensembles alike.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS

Distributions = NDArray[np.float64]

NO_ANSWER = -1

# (valence, arousal) by emotion: means over the labels of the AffectNet validation set, 500 faces an emotion
# (Mollahosseini et al. 2017, arXiv 1708.03985).
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (-0.025, -0.019),
    "happiness": (0.672, 0.081),
    "surprise": (0.183, 0.701),
    "sadness": (-0.628, -0.267),
    "anger": (-0.426, 0.554),
    "disgust": (-0.684, 0.446),
    "fear": (-0.117, 0.760),
    "contempt": (-0.510, 0.576),
}


def row_of(probabilities: Mapping[str, float]) -> NDArray[np.float64]:
    """Write probabilities by emotion as one row.

    Args:
        probabilities: by emotion, in any order.

    Returns:
        float64 (8,), NaN for emotions that are not named.
    """
    return np.array([probabilities.get(emotion, np.nan) for emotion in EMOTIONS], dtype=np.float64)


def by_emotion(row: NDArray[np.float64]) -> dict[str, float]:
    """Read one row as probabilities by emotion.

    Args:
        row: float64 (8,).

    Returns:
        In the order of `EMOTIONS`, without those that are NaN.
    """
    return {e: float(p) for e, p in zip(EMOTIONS, row, strict=True) if not np.isnan(p)}


def renormalise(distributions: Distributions) -> Distributions:
    """Rescale every row to sum to one.

    Args:
        distributions: float64 (N, 8), at least 0 or NaN.

    Returns:
        float64 (N, 8); NaN stays NaN, and a row that sums to 0 becomes NaN: it answers nothing.
    """
    total = np.nansum(distributions, axis=1, keepdims=True)
    return distributions / np.where(total > 0.0, total, np.nan)


def restrict(distributions: Distributions, emotions: Collection[str]) -> Distributions:
    """Answer only with the emotions that were asked for.

    Args:
        distributions: float64 (N, 8).
        emotions: the others are dropped, and the rest is rescaled.

    Returns:
        float64 (N, 8), NaN for what was dropped; the input itself if nothing was.

    Example:
        >>> p = row_of({"neutral": 0.5, "anger": 0.3, "fear": 0.2})[None]
        >>> by_emotion(restrict(p, ("anger", "fear"))[0])
        {'anger': 0.6, 'fear': 0.4}
    """
    dropped = np.array([emotion not in emotions for emotion in EMOTIONS])
    if not dropped.any():
        return distributions
    return renormalise(np.where(dropped, np.nan, distributions))


def top(distributions: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Name the most probable emotion of each row.

    Returns:
        int64 (N,), indices into `EMOTIONS`; NO_ANSWER for rows of NaN. Of equal ones the first.
    """
    answered = ~np.isnan(distributions).all(axis=1)
    best = np.where(np.isnan(distributions), -np.inf, distributions).argmax(axis=1)
    return np.where(answered, best, NO_ANSWER)


def mean_of(several: Distributions, shares: Sequence[float] = ()) -> Distributions:
    """Average what several models say of the same faces.

    Each emotion is averaged over the models that have it, then the row is rescaled to sum to 1. A model whose
    share is 0, and one that does not answer a face, adds nothing there.

    Args:
        several: float64 (M, N, 8).
        shares: how much each model counts, M numbers of at least 0, not all 0; () lets all count alike.

    Returns:
        float64 (N, 8); NaN for an emotion that no counted model has.
    """
    counts = np.asarray(shares or np.ones(len(several)), dtype=np.float64)[:, None, None]
    weights = np.where(np.isnan(several), 0.0, counts)  # (M, N, 8)
    total = weights.sum(axis=0)
    summed = (np.nan_to_num(several) * weights).sum(axis=0)
    return renormalise(summed / np.where(total > 0.0, total, np.nan))


def divergence(several: Distributions) -> NDArray[np.float64]:
    """Measure how far several models disagree on each face.

    Jensen-Shannon divergence (Lin 1991, "Divergence measures based on the Shannon entropy"): entropy of the
    mean less the mean of the entropies. An emotion that a model does not have counts as 0 here, since a
    distribution has to be over one common set; models that do not answer a face are left out of it.

    Args:
        several: float64 (M, N, 8).

    Returns:
        float64 (N,) in bits, from 0 (all equal) to log2(M); NaN where nobody answers.
    """
    answered = ~np.isnan(several).all(axis=2)  # (M, N)
    voices = answered.sum(axis=0)
    filled = np.nan_to_num(several)
    with np.errstate(invalid="ignore", divide="ignore"):
        mixture = filled.sum(axis=0) / voices[:, None]  # (N, 8)
        mean_entropy = _entropy(filled).sum(axis=0) / voices
        return np.asarray(np.maximum(_entropy(mixture) - mean_entropy, 0.0))


def boost_rare(distributions: Distributions, boost: NDArray[np.float64]) -> Distributions:
    """Move distributions to the operating point that names rare emotions more often.

    Args:
        distributions: float64 (N, 8).
        boost: float64 (8,), added to the log probabilities; NaN where the model lacks an emotion.

    Returns:
        float64 (N, 8), each row summing to 1.
    """
    return renormalise(distributions * np.exp(boost))


def circumplex(distributions: Distributions) -> NDArray[np.float64]:
    """Derive valence and arousal from emotion probabilities.

    Russell 1980, "A circumplex model of affect". Each emotion stands at the mean valence and arousal that
    annotators gave its faces (`CIRCUMPLEX`); a face stands at the probability-weighted mean. Honest only when
    labelled as derived: it holds nothing that the probabilities do not.

    Args:
        distributions: float64 (N, 8), rows summing to 1.

    Returns:
        float64 (N, 2), both in [-1, 1]; NaN for rows of NaN.
    """
    places = np.array([CIRCUMPLEX[emotion] for emotion in EMOTIONS])  # (8, 2)
    derived: NDArray[np.float64] = np.nan_to_num(distributions) @ places
    derived[np.isnan(distributions).all(axis=1)] = np.nan
    return derived


def _entropy(distributions: Distributions) -> NDArray[np.float64]:
    """Shannon entropy in bits over the last axis; 0 log 0 is 0."""
    logs = np.log2(distributions, where=distributions > 0.0, out=np.zeros_like(distributions))
    return np.asarray(-(distributions * logs).sum(axis=-1))
