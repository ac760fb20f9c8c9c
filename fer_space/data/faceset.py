"""One split of a data set, whatever it was read from."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import DataError
from fer_space.labels import EMOTIONS

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Pictures of faces with their labels.

    Attributes:
        name, split: where they come from, for reports.
        files: name of each picture.
        read: gives picture i as uint8 (H, W, 3) RGB.
        labels: int64 (N,), index into `EMOTIONS`: what accuracy is scored against.
        targets: float32 (N, 8), a distribution over `EMOTIONS` a row: what training aims at.
        affect: float32 (N, 2), valence and arousal in [-1, 1], or None where nobody labelled them.
    """

    name: str
    split: str
    files: tuple[str, ...]
    read: Callable[[int], NDArray[np.uint8]]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]
    affect: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.files)
        if count == 0:
            raise DataError(f"{self.name} has no usable picture in its {self.split} split.")
        if self.labels.shape != (count,) or self.targets.shape != (count, len(EMOTIONS)):
            raise DataError(f"{self.name}: {count} pictures need as many labels and targets.")

    def __len__(self) -> int:
        return len(self.files)

    def subset(self, keep: NDArray[np.intp] | NDArray[np.bool_]) -> "FaceSet":
        """The pictures at the positions (or under the mask) `keep`, in that order."""
        positions = np.arange(len(self))[keep]
        return replace(
            self,
            files=tuple(self.files[i] for i in positions),
            read=lambda i: self.read(int(positions[i])),
            labels=self.labels[positions],
            targets=self.targets[positions],
            affect=None if self.affect is None else self.affect[positions],
        )

    def class_counts(self) -> dict[str, int]:
        """How many pictures each emotion has by `labels`."""
        counts = np.bincount(self.labels, minlength=len(EMOTIONS))
        return dict(zip(EMOTIONS, counts.tolist(), strict=True))


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Labels int64 (N,) -> float32 (N, 8)."""
    return np.eye(len(EMOTIONS), dtype=np.float32)[labels]
