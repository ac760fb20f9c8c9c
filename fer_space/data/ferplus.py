"""FERPlus: the faces of FER-2013 with the votes of ten taggers, and its exact protocol.

Barsoum et al. 2016, "Training deep networks for facial expression recognition with crowd-sourced
label distribution", arXiv 1608.01041. Reads the layout that the data set's own tools write: a folder
with FER2013Train, FER2013Valid and FER2013Test, each a folder of 48x48 gray PNG files with a
`label.csv`, or a .tar of such a folder (read in place, nothing is extracted).

A row of `label.csv`: file, "(left, top, right, bottom)", then the votes for the eight emotions in the
order of `EMOTIONS`, for "unknown" and for "not a face".
"""

import csv
import io
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fer_space.data.faceset import FaceSet, one_hot, read_archive
from fer_space.errors import DataError, UnknownNameError
from fer_space.labels import EMOTIONS

TargetMode = Literal["majority", "pld", "cel", "multi"]
TARGET_MODES: tuple[str, ...] = get_args(TargetMode)
FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
UNKNOWN = len(EMOTIONS)  # first of the two columns that are no emotion
# rows -> faces kept, for the published files; validation and test are always scored by majority
KEPT = {
    ("train", "majority", 28_558): 25_045,
    ("train", "pld", 28_558): 27_947,
    ("train", "cel", 28_558): 27_947,
    ("train", "multi", 28_558): 27_667,
    ("valid", "majority", 3_579): 3_191,
    ("test", "majority", 3_573): 3_137,
}
TEST_COUNTS = (1083, 892, 394, 382, 269, 16, 86, 15)


def read_ferplus(folder: Path, split: str, mode: TargetMode = "majority") -> FaceSet:
    """Read one split; `labels` are by majority wherever there is one, else the strongest emotion.

    Args:
        folder: holds the three folders or .tar files.
        split: train, valid or test. The last two ignore `mode`: they are scored by majority.
        mode: what `targets` hold: `majority` one-hot; `cel` and `pld` the vote distribution (PLD
            draws from it anew in each epoch); `multi` equal shares of every accepted emotion.

    Raises:
        DataError: files are missing, a row is malformed, or the published files do not give the
            published counts.
    """
    if mode not in TARGET_MODES:
        raise UnknownNameError.of("target", mode, TARGET_MODES)
    if split not in FOLDERS:
        raise UnknownNameError.of("FERPlus split", split, FOLDERS)
    contents = _load(folder, FOLDERS[split])
    files, votes = _parse_labels(contents, FOLDERS[split])
    mode = mode if split == "train" else "majority"
    accepted = accept(votes, mode)
    keep = np.flatnonzero(accepted.any(axis=1))
    expected = KEPT.get((split, mode, len(files)))
    if expected is not None and len(keep) != expected:
        raise DataError(f"FERPlus {split} ({mode}) gives {len(keep)} faces where {expected} are published.")
    accepted = accepted[keep]
    counts = tuple(np.bincount(accepted.argmax(axis=1), minlength=UNKNOWN).tolist())
    if len(keep) == sum(TEST_COUNTS) and split == "test" and counts != TEST_COUNTS:
        raise DataError(f"FERPlus test gives {counts} faces an emotion where {TEST_COUNTS} are published.")
    kept = tuple(files[i] for i in keep)
    return FaceSet(
        name="ferplus",
        split=split,
        files=kept,
        encoded=lambda i: contents[kept[i]],
        labels=accepted.argmax(axis=1),
        targets=_targets(accepted, mode),
    )


def drop_single_votes(votes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Votes (N, 10) with every count of one or less set to zero (the protocol's outlier removal)."""
    return np.where(votes > 1, votes, 0)


def accept(votes: NDArray[np.int64], mode: TargetMode) -> NDArray[np.int64]:
    """Apply the protocol's rule: votes (N, 10) -> accepted votes (N, 8), all zero where dropped.

    `majority` keeps the strongest column; `cel` and `pld` take columns from the strongest down until
    three quarters of the votes, or three columns, are in; `multi` keeps every column of at least 30 %.
    A face is dropped when its strongest accepted column is no emotion, and when its accepted columns
    hold half of the votes or less.
    """
    cleaned = drop_single_votes(votes)
    rule = {"majority": _majority, "multi": _multi}.get(mode, _distribution)
    accepted = np.stack([rule(row) for row in cleaned])
    no_emotion = accepted.argmax(axis=1) >= UNKNOWN
    too_few = accepted.sum(axis=1) * 2 <= cleaned.sum(axis=1)
    accepted[no_emotion | too_few] = 0
    return accepted[:, :UNKNOWN]


def _majority(row: NDArray[np.int64]) -> NDArray[np.int64]:
    strongest = np.zeros_like(row)
    top = row.argmax()
    strongest[top] = row[top]
    return strongest


def _multi(row: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(row >= 0.3 * row.sum(), row, 0)


def _distribution(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns from the strongest vote count down, tied columns together.

    "Unknown" and "not a face" end the search, and are accepted only if no emotion came before or
    beside them. More than three accepted columns mean that the taggers did not agree: all zero.
    """
    accepted = np.zeros_like(row)
    for level in np.unique(row[row > 0])[::-1]:
        if accepted.sum() >= 0.75 * row.sum() or np.count_nonzero(accepted) >= 3:
            break
        tied = row == level
        accepted[:UNKNOWN][tied[:UNKNOWN]] = level
        if tied[UNKNOWN:].any():
            if not accepted.any():
                accepted[tied] = level
            break
    return accepted if np.count_nonzero(accepted) <= 3 else np.zeros_like(row)


def _targets(accepted: NDArray[np.int64], mode: TargetMode) -> NDArray[np.float32]:
    if mode == "majority":
        return one_hot(accepted.argmax(axis=1))
    weights = (accepted > 0) if mode == "multi" else accepted
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _parse_labels(contents: dict[str, bytes], where: str) -> tuple[list[str], NDArray[np.int64]]:
    """Rows of `label.csv` -> file names and votes int64 (N, 10); every file must be there."""
    if "label.csv" not in contents:
        raise DataError(f"{where} has no label.csv.")
    files, votes = [], []
    for number, row in enumerate(csv.reader(io.StringIO(contents["label.csv"].decode())), start=1):
        try:
            name, _box, *counts = row
            values = [int(float(count)) for count in counts]
        except ValueError:
            raise DataError(f"{where}/label.csv, line {number}: expected file, box and ten counts.") from None
        if len(values) != UNKNOWN + 2 or name not in contents:
            raise DataError(f"{where}/label.csv, line {number}: ten counts and an existing file are needed.")
        files.append(name)
        votes.append(values)
    return files, np.array(votes, dtype=np.int64).reshape(-1, UNKNOWN + 2)


def _load(folder: Path, name: str) -> dict[str, bytes]:
    """All files of FER2013Train (and so on) by base name, from the folder or its .tar."""
    directory = folder / name
    if directory.is_dir():
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    return read_archive(folder / f"{name}.tar")
