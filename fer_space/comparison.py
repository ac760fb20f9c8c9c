"""What several models say of one face, and what an occlusion changes: thin views over `distributions`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from fer_space import distributions
from fer_space.types import Face, Prediction, Reading

PREDICTED = "predicted"  # what a map explains: each model's own answer
CONSENSUS = "consensus"  # or that of all together

Rule = Literal["fitted mean", "mean"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """All chosen models on one face.

    Attributes:
        face: where it is.
        readings: one a model.
        shares: of each reading in the fitted ensemble, at least 0 and not all 0; () where not all members of
            the ensemble were chosen, so that all models count alike.
        asked: how many models were asked; more than `readings` as long as some have yet to answer.

    Example:
        >>> from fer_space import Engine, load_image
        >>> photo = load_image("examples/astronaut.jpg")
        >>> [comparison] = Engine().compare(photo, backbones=["vgg16", "efficientnet_lite0"])
        >>> comparison.consensus, comparison.agreement, comparison.rule
        ('happiness', 1.0, 'mean')
    """

    face: Face
    readings: tuple[Reading, ...]
    shares: tuple[float, ...] = ()
    asked: int = 0

    def __post_init__(self) -> None:
        if not self.readings:
            raise ValueError("a comparison needs at least one reading")
        if self.shares and not (len(self.shares) == len(self.readings) and min(self.shares) >= 0.0):
            raise ValueError("shares are one a reading, and at least 0")
        if self.shares and not sum(self.shares) > 0.0:
            raise ValueError("shares must not all be 0")

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """The answers alone, in the order of the readings."""
        return tuple(reading.prediction for reading in self.readings)

    @property
    def rule(self) -> Rule:
        """How the models become one answer."""
        return rule_of(self.shares)

    @cached_property
    def together(self) -> dict[str, float]:
        """The one answer of all models, by the rule: probability by emotion, summing to 1."""
        return distributions.by_emotion(distributions.mean_of(_stack(self.predictions), self.shares)[0])

    @property
    def consensus(self) -> str:
        """The most probable emotion of `together`."""
        return max(self.together, key=self.together.__getitem__)

    def explained(self, reading: Reading, target: str) -> str:
        """Say which emotion a map of one of the readings is about.

        Args:
            reading: one of this face.
            target: `PREDICTED` for its own answer, `CONSENSUS`, or an emotion.
        """
        return {PREDICTED: reading.prediction.label, CONSENSUS: self.consensus}.get(target, target)

    @property
    def agreement(self) -> float:
        """Share of the models whose top emotion is the consensus, in [0, 1]."""
        return float(np.mean([p.label == self.consensus for p in self.predictions]))

    @cached_property
    def disagreement(self) -> float:
        """Jensen-Shannon divergence of the models' answers in bits, see `distributions.divergence`."""
        return float(distributions.divergence(_stack(self.predictions))[0])


@dataclass(frozen=True, eq=False)
class Change:
    """One model on one face, before and after something occludes it."""

    before: Reading
    after: Reading

    def __post_init__(self) -> None:
        if self.before.prediction.backbone != self.after.prediction.backbone:
            raise ValueError("a change is between two answers of one model")

    @property
    def backbone(self) -> str:
        """The model's name."""
        return self.before.prediction.backbone

    @property
    def kept(self) -> bool:
        """Whether the most probable emotion stays the same."""
        return self.before.prediction.label == self.after.prediction.label

    @property
    def shift(self) -> float:
        """Jensen-Shannon divergence of the two answers in bits, from 0 (equal) to 1."""
        both = _stack((self.before.prediction, self.after.prediction))
        return float(distributions.divergence(both)[0])

    @property
    def movement(self) -> tuple[float, float]:
        """By how much valence and arousal change."""
        before, after = self.before.prediction, self.after.prediction
        return after.valence - before.valence, after.arousal - before.arousal


@dataclass(frozen=True, eq=False)
class Covered:
    """All chosen models on one face, before and after something occludes it.

    Attributes:
        before, after: the same face and the same models in the same order.
        kind: what occludes the face, a name of `fer_space.occlusion.OCCLUSIONS`, or "painted".
    """

    before: Comparison
    after: Comparison
    kind: str

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """One a model."""
        pairs = zip(self.before.readings, self.after.readings, strict=True)
        return tuple(Change(before, after) for before, after in pairs)

    @property
    def kept(self) -> tuple[Change, ...]:
        """The changes in which the most probable emotion stays the same."""
        return tuple(change for change in self.changes if change.kept)

    @property
    def most_moved(self) -> Change:
        """The change with the largest shift."""
        return max(self.changes, key=lambda change: change.shift)


def rule_of(shares: Sequence[float]) -> Rule:
    """Name how models become one answer, by their shares in a fitted ensemble or () without one."""
    return "fitted mean" if shares else "mean"


def pair(before: Sequence[Comparison], after: Sequence[Comparison], kind: str) -> list[Covered]:
    """Pair the faces of a picture, read free and occluded in the same order."""
    return [Covered(*both, kind) for both in zip(before, after, strict=True)]


def _stack(predictions: Sequence[Prediction]) -> distributions.Distributions:
    """The answers of M models on one face, float64 (M, 1, 8)."""
    return np.stack([distributions.row_of(p.probabilities)[None] for p in predictions])
