"""Scores of answers: pure functions on arrays.

`probabilities` are float (N, 8) over `EMOTIONS`, NaN where an emotion is absent; a row of NaN means that
there is no answer (no face was found), which is wrong whatever the label. `labels` are int (N,), indices
into `EMOTIONS`. Valence and arousal are float (N,), predictions first, labels second.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score, root_mean_squared_error

from fer_space.card import Rates
from fer_space.distributions import NO_ANSWER, boost_rare, top
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]

DIGITS = 5
BINS = 15
ROUNDS = 1000  # of a bootstrap
INTERVAL = (2.5, 97.5)  # percentiles
STRENGTHS = tuple(i / 20 for i in range(-4, 21))


def accuracy(probabilities: Floats, labels: Labels) -> float:
    """Share of faces whose most probable emotion is the label."""
    return float(accuracy_score(labels, top(probabilities)))


def recalls(probabilities: Floats, labels: Labels) -> dict[str, float]:
    """Recall of every emotion that occurs among the labels."""
    present = np.unique(labels)
    found = recall_score(labels, top(probabilities), labels=present, average=None)
    return {EMOTIONS[k]: float(share) for k, share in zip(present, found, strict=True)}


def balanced_accuracy(probabilities: Floats, labels: Labels) -> float:
    """Mean recall over the emotions that occur: every emotion counts the same, however rare."""
    return float(np.mean(list(recalls(probabilities, labels).values())))


def macro_f1(probabilities: Floats, labels: Labels) -> float:
    """Mean F1 over the emotions that occur among the labels; 0 for one that is never named."""
    present = np.unique(labels)
    return float(f1_score(labels, top(probabilities), labels=present, average="macro", zero_division=0))


def confusion(probabilities: Floats, labels: Labels) -> NDArray[np.int64]:
    """Count labels (rows) against answers (columns).

    Returns:
        int64 (8, 8); faces without an answer are left out.
    """
    named = top(probabilities)
    answered = named != NO_ANSWER
    if not answered.any():
        return np.zeros((len(EMOTIONS), len(EMOTIONS)), dtype=np.int64)
    counts = confusion_matrix(labels[answered], named[answered], labels=range(len(EMOTIONS)))
    return np.asarray(counts, dtype=np.int64)


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


def reliability(probabilities: Floats, labels: Labels, bins: int = BINS) -> Reliability:
    """Measure how often answers of a given confidence are right; faces without an answer are left out."""
    named = top(probabilities)
    answered = named != NO_ANSWER
    confidence = np.nan_to_num(probabilities[answered]).max(axis=1).astype(np.float64)
    right = named[answered] == labels[answered]
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
    probabilities: Floats, labels: Labels, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, float]:
    """Estimate the 95 % interval of `accuracy` by resampling the faces with replacement."""
    right = top(probabilities) == labels
    picks = np.random.default_rng(seed).integers(0, len(labels), size=(rounds, len(labels)))
    low, high = np.percentile(right[picks].mean(axis=1), INTERVAL)
    return float(low), float(high)


def rates(probabilities: Floats, labels: Labels) -> Rates:
    """Compute all of the above as one record, rounded to `DIGITS`."""
    low, high = bootstrap_interval(probabilities, labels)
    return Rates(
        n=len(labels),
        accuracy=round(accuracy(probabilities, labels), DIGITS),
        accuracy_interval=(round(low, DIGITS), round(high, DIGITS)),
        balanced_accuracy=round(balanced_accuracy(probabilities, labels), DIGITS),
        macro_f1=round(macro_f1(probabilities, labels), DIGITS),
        ece=round(ece(probabilities, labels), DIGITS),
        per_class={name: round(v, DIGITS) for name, v in recalls(probabilities, labels).items()},
    )


class Difference(NamedTuple):
    """How far a model is ahead of another: the value in [-1, 1] and its 95 % interval."""

    value: float
    low: float
    high: float


def differences(
    probabilities: Floats, others: Floats, labels: Labels, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Difference]:
    """Measure how far a model is ahead of another one on the same faces.

    The faces are resampled with replacement, both models on the same ones, so that what is hard for both
    cancels out. An interval that holds 0 says that these faces do not tell the two apart.

    Args:
        probabilities: float (N, 8), of the model.
        others: float (N, 8), of the one that it is compared with.
        labels: int (N,).
        rounds: how often the faces are resampled.
        seed: of the samples.

    Returns:
        The difference in `accuracy` and in `balanced_accuracy`, by these names, rounded to `DIGITS`.
    """
    ahead = (top(probabilities) == labels).astype(np.float64) - (top(others) == labels)
    of_class = np.eye(len(EMOTIONS))[labels]
    # How often each face is in each sample: (rounds, N) counts instead of as many indices.
    picked = np.random.default_rng(seed).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), rounds
    )
    totals = picked @ of_class  # (rounds, 8)
    by_class = picked @ (of_class * ahead[:, None]) / np.where(totals > 0, totals, np.nan)
    sampled = {
        accuracy: picked @ ahead / len(labels),
        balanced_accuracy: np.nanmean(by_class, axis=1),
    }
    found = {}
    for rule, values in sampled.items():
        value = rule(probabilities, labels) - rule(others, labels)
        numbers = (value, *np.percentile(values, INTERVAL).tolist())
        found[rule.__name__] = Difference(*(round(number, DIGITS) for number in numbers))
    return found


def over_seeds(
    changes: Mapping[str, Sequence[Mapping[str, Difference]]],
) -> dict[str, dict[str, Difference]]:
    """Average the differences of trainings that were repeated with other seeds.

    The interval holds both what the faces leave open (the mean half-width of the single intervals) and what
    the seeds do: a t interval whose standard deviation is pooled over all changes, because two or three seeds
    say little about that of one. Both are added in quadrature.

    Args:
        changes: by name, for each seed the `differences` to the same base with this seed; at least two seeds.

    Returns:
        By name, then by measure, the mean difference and its 95 % interval, rounded to `DIGITS`.

    Example:
        >>> runs = [{"accuracy": Difference(d, d - 0.01, d + 0.01)} for d in (0.02, 0.04, 0.03)]
        >>> over_seeds({"mixup": runs})["mixup"]["accuracy"]
        Difference(value=0.03, low=0.00322, high=0.05678)
    """
    measures = list(next(iter(changes.values()))[0])
    found: dict[str, dict[str, Difference]] = {name: {} for name in changes}
    for measure in measures:
        values = {name: np.array([run[measure] for run in runs]) for name, runs in changes.items()}
        squares = sum(float(np.square(v[:, 0] - v[:, 0].mean()).sum()) for v in values.values())
        freedom = sum(len(v) - 1 for v in values.values())
        quantile = float(student.ppf(INTERVAL[1] / 100, freedom))
        for name, v in values.items():
            mean, from_faces = v[:, 0].mean(), (v[:, 2] - v[:, 1]).mean() / 2
            from_seeds = quantile * math.sqrt(squares / freedom / len(v))
            half = math.hypot(from_faces, from_seeds)
            found[name][measure] = Difference(
                *(round(float(x), DIGITS) for x in (mean, mean - half, mean + half))
            )
    return found


class Overlap(NamedTuple):
    """What M models share on the same N faces. Faces without an answer count as wrong.

    Attributes:
        same_answer: float64 (M, M), the share of the faces on which two name the same emotion.
        shared_errors: float64 (M, M); row i, column j: the share of i's errors that j makes too, that is, the
            faces that both get wrong, with whatever answer. A row of NaN for a model without errors.
        all_right, any_right: the share of the faces that all get right, and that at least one does.
    """

    same_answer: NDArray[np.float64]
    shared_errors: NDArray[np.float64]
    all_right: float
    any_right: float


def overlap(several: Sequence[Floats], labels: Labels) -> Overlap:
    """Compare the answers of several models to the same faces, N > 0.

    An ensemble gains where its members are wrong on different faces (Kuncheva and Whitaker 2003, "Measures of
    diversity in classifier ensembles").
    """
    named = np.stack([top(probabilities) for probabilities in several])  # (M, N)
    wrong = named != labels
    agree = (named[:, None] == named[None]) & (named != NO_ANSWER)  # (M, M, N)
    same = agree.mean(axis=2)
    np.fill_diagonal(same, 1.0)
    both = (wrong[:, None] & wrong[None]).sum(axis=2).astype(np.float64)
    errors = wrong.sum(axis=1, keepdims=True)
    shared = np.divide(both, errors, out=np.full_like(both, np.nan), where=errors > 0)
    return Overlap(same, shared, float((~wrong).all(axis=0).mean()), float((~wrong).any(axis=0).mean()))


@dataclass(frozen=True)
class Point:
    """Scores at one strength of an adjustment, all in [0, 1]; `recalls` by emotion that has labels."""

    tau: float
    accuracy: float
    balanced_accuracy: float
    recalls: dict[str, float]


def adjusted(probabilities: Floats, tau: float) -> Floats:
    """Take `tau` off towards rare emotions by the model's own mean answer.

    Post-hoc logit adjustment (Menon et al. 2021, arXiv 2007.07314): the log probabilities less tau times the
    log of a prior. Here the prior is the mean distribution over the faces that are scored, so that neither
    labels nor the training set are needed. tau 0 are the answers as they are; a negative tau prefers what is
    frequent still more. An emotion that the model never names stays as it is.

    Returns:
        float64 (N, 8).
    """
    named = np.nansum(probabilities, axis=0)
    prior = np.where(named > 0.0, named / max(named.sum(), 1e-12), 1.0)
    return boost_rare(probabilities.astype(np.float64), -tau * np.log(prior))


def tradeoff(probabilities: Floats, labels: Labels, strengths: Sequence[float] = STRENGTHS) -> list[Point]:
    """Score the same answers at every strength of `adjusted`, in their order."""
    points = []
    for tau in strengths:
        rows = adjusted(probabilities, tau)
        points.append(
            Point(tau, accuracy(rows, labels), balanced_accuracy(rows, labels), recalls(rows, labels))
        )
    return points


def absences(
    model_classes: Collection[str], data_classes: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List what only the model knows, and what only the data know.

    - An emotion that the data set does not have cannot be the right answer to any of its faces. It is dropped
      from the model's distribution and the rest is rescaled (`Outputs.scored`); confidence, ECE and confusion
      follow from that.
    - An emotion that the data set has and the model does not can never be answered. Its faces stay in every
      figure and count as wrong, because a user meets them too; `accuracy_on_shared` is without them.

    Returns:
        Emotions absent from the data, and absent from the model, each in canonical order.

    Raises:
        DataError: they share no emotion.
    """
    if not set(model_classes) & set(data_classes):
        raise DataError("The model and the data set have no emotion in common: nothing can be scored.")
    return (
        tuple(e for e in EMOTIONS if e in model_classes and e not in data_classes),
        tuple(e for e in EMOTIONS if e in data_classes and e not in model_classes),
    )


def complete(predicted: Floats, labels: Floats) -> NDArray[np.bool_]:
    """Find the pairs without a NaN, bool (N,); of arrays (N, 2) the rows without one.

    A NaN label is a face that nobody rated, a NaN prediction a face that was not found.
    """
    whole: NDArray[np.bool_] = np.isfinite(predicted) & np.isfinite(labels)
    return np.asarray(whole if whole.ndim == 1 else whole.all(axis=1))


def ccc(predicted: Floats, labels: Floats) -> float:
    """Lin's concordance correlation coefficient in [-1, 1]: 1 only where every pair is equal.

    2 cov(x, y) / (var x + var y + (mean x - mean y)^2) with population moments, Lin 1989, "A concordance
    correlation coefficient to evaluate reproducibility". A constant side gives 0; NaN for no pairs, and where
    both sides are the same constant.
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
    return float(np.corrcoef(x, y)[0, 1])


def rmse(predicted: Floats, labels: Floats) -> float:
    """Root of the mean squared difference, at least 0; NaN for no pairs."""
    x, y = _pairs(predicted, labels)
    return float(root_mean_squared_error(y, x)) if len(x) else float("nan")


AGREEMENTS: tuple[Callable[[Floats, Floats], float], ...] = (ccc, pearson, rmse)


def _pairs(predicted: Floats, labels: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = complete(predicted, labels)
    return predicted[kept].astype(np.float64), labels[kept].astype(np.float64)
