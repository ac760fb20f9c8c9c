"""What a covered face changes: frozen dataclasses like those of `fer_space.types`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fer_space.types import Comparison, Reading, divergence


@dataclass(frozen=True, eq=False)
class Change:
    """One backbone on one face, before and after something covers it."""

    before: Reading
    after: Reading

    def __post_init__(self) -> None:
        if self.before.prediction.backbone != self.after.prediction.backbone:
            raise ValueError("a change is between two answers of one backbone")

    @property
    def backbone(self) -> str:
        """Its name in the registry."""
        return self.before.prediction.backbone

    @property
    def kept(self) -> bool:
        """Whether the most probable emotion stays the same."""
        return self.before.prediction.label == self.after.prediction.label

    @property
    def shift(self) -> float:
        """Jensen-Shannon divergence of the two answers in bits, from 0 (equal) to 1."""
        return divergence((self.before.prediction, self.after.prediction))

    @property
    def movement(self) -> tuple[float, float]:
        """By how much valence and arousal change."""
        before, after = self.before.prediction, self.after.prediction
        return after.valence - before.valence, after.arousal - before.arousal


@dataclass(frozen=True, eq=False)
class Covered:
    """All chosen backbones on one face, before and after something covers it.

    Attributes:
        before, after: the same face and the same backbones in the same order.
        kind: what covers the face, a name of `fer_space.occlusion.OCCLUSIONS`, or "painted".
    """

    before: Comparison
    after: Comparison
    kind: str

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """One a backbone."""
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


def covered_faces(
    before: Sequence[Comparison], after: Sequence[Comparison], kind: str
) -> tuple[Covered, ...]:
    """The faces of a picture, read free and covered in the same order."""
    return tuple(Covered(*pair, kind) for pair in zip(before, after, strict=True))


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What each region of a face is worth to a backbone's answer.

    Attributes:
        backbone: its name in the registry.
        target: the emotion whose odds are watched: the most probable one of the free face.
        worth: float32 (n, n) in bits: when that region is covered, its odds fall by two to this power. Odds
            tell one region from another also where the probability stays near 1.
    """

    backbone: str
    target: str
    worth: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.worth.ndim != 2 or not np.isfinite(self.worth).all():
            raise ValueError("worth is (n, n), a finite number of bits each")
