"""DiffusionFER: 1,285 synthetic faces with expression, valence and arousal (CC0).

Reads the .tar in place: 224x224 RGB JPEG files and `labels.csv` (file, valence, arousal, expression).
The set has no splits of its own. Here the hash of a picture's name puts it into `valid` or `test`, half
each, so that whatever is chosen by looking at it (crop margins) is chosen on `valid` and reported on
`test`; `train` is everything, for cross-validation.
"""

import csv
import hashlib
import io
from pathlib import Path

import numpy as np

from fer_space.data.faceset import SPLITS, FaceSet, one_hot, read_archive
from fer_space.errors import DataError, UnknownNameError
from fer_space.labels import EMOTIONS, canonical


def read_diffusionfer(folder: Path, split: str) -> FaceSet:
    """Read one split; `labels` are the annotators' expression, `affect` their valence and arousal.

    Raises:
        DataError: the archive is missing or a row is malformed.
    """
    if split not in SPLITS:
        raise UnknownNameError.of("DiffusionFER split", split, SPLITS)
    archive = folder / "DiffusionFER.tar"
    contents = read_archive(archive)
    if "labels.csv" not in contents:
        raise DataError(f"{archive.name} has no labels.csv.")
    try:
        rows = list(csv.DictReader(io.StringIO(contents["labels.csv"].decode()), restval=""))
        rows = [row for row in rows if split in ("train", _half(row["file"]))]
        files = tuple(row["file"] for row in rows)
        affect = np.array([[row["valence"], row["arousal"]] for row in rows], dtype=np.float32)
        labels = np.array([EMOTIONS.index(canonical(row["expression"])) for row in rows], dtype=np.int64)
    except (KeyError, ValueError) as error:
        raise DataError(f"{archive.name}: labels.csv is malformed ({error}).") from None
    if missing := [name for name in files if name not in contents]:
        raise DataError(f"{archive.name} lacks {len(missing)} pictures, the first is {missing[0]}.")
    return FaceSet(
        name="diffusionfer",
        split=split,
        files=files,
        encoded=lambda i: contents[files[i]],
        labels=labels,
        targets=one_hot(labels),
        affect=affect,
    )


def _half(name: str) -> str:
    """Which half a picture belongs to: decided by its name alone, the same on every machine."""
    return SPLITS[1 + hashlib.sha256(name.encode()).digest()[0] % 2]
