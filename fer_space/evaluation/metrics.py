"""Scores of stored predictions: pure functions on arrays.

`probabilities` are float (N, 8) over `EMOTIONS`; a row of zeros means that there is no answer (no face was
found), which is wrong whatever the label. `labels` are int (N,), indices into `EMOTIONS`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from fer_space.emotions import EMOTIONS

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

NO_ANSWER = -1
DIGITS = 5
BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers by confidence, over B bins of equal width in [0, 1].

    Attributes:
        confidence: float64 (B,), mean confidence of the bin's answers; NaN for an empty bin.
        accuracy: float64 (B,), share of them that are right; NaN for an empty bin.
        count: int64 (B,).
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Mean distance of accuracy from confidence, weighted by count, in [0, 1]; 0 without answers."""
        filled = self.count > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled] * self.count[filled]
        return float(gaps.sum() / self.count.sum()) if filled.any() else 0.0


def answers(probabilities: Floats) -> Labels:
    """Index of the most probable emotion, int64 (N,); NO_ANSWER for rows of zeros."""
    return np.where(probabilities.any(axis=1), probabilities.argmax(axis=1), NO_ANSWER)


def accuracy(probabilities: Floats, labels: Labels) -> float:
    """Share of faces whose most probable emotion is the label."""
    return float((answers(probabilities) == labels).mean())


def recalls(probabilities: Floats, labels: Labels) -> dict[str, float]:
    """Recall of every emotion that occurs among the labels."""
    right = answers(probabilities) == labels
    return {name: float(right[labels == k].mean()) for k, name in enumerate(EMOTIONS) if (labels == k).any()}


def balanced_accuracy(probabilities: Floats, labels: Labels) -> float:
    """Mean recall over the emotions that occur: every emotion counts the same, however rare."""
    return float(np.mean(list(recalls(probabilities, labels).values())))


def macro_f1(probabilities: Floats, labels: Labels) -> float:
    """Mean F1 over the emotions that occur among the labels; 0 for one that is never named."""
    present = np.unique(labels)
    named = answers(probabilities)
    return float(f1_score(labels, named, labels=present, average="macro", zero_division=0))


def confusion(probabilities: Floats, labels: Labels) -> NDArray[np.int64]:
    """Counts int64 (8, 8): rows are labels, columns are answers; faces without an answer are left out."""
    answered = probabilities.any(axis=1)
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=np.int64)
    if answered.any():
        named = answers(probabilities)[answered]
        counts += confusion_matrix(labels[answered], named, labels=range(len(EMOTIONS)))
    return counts


def reliability(probabilities: Floats, labels: Labels, bins: int = BINS) -> Reliability:
    """How often answers of a given confidence are right; faces without an answer are left out."""
    answered = probabilities.any(axis=1)
    confidence = probabilities[answered].max(axis=1).astype(np.float64)
    right = answers(probabilities)[answered] == labels[answered]
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    return Reliability(
        confidence=np.bincount(which, weights=confidence, minlength=bins) / divisor,
        accuracy=np.bincount(which, weights=right, minlength=bins) / divisor,
        count=count,
    )


def ece(probabilities: Floats, labels: Labels, bins: int = BINS) -> float:
    """Expected calibration error in [0, 1] of the answers that were given, over equal-width bins.

    Guo et al. 2017, arXiv 1706.04599.
    """
    return reliability(probabilities, labels, bins).ece


def bootstrap_interval(
    probabilities: Floats, labels: Labels, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of `accuracy` by resampling the faces with replacement."""
    right = answers(probabilities) == labels
    picks = np.random.default_rng(seed).integers(0, len(labels), size=(rounds, len(labels)))
    low, high = np.percentile(right[picks].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def difference_intervals(
    probabilities: Floats, others: Floats, labels: Labels, rounds: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % intervals of how far a model is ahead of another one on the same faces.

    The faces are resampled with replacement, both models on the same ones, so that what is hard for both
    cancels out. An interval that holds 0 says that these faces do not tell the two apart.

    Args:
        probabilities: float (N, 8), of the model.
        others: float (N, 8), of the one that it is compared with.
        labels: int (N,).
        rounds: how often the faces are resampled.
        seed: of the draws.

    Returns:
        The interval of the difference in `accuracy` and in `balanced_accuracy`, by these names.
    """
    ahead = (answers(probabilities) == labels).astype(np.float64) - (answers(others) == labels)
    of_class = np.eye(len(EMOTIONS))[labels]
    picked = np.random.default_rng(seed).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), rounds
    )
    totals = picked @ of_class
    by_class = picked @ (of_class * ahead[:, None]) / np.where(totals > 0, totals, np.nan)
    draws = {"accuracy": picked @ ahead / len(labels), "balanced_accuracy": np.nanmean(by_class, axis=1)}
    return {name: tuple(np.percentile(values, [2.5, 97.5]).tolist()) for name, values in draws.items()}


def score(probabilities: Floats, labels: Labels) -> dict[str, Any]:
    """All of the above as one record of fractions, with `n` and the recalls under `per_class`."""
    per_class = recalls(probabilities, labels)
    return {
        "n": len(labels),
        "accuracy": round(accuracy(probabilities, labels), DIGITS),
        "accuracy_interval": [round(v, DIGITS) for v in bootstrap_interval(probabilities, labels)],
        "balanced_accuracy": round(balanced_accuracy(probabilities, labels), DIGITS),
        "macro_f1": round(macro_f1(probabilities, labels), DIGITS),
        "ece": round(ece(probabilities, labels), DIGITS),
        "per_class": {name: round(value, DIGITS) for name, value in per_class.items()},
    }
