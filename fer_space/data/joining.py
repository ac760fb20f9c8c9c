"""Several data sets as one, without the same picture in training and in what measures it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fer_space.data.collection import Collection, Row, hash_share
from fer_space.data.faceset import SPLITS, Dropped, FaceSet, Member
from fer_space.data.survey import fingerprint, sift
from fer_space.emotions import EMOTIONS
from fer_space.errors import UnknownNameError

LEAK = "the same picture is in {}"


def join(parts: Sequence[Collection]) -> Collection:
    """All rows of all sets; the classes are those that any of them knows.

    A set whose `train` is all of it (DiffusionFER) gives four fifths of its `valid` to train, by the hash of
    a file's name; the rest stays `valid`, and its `test` is not touched.
    """
    known = {name for part in parts for name in part.classes}
    names = _told_apart([part.name for part in parts])
    return Collection(
        name="+".join(part.name for part in parts),
        rows=tuple(row for number, part in enumerate(parts) for row in _member_rows(part, number)),
        dropped=tuple(bad for part in parts for bad in part.dropped),
        classes=tuple(name for name in EMOTIONS if name in known),
        notes=tuple(f"{part.name}: {note}" for part in parts for note in part.notes),
        members=tuple(Member(name, part.classes) for name, part in zip(names, parts, strict=True)),
    )


def _told_apart(names: Sequence[str]) -> list[str]:
    """Give names; from its second time on, one that several share has a number."""
    return [f"{name}-{n}" if (n := names[: i + 1].count(name)) > 1 else name for i, name in enumerate(names)]


def _member_rows(part: Collection, number: int) -> Iterator[Row]:
    for row in part.rows:
        taught = part.train_is_all and row.split == "valid" and hash_share(f"joined {row.file}", 5) > 0
        yield replace(row, member=number, split="train" if taught else row.split)


def joined_faces(joined: Collection, split: str) -> FaceSet:
    """One split of a joined set, every picture decoded once; unreadable ones and leaks are dropped.

    Raises:
        UnknownNameError: there is no such split.
        DataError: nothing is left.
    """
    if split not in SPLITS:
        raise UnknownNameError.of(f"{joined.name} split", split, SPLITS)
    needed = ("", *SPLITS[SPLITS.index(split) :])
    rows, unreadable, prints = sift([row for row in joined.rows if row.split in needed], fingerprint)
    leaks = find_leaks(rows, prints, split)
    kept = [row for row, leak in zip(rows, leaks, strict=True) if leak is None]
    return joined.without([*unreadable, *filter(None, leaks)], kept).faces(split, check=False)


def find_leaks(rows: Sequence[Row], prints: Sequence[str], blank: str = "train") -> list[Dropped | None]:
    """For each row, why it must be left out, or None.

    A face of `train` leaks when the pixels of its decoded picture are also a face of `valid` or `test`, and
    a face of `valid` when they are one of `test`, in any of the sets. Rows without a split are in every
    split because the user says so: they count as `blank`, and no row leaks into them.

    Args:
        rows: faces of the split that is asked for, and of those that come after it.
        prints: the fingerprint of each row's picture.
        blank: the split as which a row without one is judged.
    """
    last: dict[str, Row] = {}
    for row, value in zip(rows, prints, strict=True):
        if row.split and (value not in last or _rank(row.split) > _rank(last[value].split)):
            last[value] = row
    leaks: list[Dropped | None] = []
    for row, value in zip(rows, prints, strict=True):
        twin = last.get(value)
        if twin is not None and _rank(row.split or blank) < _rank(twin.split):
            leaks.append(Dropped(row.file, LEAK.format(twin.split), row.split, twin.file))
        else:
            leaks.append(None)
    return leaks


def _rank(split: str) -> int:
    return SPLITS.index(split)
