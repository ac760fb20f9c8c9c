"""Several data sets as one, without the same picture in training and in what measures it."""

from collections.abc import Sequence

from fer_space.data.collection import Collection, Row
from fer_space.data.faceset import SPLITS, Dropped, FaceSet
from fer_space.data.survey import fingerprint, sift
from fer_space.labels import EMOTIONS

LEAK = "the same picture is in {} ({})"


def join(parts: Sequence[Collection]) -> Collection:
    """All rows of all sets; the classes are those that any of them knows.

    A set whose `train` is all of it (DiffusionFER) gives nothing to train here: its faces are `valid` and
    `test` alone.
    """
    known = {name for part in parts for name in part.classes}
    return Collection(
        name="+".join(part.name for part in parts),
        rows=tuple(row for part in parts for row in part.rows),
        dropped=tuple(bad for part in parts for bad in part.dropped),
        classes=tuple(name for name in EMOTIONS if name in known),
    )


def joined_faces(joined: Collection, split: str) -> FaceSet:
    """One split of a joined set, every picture decoded once; unreadable ones are dropped.

    A face of `train` is dropped when the pixels of its decoded picture are also a face of `valid` or `test`
    in any of the sets. Rows without a split are in every split because the user says so: they are dropped
    from training only where a row that is `valid` or `test` by name holds the same picture.

    Raises:
        UnknownNameError: there is no such split.
        DataError: nothing is left.
    """
    if split != "train":
        return joined.faces(split)
    rows, unreadable, prints = sift(joined.rows, fingerprint)
    held_out = {value: row for row, value in zip(rows, prints, strict=True) if row.split in SPLITS[1:]}
    kept: list[Row] = []
    leaks: list[Dropped] = []
    for row, value in zip(rows, prints, strict=True):
        twin = held_out.get(value)
        if twin is None or row.split in SPLITS[1:]:
            kept.append(row)
        else:
            leaks.append(Dropped(row.file, LEAK.format(twin.split, twin.file), "train"))
    return joined.without([*unreadable, *leaks], kept).faces(split, check=False)
