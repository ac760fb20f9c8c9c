"""One split of a data set, whatever it was read from."""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import DataError, ImageError
from fer_space.imaging import decode_image
from fer_space.labels import EMOTIONS

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Pictures of faces with their labels.

    Attributes:
        name, split: where they come from, for reports.
        files: name of each picture.
        encoded: gives the bytes of picture i's file.
        labels: int64 (N,), index into `EMOTIONS`: what accuracy is scored against.
        targets: float32 (N, 8), a distribution over `EMOTIONS` a row: what training aims at.
        affect: float32 (N, 2), valence and arousal in [-1, 1], or None where nobody labelled them.
    """

    name: str
    split: str
    files: tuple[str, ...]
    encoded: Callable[[int], bytes]
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

    def read(self, i: int) -> NDArray[np.uint8]:
        """Picture i as uint8 (H, W, 3) RGB; raises DataError naming the file when it is damaged."""
        try:
            return decode_image(self.encoded(i))
        except (ImageError, OSError) as error:
            raise DataError(f"{self.name}: {self.files[i]}: {error}") from error


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Labels int64 (N,) -> float32 (N, 8)."""
    return np.eye(len(EMOTIONS), dtype=np.float32)[labels]


def read_archive(archive: Path) -> dict[str, bytes]:
    """All files of a .tar by base name; raises DataError when it is missing or damaged."""
    if not archive.is_file():
        raise DataError(f"There is no {archive.name} in {archive.parent}.")
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.isfile()]
            return {Path(m.name).name: file.read() for m in members if (file := tar.extractfile(m))}
    except tarfile.TarError as error:
        raise DataError(f"{archive} is damaged: {error}.") from error
