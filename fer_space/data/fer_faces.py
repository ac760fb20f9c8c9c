"""The faces of FER-2013 with the ten vote columns of FERPlus, from either layout of the files.

What the FERPlus tools write (read in place, nothing is extracted):

    DIR/FER2013Train/        or FER2013Train.tar; FER2013Valid and FER2013Test likewise
        fer0000000.png       48x48 gray
        label.csv            file, "(left, top, right, bottom)", ten vote counts; no header

or what their owners publish:

    DIR/fer2013.csv          emotion, pixels (48x48 numbers from 0 to 255), Usage
    DIR/fer2013new.csv       Usage, Image name, ten vote counts; row for row the same faces

`Usage` is Training, PublicTest (valid) or PrivateTest (test). Rows without an image name are dropped, as
the FERPlus tools do. Both layouts are published files: a row that breaks their form is an error.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.collection import Source
from fer_space.data.faceset import Dropped
from fer_space.data.files import parse_table, read_archive, read_text
from fer_space.errors import DataError
from fer_space.imaging import encode_png
from fer_space.labels import EMOTIONS

FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
USAGES = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
VOTES = (*EMOTIONS, "unknown", "nf")
SIDE = 48


@dataclass(eq=False)
class Faces:
    """One split: the lists have one entry a face.

    Attributes:
        files, sources: name and picture of each face.
        votes: ten counts a face, in the order of `VOTES`.
        emotions: FER-2013's own label, or "" where the layout does not hold it.
        dropped: rows that the published tools drop.
    """

    files: list[str] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    votes: list[list[int]] = field(default_factory=list)
    emotions: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def add(self, file: str, source: Source, votes: list[int], emotion: str = "") -> None:
        """Add one face."""
        self.files.append(file)
        self.sources.append(source)
        self.votes.append(votes)
        self.emotions.append(emotion)

    def vote_counts(self) -> NDArray[np.int64]:
        """Votes int64 (N, 10)."""
        return np.array(self.votes, dtype=np.int64).reshape(-1, len(VOTES))


def load_faces(folder: Path, split: str) -> Faces:
    """Read one split from whichever layout is in the folder; raises DataError on a malformed row."""
    name = FOLDERS[split]
    written = (folder / name).is_dir() or (folder / f"{name}.tar").is_file()
    if not written and (folder / "fer2013.csv").is_file() and (folder / "fer2013new.csv").is_file():
        return _from_tables(folder, split)
    return _from_folder(folder, name)


def read_pixels(folder: Path, split: str) -> Iterator[tuple[int, str, str, Source | None]]:
    """Rows of fer2013.csv as (line, usage, FER-2013 label, picture); other splits give no picture.

    Raises:
        DataError: the file is missing, or a row breaks its form.
    """
    file = folder / "fer2013.csv"
    for line, cells in _rows(file, ("emotion", "pixels", "usage")):
        where = f"{file.name}, line {line}"
        if cells["usage"] not in USAGES or cells["emotion"] not in map(str, range(len(FER2013))):
            raise DataError(f"{where}: an emotion from 0 to 6 and a known Usage are needed.")
        source = _picture(cells["pixels"], where) if USAGES[cells["usage"]] == split else None
        yield line, cells["usage"], FER2013[int(cells["emotion"])], source


def _from_tables(folder: Path, split: str) -> Faces:
    faces = Faces()
    votes = _rows(folder / "fer2013new.csv", ("usage", "image name", *VOTES))
    for pixels, voted in zip_longest(read_pixels(folder, split), votes):
        if pixels is None or voted is None or pixels[1] != voted[1]["usage"]:
            raise DataError("fer2013.csv and fer2013new.csv do not list the same faces row for row.")
        (_, _, emotion, source), (line, cells) = pixels, voted
        where, name = f"fer2013new.csv, line {line}", cells["image name"]
        if source is None:
            continue
        if not name:
            faces.dropped.append(Dropped(where, "it has no image name: the official script drops it", split))
        elif Path(name).name != name:
            raise DataError(f"{where}: “{name}” is not a plain file name.")
        else:
            faces.add(name, source, _counts([cells[column] for column in VOTES], where), emotion)
    return faces


def _from_folder(folder: Path, name: str) -> Faces:
    directory = folder / name
    sources: dict[str, Source]
    if directory.is_dir():
        sources = {path.name: path for path in directory.iterdir() if path.is_file()}
        table = read_text(directory / "label.csv") if "label.csv" in sources else None
    else:
        contents = read_archive(folder / f"{name}.tar")
        sources = {file: partial(contents.__getitem__, file) for file in contents}
        table = contents["label.csv"].decode("utf-8", "replace") if "label.csv" in contents else None
    if table is None:
        raise DataError(f"{name} has no label.csv.")
    faces = Faces()
    for line, cells in enumerate(csv.reader(io.StringIO(table)), start=1):
        where = f"{name}/label.csv, line {line}"
        votes = _counts(cells[2:], where)
        if cells[0] not in sources:
            raise DataError(f"{where}: ten counts and an existing file are needed.")
        faces.add(cells[0], sources[cells[0]], votes)
    return faces


def _rows(file: Path, needs: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a large table, one at a time."""
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        yield from parse_table(lines, file.name, needs)


def _counts(cells: list[str], where: str) -> list[int]:
    try:
        counts = [int(float(cell)) for cell in cells]
    except (ValueError, OverflowError):
        counts = []
    if len(counts) != len(VOTES):
        raise DataError(f"{where}: ten counts and an existing file are needed.")
    return counts


def _picture(text: str, where: str) -> Source:
    """The picture that a row of numbers describes; it becomes a PNG when it is asked for."""
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        values = np.zeros(0, dtype=np.int64)
    if len(values) != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise DataError(f"{where}: {SIDE * SIDE} pixels from 0 to 255 are needed.")
    return partial(encode_png, values.astype(np.uint8).reshape(SIDE, SIDE))
