"""All splits of a data set as labelled rows: what every reader makes, and what `prepare` writes.

A reader adds what it finds to a `Gathering`; a bad row is listed there with its reason and does not stop
the others. Pictures are opened only when someone looks at them.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.faceset import (
    SPLITS,
    Box,
    Dropped,
    FaceSet,
    Member,
    decode_face,
    nothing_left,
    one_hot,
)
from fer_space.data.found import NO_FACE, Found
from fer_space.data.survey import readable
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, UnknownNameError

NO_AFFECT = (math.nan, math.nan)
SEVEN = EMOTIONS[:-1]  # the basic emotions and neutral: most sets know no contempt

Source = Path | Callable[[], bytes]


@dataclass(frozen=True, eq=False)
class Row:
    """One face.

    Attributes:
        file: its name in reports.
        split: train, valid or test; "" where the set has no splits, so that it counts in every one.
        label: index into `EMOTIONS`, or NO_ANSWER where valence and arousal alone are known.
        source: a plain picture file, or what gives the bytes of one (from an archive, from numbers).
        target: a distribution over `EMOTIONS`; None means the label alone.
        affect: valence and arousal in [-1, 1], or NaN twice.
        subject: person or film, "" where unknown.
        box_xyxy: the face in pixels of the picture (edges, the first pixel begins at 0), None for all.
        found: what a detector made of the picture, None where nobody looked.
        attributes: what else is known of the person, as the owner counts it (gender, race, age).
        member: which of the joined sets it is of, in their order.
    """

    file: str
    split: str
    label: int
    source: Source
    target: tuple[float, ...] | None = None
    affect: tuple[float, float] = NO_AFFECT
    subject: str = ""
    box_xyxy: Box | None = None
    found: Found | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    member: int = 0

    @property
    def is_faceless(self) -> bool:
        """Whether a detector looked and found no face: nothing to learn from, but a test counts it."""
        return self.found is not None and not self.found.is_face and self.box_xyxy is None

    def encoded(self) -> bytes:
        """The bytes of the picture file; raises OSError when it cannot be read."""
        return self.source.read_bytes() if isinstance(self.source, Path) else self.source()

    def decode(self) -> NDArray[np.uint8]:
        """The face as uint8 (H, W, 3) RGB; raises ImageError or OSError."""
        return decode_face(self.encoded(), self.box_xyxy, self.found)


@dataclass(frozen=True, eq=False)
class Collection:
    """A data set: its usable faces, those that were dropped, and the emotions that its scheme knows.

    `train_is_all` marks a set for tests alone, whose `train` is all of it, for cross-validation. `members`
    are the sets that were joined, none for a set alone. `notes` are sentences about what the reader chose.
    """

    name: str
    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...] = ()
    classes: tuple[str, ...] = EMOTIONS
    train_is_all: bool = False
    members: tuple[Member, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows:
            raise nothing_left(self.name, "", self.dropped)

    def faces(self, split: str, *, check: bool = True) -> FaceSet:
        """One split; with `check` every picture is decoded once, and unreadable ones are dropped.

        `train` leaves out pictures in which no face was found.

        Raises:
            UnknownNameError: there is no such split.
            DataError: the split has no usable picture.
        """
        if split not in SPLITS:
            raise UnknownNameError.of(f"{self.name} split", split, SPLITS)
        every = self.train_is_all and split == "train"
        rows = [row for row in self.rows if every or row.split in ("", split)]
        dropped = [bad for bad in self.dropped if every or bad.split in ("", split)]
        if split == "train":
            dropped += [Dropped(row.file, NO_FACE, row.split) for row in rows if row.is_faceless]
            rows = [row for row in rows if not row.is_faceless]
        if check:
            rows, unreadable = readable(rows)
            dropped += unreadable
        dropped.sort(key=lambda bad: bad.split == "")  # what is surely of this split comes first
        return self._face_set(split, rows, dropped)

    def without(self, bad: list[Dropped], rows: list[Row]) -> "Collection":
        """The same set with `rows` alone, and `bad` listed among the dropped."""
        return replace(self, rows=tuple(rows), dropped=(*self.dropped, *bad))

    def _face_set(self, split: str, rows: list[Row], dropped: list[Dropped]) -> FaceSet:
        labels = np.array([row.label for row in rows], dtype=np.int64)
        targets = one_hot(labels)
        for i, row in enumerate(rows):
            if row.target is not None:
                targets[i] = row.target
        affect = np.array([row.affect for row in rows], dtype=np.float32)
        return FaceSet(
            name=self.name,
            split=split,
            files=tuple(row.file for row in rows),
            encoded=lambda i: rows[i].encoded(),
            labels=labels,
            targets=targets,
            affect=affect if np.isfinite(affect).any() else None,
            subjects=tuple(row.subject for row in rows) if any(row.subject for row in rows) else None,
            dropped=tuple(dropped),
            classes=self.classes,
            boxes=tuple(row.box_xyxy for row in rows) if any(row.box_xyxy for row in rows) else None,
            found=tuple(row.found for row in rows) if any(row.found for row in rows) else None,
            notes=self.notes,
            members=self.members,
            origins=np.array([row.member for row in rows], dtype=np.int64) if self.members else None,
        )


@dataclass
class Gathering:
    """The rows that a reader has found so far, good and bad."""

    rows: list[Row] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep a row, or drop it when its picture file does not exist."""
        try:
            there = not isinstance(row.source, Path) or row.source.is_file()
        except OSError as error:  # a name that the file system refuses
            self.drop(row.file, f"the picture cannot be read: {error.strerror}", row.split)
            return
        if there:
            self.rows.append(row)
        else:
            self.drop(row.file, "the picture is missing", row.split)

    def drop(self, file: str, why: str | Exception, split: str = "") -> None:
        """List a face that cannot be used."""
        self.dropped.append(Dropped(file, str(why), split))

    def list_once(self, dropped: Iterable[Dropped]) -> None:
        """Take over what was listed elsewhere, without what is listed already.

        A file that is read once a split names its rows of unknown split each time.
        """
        known = set(self.dropped)
        self.dropped.extend(bad for bad in dropped if bad not in known)

    def collection(
        self, name: str, classes: tuple[str, ...] = EMOTIONS, *, train_is_all: bool = False
    ) -> Collection:
        """Everything found; raises DataError naming the first reason when no row is usable."""
        rows, dropped, notes = tuple(self.rows), tuple(self.dropped), tuple(self.notes)
        return Collection(name, rows, dropped, classes, train_is_all, notes=notes)


def hash_share(key: str, parts: int) -> int:
    """A number below `parts` that depends on `key` alone, the same on every machine."""
    return (
        int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8], "little") % parts
    )


def three_way_split(key: str) -> str:
    """Eight tenths of all keys are train, one tenth valid, one tenth test."""
    return {8: "valid", 9: "test"}.get(hash_share(key, 10), "train")


def held_out_split(key: str) -> str:
    """One tenth of all keys of an official training split is valid, the rest train."""
    return "valid" if hash_share(key, 10) == 9 else "train"


def valid_affect(valence: float, arousal: float) -> tuple[float, float]:
    """The pair where both lie in [-1, 1], else NaN twice (AffectNet writes -2 for "none")."""
    return (valence, arousal) if abs(valence) <= 1.0 and abs(arousal) <= 1.0 else NO_AFFECT


def existing_folder(*candidates: Path) -> Path:
    """The first of the folders that exists; raises DataError naming the first when none does."""
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise DataError(f"There is no folder {candidates[0]}.")
