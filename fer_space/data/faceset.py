"""One split of a data set, whatever it was read from."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fer_space.data.found import Found
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, ImageError
from fer_space.vision.imaging import decode_image

SPLITS = ("train", "valid", "test")
TargetMode = Literal["majority", "pld", "cel", "multi"]
TARGET_MODES: tuple[str, ...] = get_args(TargetMode)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Dropped:
    """A face that was left out: its file, why, and the split that it would be in ("" where unknown).

    Where it is left out because of another face, `twin` is that one's file.
    """

    file: str
    why: str
    split: str = ""
    twin: str = ""


@dataclass(frozen=True)
class Member:
    """A set among joined ones: its name, and the emotions that its labelling scheme knows."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Pictures of faces with their labels.

    Attributes:
        name, split: where they come from, for reports.
        files: name of each picture.
        encoded: gives the bytes of picture i's file.
        labels: int64 (N,), index into `EMOTIONS`: what accuracy is scored against. NO_ANSWER where nobody
            named an emotion; then valence and arousal are known.
        targets: float32 (N, 8), a distribution over `EMOTIONS` a row: what training aims at; zeros where
            nobody named an emotion.
        affect: float32 (N, 2), valence and arousal in [-1, 1], NaN in both where a face has no valid
            pair; None where no face has one.
        subjects: the person (or film) that each picture shows, "" where unknown; None where no face
            has one. Folds of a cross-validation must not divide a subject.
        dropped: faces that the reader left out, with the reason.
        classes: the emotions that the labelling scheme knows. A face of a set without contempt was
            never asked about contempt. Joined sets know all that one of them knows.
        boxes: (left, top, right, bottom) of each face in pixels of its picture, None for the whole
            picture; None where every face is a whole picture.
        found: what a detector made of each whole picture, None where nobody looked: `read` cuts such a face
            out upright. A picture in which none was found is read as it is; `train` has no such picture.
        notes: sentences about what the reader chose, for a person.
        members: the sets that were joined, in the order of their names; one alone is its own member.
        origins: int64 (N,), the member that each face is of; None where there is one.
    """

    name: str
    split: str
    files: tuple[str, ...]
    encoded: Callable[[int], bytes]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32]
    affect: NDArray[np.float32] | None = None
    subjects: tuple[str, ...] | None = None
    dropped: tuple[Dropped, ...] = ()
    classes: tuple[str, ...] = EMOTIONS
    boxes: tuple[Box | None, ...] | None = None
    found: tuple[Found | None, ...] | None = None
    notes: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    origins: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not self.members:
            object.__setattr__(self, "members", (Member(self.name, self.classes),))
        count = len(self.files)
        if count == 0:
            raise nothing_left(self.name, f" in its {self.split} split", self.dropped)
        if self.labels.shape != (count,) or self.targets.shape != (count, len(EMOTIONS)):
            raise DataError(f"{self.name}: {count} pictures need as many labels and targets.")
        optional = (self.affect, self.subjects, self.boxes, self.found, self.origins)
        if any(values is not None and len(values) != count for values in optional):
            raise DataError(f"{self.name}: {count} pictures need as many V/A, subjects, boxes, origins.")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """The faces of which somebody named an emotion, bool (N,)."""
        return np.asarray(self.labels != NO_ANSWER)

    def say_dropped(self) -> None:
        """Say on stderr what the reader chose, how many faces were left out, and the commonest reasons."""
        for note in self.notes:
            print(f"{self.name}: {note}", file=sys.stderr)
        if self.dropped:
            reasons = Counter(bad.why for bad in self.dropped).most_common(3)
            listed = "; ".join(f"{count:,}: {why}" for why, count in reasons)
            print(f"{self.name} {self.split}: {len(self.dropped):,} left out ({listed})", file=sys.stderr)

    def read(self, i: int) -> NDArray[np.uint8]:
        """Face i, cut out upright if it was found and else by its box, as uint8 (H, W, 3) RGB.

        Raises DataError that names a damaged file.
        """
        return self._decode(i, self.box(i), self.found[i] if self.found else None)

    def read_whole(self, i: int) -> NDArray[np.uint8]:
        """Picture i, not cut at all; otherwise as `read`."""
        return self._decode(i, None, None)

    def box(self, i: int) -> Box | None:
        """The box of face i in its picture, None for the whole picture."""
        return self.boxes[i] if self.boxes else None

    def found_by(self, detector: str, i: int) -> Found | None:
        """What that detector made of picture i, None where it has not looked, or at another picture."""
        found = self.found[i] if self.found else None
        if found is None or found.detector != detector or not found.is_of(self.encoded(i)):
            return None
        return found

    def _decode(self, i: int, box_xyxy: Box | None, found: Found | None) -> NDArray[np.uint8]:
        try:
            return decode_face(self.encoded(i), box_xyxy, found)
        except (ImageError, OSError) as error:
            raise DataError(f"{self.name}: {self.files[i]}: {error}") from error

    def select(self, indices: Sequence[int] | NDArray[np.int64]) -> "FaceSet":
        """The faces at `indices`, in that order: a fold of a cross-validation, or a sample.

        Raises:
            DataError: `indices` is empty.
            IndexError: an index is out of range.
        """
        chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
        places = [int(i) for i in np.arange(len(self))[chosen]]
        return replace(
            self,
            files=tuple(self.files[i] for i in places),
            encoded=lambda i: self.encoded(places[i]),
            labels=self.labels[places],
            targets=self.targets[places],
            affect=None if self.affect is None else self.affect[places],
            subjects=None if self.subjects is None else tuple(self.subjects[i] for i in places),
            boxes=None if self.boxes is None else tuple(self.boxes[i] for i in places),
            found=None if self.found is None else tuple(self.found[i] for i in places),
            origins=None if self.origins is None else self.origins[places],
        )


def one_hot(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Labels int64 (...) -> float32 (..., 8); zeros for NO_ANSWER."""
    return np.asarray(labels[..., None] == np.arange(len(EMOTIONS)), dtype=np.float32)


def name_of(label: int) -> str:
    """The emotion of a label, "" for NO_ANSWER."""
    return "" if label == NO_ANSWER else EMOTIONS[label]


def decode_face(data: bytes, box_xyxy: Box | None, found: Found | None = None) -> NDArray[np.uint8]:
    """Decode a picture file and cut out the face that was found in it, or else a box.

    What of the box lies beyond the picture is left out.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        ImageError: the bytes are no picture, or not the one in which the face was found, or the box covers
            no pixel of it.
    """
    image_rgb = decode_image(data, trusted=True)
    if found is not None and found.is_face:
        if not found.is_of(data):
            raise ImageError("The picture has changed since its face was found: prepare the set again.")
        return found.crop(image_rgb)
    if box_xyxy is None:
        return image_rgb
    height, width = image_rgb.shape[:2]
    left, right = (round(min(max(x, 0.0), width)) for x in box_xyxy[0::2])
    top, bottom = (round(min(max(y, 0.0), height)) for y in box_xyxy[1::2])
    if left >= right or top >= bottom:
        raise ImageError("The box lies outside the picture.")
    return np.ascontiguousarray(image_rgb[top:bottom, left:right])


def nothing_left(name: str, where: str, dropped: Sequence[Dropped]) -> DataError:
    """The error for a set without a usable picture: how many were dropped, and why the first was."""
    reason = f": {len(dropped)} dropped, the first is {dropped[0].file}: {dropped[0].why}" if dropped else ""
    return DataError(f"{name} has no usable picture{where}{reason}".removesuffix(".") + ".")
