"""FERPlus: the faces of FER-2013 with the votes of ten taggers, and its exact protocol.

Barsoum et al. 2016, "Training deep networks for facial expression recognition with crowd-sourced
label distribution", arXiv 1608.01041. The two layouts of the files are described in
`fer_space.data.fer_faces`: folders or .tar files with pictures, or the two published CSV files.

The votes are counts for the eight emotions in the order of `EMOTIONS`, for "unknown" and for "not a face".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.collection import Collection, Gathering, Row
from fer_space.data.faceset import SPLITS, TARGET_MODES, Dropped, TargetMode, one_hot
from fer_space.data.fer2013 import fer2013_labels
from fer_space.data.fer_faces import Faces, load_faces
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError, InputError, UnknownNameError

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


def collect_ferplus(
    folder: Path,
    splits: Sequence[str] = SPLITS,
    mode: TargetMode = "majority",
    second_label: float = 0.0,
) -> Collection:
    """Read some splits; a face's label is by majority wherever there is one, else the strongest emotion.

    Args:
        folder: holds the three folders or .tar files, or the two CSV files.
        splits: of train, valid and test. The last two ignore `mode` and `second_label`: they are scored by
            majority.
        mode: what `targets` hold: `majority` one-hot; `cel` and `pld` the vote distribution (PLD
            draws from it anew in each epoch); `multi` equal shares of every accepted emotion.
        second_label: w in [0, 1]: targets of train become (1 - w) votes + w FER-2013 label. A face whose
            label is missing, malformed or marked ambiguous keeps its votes alone.

    Raises:
        InputError: the mode is unknown, or `second_label` is out of range.
        DataError: files are missing, lack a column or do not fit together, or the published files do not
            give the published counts.
    """
    if mode not in TARGET_MODES:
        raise UnknownNameError.of("target", mode, TARGET_MODES)
    if not 0.0 <= second_label <= 1.0:
        raise InputError(f"The weight of the second label must lie between 0 and 1, not {second_label:g}.")
    found = Gathering()
    for split in splits:
        faces = load_faces(folder, split)
        in_training = split == "train"
        labels: dict[str, str] = {}
        if second_label > 0.0 and in_training:
            labels, bad = fer2013_labels(folder, faces, split, ambiguous=False)
            found.list_once(Dropped(row.file, f"no second label: {row.why}", row.split) for row in bad)
        _add_split(found, faces, split, mode if in_training else "majority", labels, second_label)
    return found.collection("ferplus")


def _add_split(
    found: Gathering, faces: Faces, split: str, mode: TargetMode, second: dict[str, str], weight: float
) -> None:
    votes = faces.vote_counts()
    accepted = accept(votes, mode)
    keep = np.flatnonzero(accepted.any(axis=1))
    if not faces.broken:
        _assert_published(split, mode, len(votes), accepted[keep])
    found.list_once(faces.dropped)
    lost = drop_single_votes(votes).argmax(axis=1) >= UNKNOWN
    for i in np.flatnonzero(~accepted.any(axis=1)):
        why = "unknown or not a face by its votes" if lost[i] else "its taggers do not agree"
        found.drop(faces.files[i], why, split)
    targets = _targets(accepted[keep], mode)
    for i, target in zip(keep, targets, strict=True):
        if faces.files[i] in second:
            label = column_of(second[faces.files[i]])
            target = (1.0 - weight) * target + weight * one_hot(np.array(label))
        row = tuple(target.tolist())
        found.add(Row(faces.files[i], split, int(accepted[i].argmax()), faces.sources[i], row))


def _assert_published(split: str, mode: str, rows: int, accepted: NDArray[np.int64]) -> None:
    """Raise DataError unless published files, known by how many rows they have, give the published counts.

    Files with a broken row are not asked: their faces are fewer, and the rows are listed.
    """
    expected = KEPT.get((split, mode, rows))
    if expected is not None and len(accepted) != expected:
        raise DataError(
            f"FERPlus {split} ({mode}) gives {len(accepted)} faces where {expected} are published."
        )
    counts = tuple(np.bincount(accepted.argmax(axis=1), minlength=UNKNOWN).tolist())
    if len(accepted) == sum(TEST_COUNTS) and split == "test" and counts != TEST_COUNTS:
        raise DataError(f"FERPlus test gives {counts} faces an emotion where {TEST_COUNTS} are published.")


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
    accepted = np.array([rule(row) for row in cleaned], dtype=np.int64).reshape(votes.shape)
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
