"""The faces of FER-2013 with the ten vote columns of FERPlus, from either layout of the files.

What the FERPlus tools write (read in place, nothing is extracted):

    DIR/FER2013Train/        or FER2013Train.tar; FER2013Valid and FER2013Test likewise
        fer0000000.png       48x48 gray
        label.csv            file, "(left, top, right, bottom)", ten vote counts; no header

or what their owners publish:

    DIR/fer2013.csv          emotion, pixels (48x48 numbers from 0 to 255), Usage
    DIR/fer2013new.csv       Usage, Image name, ten vote counts; row for row the same faces

`Usage` is Training, PublicTest (valid) or PrivateTest (test). Rows without an image name are dropped, as
the FERPlus tools do, and so are rows that break the form of the files, each with its reason. Only tables
that do not list the same faces row for row are an error: then no face is sure of its votes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.collection import Source
from fer_space.data.faceset import Dropped
from fer_space.data.files import Cells, is_picture, parse_lines, parse_table, read_archive, read_text
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from fer_space.vision.imaging import encode_png

FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
USAGES = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
VOTES = (*EMOTIONS, "unknown", "nf")
SIDE = 48
MOST_VOTES = 1_000
UNLIKE = "fer2013.csv and fer2013new.csv do not list the same faces row for row."


@dataclass(eq=False)
class Faces:
    """One split: the lists have one entry a face.

    Attributes:
        files, sources: name and picture of each face.
        votes: ten counts a face, in the order of `VOTES`.
        emotions: FER-2013's own label, or "" where the layout does not hold it.
        dropped: rows and pictures that are left out.
        broken: whether a row breaks the form of the files, so that they are not as they were published.
    """

    files: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    votes: list[list[int]] = field(default_factory=list)
    emotions: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    broken: bool = False

    def add(self, file: str, source: Source, votes: list[int], emotion: str = "") -> None:
        """Add one face."""
        self.files.append(file)
        self.sources.append(source)
        self.votes.append(votes)
        self.emotions.append(emotion)

    def reject(self, where: str, why: str | DataError, split: str) -> None:
        """List a row that breaks the form of the files."""
        self.dropped.append(Dropped(where, str(why), split))
        self.broken = True

    def vote_counts(self) -> NDArray[np.int64]:
        """Votes int64 (N, 10)."""
        return np.array(self.votes, dtype=np.int64).reshape(-1, len(VOTES))


def load_faces(folder: Path, split: str) -> Faces:
    """Read one split from whichever layout is in the folder.

    Raises:
        DataError: files are missing, lack a column, or do not list the same faces row for row.
    """
    name = FOLDERS[split]
    written = (folder / name).is_dir() or (folder / f"{name}.tar").is_file()
    if not written and (folder / "fer2013.csv").is_file() and (folder / "fer2013new.csv").is_file():
        return _from_tables(folder, split)
    return _from_folder(folder, split)


def load_unnamed(folder: Path, split: str) -> Faces:
    """Read one split of fer2013.csv alone: a face is called by its line, and has no votes.

    Raises:
        DataError: the file is missing, or lacks a column.
    """
    faces = Faces()
    for line, cells in _rows(folder / "fer2013.csv", ("emotion", "pixels", "usage")):
        usage = _split_of(cells)
        if usage not in ("", split):
            continue
        try:
            emotion, source = _picture(cells)
            faces.add(f"fer2013_line{line:05d}.png", source, [0] * len(VOTES), emotion)
        except DataError as error:
            faces.reject(f"fer2013.csv, line {line}", error, usage)
    return faces


def _from_tables(folder: Path, split: str) -> Faces:
    faces = Faces()
    pictures = _rows(folder / "fer2013.csv", ("emotion", "pixels", "usage"))
    votes = _rows(folder / "fer2013new.csv", ("usage", "image name", *VOTES))
    for pictured, voted in zip_longest(pictures, votes):
        if pictured is None or voted is None:
            raise DataError(UNLIKE)
        usages = {_split_of(pictured[1]), _split_of(voted[1])} - {""}
        if len(usages) > 1:
            raise DataError(UNLIKE)
        usage = usages.pop() if usages else ""
        if usage in ("", split):
            _add_row(faces, pictured, voted, usage)
    return faces


def _add_row(faces: Faces, pictured: tuple[int, Cells], voted: tuple[int, Cells], split: str) -> None:
    """Add the face of which the two tables tell, or list the row."""
    where = f"fer2013new.csv, line {voted[0]}"
    try:
        cells = _known(voted[1])
        name = cells["image name"]
        if not name:
            why = "it has no image name: the official script drops it"
            faces.dropped.append(Dropped(where, why, split))
            return
        if Path(name).name != name:
            raise DataError(f"“{name}” is not a plain file name")
        counts = _counts([cells[column] for column in VOTES])
        where = f"fer2013.csv, line {pictured[0]}"
        emotion, source = _picture(pictured[1])
    except DataError as error:
        faces.reject(where, error, split)
    else:
        faces.add(name, source, counts, emotion)


def _from_folder(folder: Path, split: str) -> Faces:
    name = FOLDERS[split]
    directory = folder / name
    sources: dict[str, Source]
    if directory.is_dir():
        sources = {path.name: path for path in directory.iterdir() if path.is_file()}
        table = read_text(directory / "label.csv") if "label.csv" in sources else None
    else:
        contents = read_archive(folder / f"{name}.tar")
        sources = {file: partial(contents.__getitem__, file) for file in contents}
        table = contents["label.csv"].decode("utf-8-sig", "replace") if "label.csv" in contents else None
    if table is None:
        raise DataError(f"{name} has no label.csv.")
    faces = Faces()
    named = set()
    for line, cells in parse_lines(table, f"{name}/label.csv"):
        where = f"{name}/label.csv, line {line}"
        if isinstance(cells, DataError):
            faces.reject(where, cells, split)
            continue
        file = cells[0]
        named.add(file)
        try:
            if file not in sources:
                raise DataError("the picture is missing")
            faces.add(file, sources[file], _counts(cells[2:]))
        except DataError as error:
            faces.reject(f"{where}: {file}", error, split)
    _list_unnamed(faces, sorted(sources.keys() - named), split)
    return faces


def _list_unnamed(faces: Faces, files: list[str], split: str) -> None:
    """List the pictures of which no row tells, without hidden files."""
    for file in files:
        if is_picture(Path(file)) and not file.startswith("."):
            faces.dropped.append(Dropped(file, "label.csv has no readable row for it", split))


def _rows(file: Path, needs: tuple[str, ...]) -> Iterator[tuple[int, Cells]]:
    """Rows of a large table, one at a time."""
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from parse_table(lines, file.name, needs)[1]


def _split_of(cells: Cells) -> str:
    """The split that a row names, "" where it names none."""
    return "" if isinstance(cells, DataError) else USAGES.get(cells["usage"], "")


def _known(cells: Cells) -> dict[str, str]:
    """The cells of a row; raises DataError when it cannot be read, or names no split."""
    if isinstance(cells, DataError):
        raise cells
    if cells["usage"] not in USAGES:
        raise DataError(f"its Usage is “{cells['usage']}”, not one of {', '.join(USAGES)}")
    return cells


def _counts(cells: list[str]) -> list[int]:
    """The votes; raises DataError when they are not ten counts."""
    try:
        counts = [int(float(cell)) for cell in cells]
    except (ValueError, OverflowError):
        counts = []
    if len(counts) != len(VOTES) or min(counts) < 0 or max(counts) > MOST_VOTES:
        raise DataError("its votes are not ten counts")
    return counts


def _picture(row: Cells) -> tuple[str, Source]:
    """FER-2013's label and the picture of a row of numbers; it becomes a PNG when it is asked for.

    Raises:
        DataError: the row breaks the form of the file.
    """
    cells = _known(row)
    if cells["emotion"] not in map(str, range(len(FER2013))):
        raise DataError(f"its emotion is “{cells['emotion']}”, not a number from 0 to 6")
    try:
        values = np.array(cells["pixels"].split(), dtype=np.int64)
    except (ValueError, OverflowError):
        values = np.zeros(0, dtype=np.int64)
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise DataError(f"its pixels are not {SIDE * SIDE} numbers from 0 to 255")
    picture = values.astype(np.uint8).reshape(SIDE, SIDE)
    return FER2013[int(cells["emotion"])], partial(encode_png, picture)
