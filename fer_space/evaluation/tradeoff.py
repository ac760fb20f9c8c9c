"""What rare emotions cost: the same answers, read again with ever more weight on what a model seldom says.

Post-hoc logit adjustment (Menon et al. 2021, arXiv 2007.07314): the log probabilities less tau times the log
of a prior. Here the prior is the model's own mean distribution over the faces that are scored, so that
neither labels nor the training set are needed. tau 0 are the answers as they are; a negative tau prefers
what is frequent still more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_space.evaluation.metrics import Floats, Labels, accuracy, balanced_accuracy, recalls

STRENGTHS = tuple(i / 20 for i in range(-4, 21))


@dataclass(frozen=True)
class Point:
    """Scores at one strength of the adjustment, all in [0, 1]; `recalls` by emotion that has labels."""

    tau: float
    accuracy: float
    balanced_accuracy: float
    recalls: dict[str, float]


def adjusted(probabilities: Floats, tau: float) -> Floats:
    """Probabilities float (N, 8) with `tau` taken off towards rare emotions, float64 (N, 8).

    Rows of zeros stay so, and so does an emotion that the model never names.
    """
    prior = probabilities.sum(axis=0)
    lifted = probabilities * np.where(prior > 0.0, prior / max(prior.sum(), 1e-12), 1.0) ** -tau
    total = lifted.sum(axis=1, keepdims=True)
    return np.asarray(lifted / np.where(total > 0.0, total, 1.0))


def tradeoff(probabilities: Floats, labels: Labels, strengths: Sequence[float] = STRENGTHS) -> list[Point]:
    """Scores of probabilities float (N, 8) on labels int (N,) at every strength, in their order."""
    points = []
    for tau in strengths:
        rows = adjusted(probabilities, tau)
        points.append(
            Point(tau, accuracy(rows, labels), balanced_accuracy(rows, labels), recalls(rows, labels))
        )
    return points
