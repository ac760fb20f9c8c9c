"""Generic data: a folder with one sub-folder an emotion, or a CSV file.

`folder:DIR` reads DIR/EMOTION/*, or DIR/SPLIT/EMOTION/* where DIR has sub-folders named like splits. Where
those are train and test alone, one tenth of the training faces, by the hash of the file's name, is `valid`.

`csv:FILE` reads these columns; paths are relative to the CSV file:

    file                      needed
    label                     an emotion; blank where there are valence and arousal alone
    neutral, happiness, ...   one column an emotion: a distribution or votes; with `label` as well, the
                              label is what counts as right and the distribution what training aims at
    valence, arousal          in [-1, 1]; what is blank or beyond counts as unknown (NaN)
    split                     train, valid or test; blank or without the column: in every split
    subject                   the person shown
    left, top, right, bottom  the face in pixels of the picture; blank: the whole picture
    gender, race, age         as the set's owner counts them
    detector, sha256          what looked for the face in the picture, and that file's sum, as prepare --align
                              writes them; with them stand score, face (left top right bottom), landmarks
                              (x y of 68 or 5 points) and transform (2 x 3, picture to a crop of 224 pixels,
                              row by row), numbers with spaces between them; blank where no face was found

A row is one line of the file. A file called manifest.csv gives its folder's name to the set. Emotions may
go by their usual synonyms (`fer_space.emotions.SYNONYMS`). `fer-space prepare` writes such a file for every
data set that it knows.
"""

import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data.collection import NO_AFFECT, Collection, Gathering, Row, held_out_split, valid_affect
from fer_space.data.faceset import SPLITS, Box
from fer_space.data.files import count_files, parse_number, parse_table, place_of, read_text, visible
from fer_space.data.found import Found
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS, SYNONYMS, canonical, column_of
from fer_space.errors import DataError
from fer_space.sources.pictures import is_picture_file
from fer_space.types import Face

MANIFEST = "manifest.csv"
BOX_COLUMNS = ("left", "top", "right", "bottom")
ATTRIBUTES = ("gender", "race", "age")
FOUND_COLUMNS = ("detector", "sha256", "score", "face", "landmarks", "transform")
SPLIT_WORDS = {"training": "train", "val": "valid", "validation": "valid", "testing": "test"}


def collect_folder(folder: Path) -> Collection:
    """Read class sub-folders; what else lies there (but hidden files) is listed as dropped.

    Raises:
        DataError: there is no such folder, or no picture of an emotion in it.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}.")
    found = Gathering()
    splits = [path for path in visible(folder) if path.is_dir() and _split_of(path.name) in SPLITS]
    held_out = {_split_of(path.name) for path in splits} == {"train", "test"}
    for path in visible(folder):
        if path in splits:
            for inner in visible(path):
                _refuse_number(inner)
                _add_class_folder(found, folder, inner, _split_of(path.name), held_out=held_out)
        elif splits:
            _leave_out(found, folder, path, "it lies beside the folders of the splits", "")
        else:
            _refuse_number(path)
            _add_class_folder(found, folder, path, "")
    return found.collection(Path(os.path.abspath(folder)).name)  # noqa: PTH100, . and .. have no name


def _refuse_number(directory: Path) -> None:
    """Raise DataError for an emotion's folder with a number for a name: sets number emotions differently."""
    if directory.is_dir() and directory.name.isdecimal():
        raise DataError(
            f"{directory} has a number for a name: call it after its emotion. RAF-DB counts 1 surprise, "
            "2 fear, 3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral."
        )


def _add_class_folder(
    found: Gathering, root: Path, directory: Path, split: str, *, held_out: bool = False
) -> None:
    """Add the pictures of DIR/.../EMOTION; they are dropped when its name is no emotion."""
    if not directory.is_dir():
        _leave_out(found, root, directory, "it lies beside the folders of the emotions", split)
    for path in visible(directory):
        if path.is_dir():
            _leave_out(found, root, path, "it lies deeper than the folders of the emotions", split)
        elif not is_picture_file(path):
            _leave_out(found, root, path, "it is no picture of a kind that is read here", split)
        else:
            own = held_out_split(path.name) if held_out and split == "train" else split
            _add_picture(found, root, path, own)


def _add_picture(found: Gathering, root: Path, path: Path, split: str) -> None:
    name = path.relative_to(root).as_posix()
    try:
        found.add(Row(name, split, column_of(path.parent.name), path))
    except DataError as error:
        found.drop(name, error, split)


def _leave_out(found: Gathering, root: Path, path: Path, why: str, split: str) -> None:
    """List a file, or a folder with the number of files in it, as dropped; an empty folder loses nothing."""
    name = path.relative_to(root).as_posix()
    if not path.is_dir():
        found.drop(name, why, split)
    elif count := count_files(path):
        found.drop(f"{name}/ ({count:,} file{'s' * (count > 1)})", why, split)


def collect_csv(file: Path) -> Collection:
    """Read a CSV file; a bad row is dropped.

    Raises:
        DataError: there is no such text file, it has no column `file`, or no row is usable.
    """
    found = Gathering()
    columns, rows = parse_table(read_text(file), file.name, ("file",))
    for line, cells in rows:
        if isinstance(cells, DataError):
            found.drop(f"line {line}", cells)
            continue
        split = _split_of(cells.get("split", ""))
        try:
            if split not in ("", *SPLITS):
                raise DataError(f"“{split}” is no split. Known: {', '.join(SPLITS)}.")
            found.add(_row(cells, split, file.parent))
        except DataError as error:
            found.drop(f"{cells['file']} (line {line})", error, split if split in SPLITS else "")
    named = {canonical(column) for column in columns if _is_emotion(column)}
    labelled = {EMOTIONS[row.label] for row in found.rows if row.label != NO_ANSWER}
    named |= labelled if named or not labelled else set(EMOTIONS)
    return found.collection(_name(file), tuple(name for name in EMOTIONS if name in named))


def _name(file: Path) -> str:
    """What a set is called: after its file, or its folder where the file is called as `prepare` does."""
    folder = file.absolute().parent.name if file.name == MANIFEST else ""
    return folder or file.stem


def _row(cells: dict[str, str], split: str, folder: Path) -> Row:
    affect = valid_affect(*(parse_number(cells, key, math.nan) for key in ("valence", "arousal")))
    label, target = _answers(cells)
    if label == NO_ANSWER and affect == NO_AFFECT:
        raise DataError("a row needs a label, a positive number for an emotion, or valence and arousal.")
    return Row(
        file=cells["file"],
        split=split,
        label=label,
        source=place_of(folder, cells["file"]),
        target=target,
        affect=affect,
        subject=cells.get("subject", ""),
        box_xyxy=_box(cells),
        found=_found(cells),
        attributes={name: cells[name] for name in ATTRIBUTES if cells.get(name)},
    )


def _split_of(word: str) -> str:
    return SPLIT_WORDS.get(word.strip().lower(), word.strip().lower())


def _is_emotion(column: str) -> bool:
    return column in EMOTIONS or column in SYNONYMS


def _answers(cells: dict[str, str]) -> tuple[int, tuple[float, ...] | None]:
    """The label of a row and its distribution, if it has one; each can stand for the other.

    NO_ANSWER where it has neither.
    """
    weights = [0.0] * len(EMOTIONS)
    for column in filter(_is_emotion, cells):
        weights[column_of(column)] += parse_number(cells, column, 0.0)
    total = sum(weights)
    if min(weights) < 0.0 or not 0.0 <= total < math.inf:
        raise DataError("the number of an emotion is negative or endless.")
    if not cells.get("label") and total == 0.0:
        return NO_ANSWER, None
    strongest = max(weights)
    label = canonical(cells["label"]) if cells.get("label") else EMOTIONS[weights.index(strongest)]
    target = tuple(weight / total for weight in weights) if total else None
    return column_of(label), target


def _box(cells: dict[str, str]) -> Box | None:
    given = [column for column in BOX_COLUMNS if cells.get(column)]
    if not given:
        return None
    if len(given) < len(BOX_COLUMNS):
        raise DataError("a box needs left, top, right and bottom")
    return checked_box(*(parse_number(cells, column, math.nan) for column in BOX_COLUMNS))


def _found(cells: dict[str, str]) -> Found | None:
    """What a detector made of the picture, None where nobody looked."""
    if not cells.get("detector"):
        return None
    seen = cells["detector"], cells.get("sha256", "")
    box, transform, points = (_numbers(cells, column) for column in ("face", "transform", "landmarks"))
    if not len(box):
        return Found(*seen)
    if len(box) != 4 or len(transform) != 6 or len(points) not in (0, 10, 136):
        raise DataError("its face needs 4 numbers, its transform 6, and its landmarks 10, 136 or none")
    left, top, right, bottom = checked_box(*box.tolist())
    landmarks = points.reshape(-1, 2).astype(np.float32) if len(points) else None
    score = min(max(parse_number(cells, "score", 1.0), 0.0), 1.0)
    face = Face((left, top, right, bottom), score, landmarks)
    return Found(*seen, face, transform.reshape(2, 3))


def _numbers(cells: dict[str, str], column: str) -> NDArray[np.float64]:
    """The numbers of a cell, with spaces between them."""
    try:
        numbers = np.array([float(word) for word in cells.get(column, "").split()], dtype=np.float64)
    except ValueError:
        raise DataError(f"its {column} holds something that is no number") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"its {column} holds a number that is not finite")
    return numbers


def checked_box(left: float, top: float, right: float, bottom: float) -> Box:
    """The box; raises DataError when it has no area or is not finite."""
    if not (left < right and top < bottom and math.isfinite(right - left + bottom - top)):
        raise DataError("the box has no area.")
    return left, top, right, bottom
