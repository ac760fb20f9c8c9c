"""Scores of valence and arousal: pure functions on arrays, with population moments.

Arguments are float (N,), predictions first, labels second. Pairs in which either is NaN are left out: a
NaN label is a face that nobody rated, a NaN prediction a face that was not found. A score that is not
defined is NaN; each function says when.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def complete(predicted: Floats, labels: Floats) -> NDArray[np.bool_]:
    """The pairs without a NaN, bool (N,); for arrays (N, 2) the rows without one."""
    whole: NDArray[np.bool_] = np.isfinite(predicted) & np.isfinite(labels)
    return np.asarray(whole if whole.ndim == 1 else whole.all(axis=1))


def ccc(predicted: Floats, labels: Floats) -> float:
    """Lin's concordance correlation coefficient in [-1, 1]: 1 only where every pair is equal.

    2 cov(x, y) / (var x + var y + (mean x - mean y)^2), Lin 1989, "A concordance correlation coefficient
    to evaluate reproducibility". A constant side gives 0; NaN for no pairs, and where both sides are the
    same constant.
    """
    x, y = _pairs(predicted, labels)
    if not len(x):
        return float("nan")
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2.0 * covariance / spread) if spread > 0.0 else float("nan")


def pearson(predicted: Floats, labels: Floats) -> float:
    """Pearson's correlation in [-1, 1]; NaN for no pairs, and where a side is constant."""
    x, y = _pairs(predicted, labels)
    if not len(x) or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    return float(np.clip(covariance / (x.std() * y.std()), -1.0, 1.0))


def rmse(predicted: Floats, labels: Floats) -> float:
    """Root of the mean squared difference, at least 0; NaN for no pairs."""
    x, y = _pairs(predicted, labels)
    return float(np.sqrt(((x - y) ** 2).mean())) if len(x) else float("nan")


def _pairs(predicted: Floats, labels: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = complete(predicted, labels)
    return predicted[kept].astype(np.float64), labels[kept].astype(np.float64)
