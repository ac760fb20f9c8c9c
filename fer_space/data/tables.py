"""Generic data: a folder with one sub-folder an emotion, or a CSV file.

`folder:DIR` reads DIR/EMOTION/*, or DIR/SPLIT/EMOTION/* where DIR has a sub-folder of the split's name.
`csv:FILE` reads the columns `file` and `label`, or `file` and one column an emotion (a distribution or
votes), and if they are there `valence`, `arousal` and `split`. Paths are relative to the CSV file.
Emotions may go by their usual synonyms (`fer_space.labels.SYNONYMS`).
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.faceset import FaceSet, one_hot
from fer_space.errors import DataError
from fer_space.labels import EMOTIONS, SYNONYMS, canonical
from fer_space.sources import PICTURE_SUFFIXES


def read_folder(folder: Path, split: str) -> FaceSet:
    """Read class sub-folders; raises DataError when one is no emotion or nothing is there."""
    root = folder / split if (folder / split).is_dir() else folder
    if not root.is_dir():
        raise DataError(f"There is no folder {root}.")
    pairs = [
        (path, EMOTIONS.index(canonical(directory.name)))
        for directory in sorted(root.iterdir())
        if directory.is_dir()
        for path in sorted(directory.iterdir())
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]
    labels = np.array([label for _, label in pairs], dtype=np.int64)
    paths = [path for path, _ in pairs]
    return _face_set(folder.name, split, paths, one_hot(labels), None)


def read_csv(file: Path, split: str) -> FaceSet:
    """Read a CSV file; raises DataError naming the line that breaks the rules of this module."""
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    try:
        reader = csv.DictReader(file.read_text(encoding="utf-8").splitlines(), restval="")
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not a text file in UTF-8.") from error
    columns = {name.strip().lower(): name for name in reader.fieldnames or ()}
    numbered = [(i, row) for i, row in enumerate(reader, start=2) if _in_split(row, columns, split)]
    if "file" not in columns:
        raise DataError(f"{file.name} needs a column “file”.")
    paths, targets, affect = [], [], []
    for number, row in numbered:
        try:
            targets.append(_target(row, columns))
            if {"valence", "arousal"} <= set(columns):
                affect.append([float(row[columns["valence"]]), float(row[columns["arousal"]])])
        except (TypeError, ValueError, DataError) as error:
            raise DataError(f"{file.name}, line {number}: {error}") from None
        paths.append(file.parent / row[columns["file"]])
    rows = np.array(targets, dtype=np.float32).reshape(-1, len(EMOTIONS))
    values = np.array(affect, dtype=np.float32) if affect else None
    return _face_set(file.stem, split, paths, rows, values)


def _in_split(row: dict[str, str], columns: dict[str, str], split: str) -> bool:
    return "split" not in columns or row[columns["split"]].strip().lower() == split


def _target(row: dict[str, str], columns: dict[str, str]) -> list[float]:
    """The target distribution of a row, from its label or from one column an emotion."""
    if "label" in columns:
        emotion = canonical(row[columns["label"]])
        return [float(emotion == name) for name in EMOTIONS]
    weights = [0.0] * len(EMOTIONS)
    for lower, name in columns.items():
        if lower in EMOTIONS or lower in SYNONYMS:
            weights[EMOTIONS.index(canonical(lower))] += float(row[name] or 0.0)
    if min(weights) < 0.0 or not 0.0 < sum(weights) < np.inf:
        raise DataError("a row needs a label, or a positive number for at least one emotion.")
    return [weight / sum(weights) for weight in weights]


def _face_set(
    name: str, split: str, paths: list[Path], targets: NDArray[np.float32], affect: NDArray[np.float32] | None
) -> FaceSet:
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(f"{name}: {len(missing)} pictures are missing, the first is {missing[0]}.")
    return FaceSet(
        name=name,
        split=split,
        files=tuple(str(path) for path in paths),
        encoded=lambda i: paths[i].read_bytes(),
        labels=targets.argmax(axis=1),
        targets=targets,
        affect=affect,
    )
