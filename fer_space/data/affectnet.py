"""AffectNet: faces from the web with an expression, valence and arousal.

Mollahosseini, Hasani and Mahoor 2017, "AffectNet: a database for facial expression, valence, and arousal
computing in the wild", arXiv 1708.03985. Reads what the authors send out now, faces that are cut out:

    DIR/train_set/images/NNN.jpg                    224x224 RGB
    DIR/train_set/annotations/NNN_exp.npy           expression, 0 to 10
    DIR/train_set/annotations/NNN_{val,aro}.npy     valence and arousal; -2 where there is none
    DIR/train_set/annotations/NNN_lnd.npy           landmarks, not read
    DIR/val_set/                                    the same

or their first release, whole pictures with a box around the face, where train_set and val_set are missing:

    DIR/training.csv, DIR/validation.csv            with a header, or without
    DIR/Manually_Annotated_Images/103/NNN.jpg       what their first column names

    subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal

The tables may lie in Manually_Annotated_file_lists, as their archive has it. Landmarks are not read: `prepare
--align` finds the face in the box's surroundings.

Expressions: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none,
9 uncertain and 10 no face are dropped. `affectnet7` leaves contempt out, as many papers do. Some files
hold the number as text. The official test split is not published: as in the papers, `val_set` is `test`
here, and one tenth of `train_set`, by the hash of the picture's name without its ending, is `valid`.
"""

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from fer_space.data.collection import (
    NO_AFFECT,
    SEVEN,
    Collection,
    Gathering,
    Row,
    existing_folder,
    held_out_split,
    valid_affect,
)
from fer_space.data.faceset import SPLITS
from fer_space.data.files import parse_number, parse_table, pictures_in
from fer_space.data.tables import checked_box
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError

ORDER = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
SIDES = ("x", "y", "width", "height")
COLUMNS = ("subdirectory_filepath", *(f"face_{side}" for side in SIDES), "facial_landmarks", "expression")
COLUMNS += ("valence", "arousal")
TABLES, LISTS = ("training.csv", "validation.csv"), "Manually_Annotated_file_lists"
IMAGES = "Manually_Annotated_Images"
NO_EMOTION = {8: "none", 9: "uncertain", 10: "no face"}


def collect_affectnet(folder: Path, splits: Sequence[str] = SPLITS, *, contempt: bool = True) -> Collection:
    """Read both official parts, or only the one that `splits` need.

    Args:
        folder: holds train_set and val_set, or training.csv and validation.csv.
        splits: what will be asked for; `test` alone does not open the much larger train_set.
        contempt: False drops the faces labelled contempt (`affectnet7`).

    Raises:
        DataError: a part is missing, or no face is usable.
    """
    known = EMOTIONS if contempt else SEVEN
    found = Gathering()
    tables = _first_release(folder)
    if (folder / "train_set").is_dir() or (folder / "val_set").is_dir() or not tables:
        if tables:
            found.notes.append(f"train_set and val_set are read; {IMAGES}, whole pictures, is left out.")
        _read_cut_faces(found, folder, splits, known)
    else:
        images = existing_folder(folder / IMAGES, folder / "Manually_Annotated" / IMAGES)
        for official, name in _parts(splits, *TABLES):
            if name not in tables:
                raise DataError(f"There is no {name} in {folder}.")
            _read_table(found, tables[name], images, official, known)
    return found.collection("affectnet" if contempt else "affectnet7", known)


def _parts(splits: Sequence[str], train: str, test: str) -> list[tuple[str, str]]:
    """The official parts that some splits need, as (split, name)."""
    parts = [("train", train)] * bool({"train", "valid"} & set(splits))
    return parts + [("test", test)] * ("test" in splits)


def _first_release(folder: Path) -> dict[str, Path]:
    """The tables of the first release that are there, by their names."""
    places = [place / name for name in TABLES for place in (folder / LISTS, folder)]
    return {path.name: path for path in places if path.is_file()}


def _read_table(found: Gathering, table: Path, images: Path, official: str, known: Sequence[str]) -> None:
    """Add the faces of one table of the first release."""
    with table.open(encoding="utf-8-sig", newline="") as lines:
        try:
            first = next(lines, "")
        except UnicodeDecodeError as error:
            raise DataError(f"{table.name} is not a text file in UTF-8.") from error
        bare = 0 if first.lower().startswith(COLUMNS[0]) else 1
        whole = chain([",".join(COLUMNS) + "\n"] * bare, [first], lines)
        for line, cells in parse_table(whole, table.name, COLUMNS)[1]:
            if isinstance(cells, DataError):
                found.drop(
                    f"{table.name}, line {line - bare}", cells, "" if official == "train" else official
                )
                continue
            name = cells[COLUMNS[0]].replace("\\", "/")
            split = held_out_split(Path(name).stem) if official == "train" else official
            try:
                label = _label(parse_number(cells, "expression", math.nan), known)
                x, y, w, h = (parse_number(cells, f"face_{side}", math.nan) for side in SIDES)
                box = checked_box(x, y, x + w, y + h)
                affect = valid_affect(*(parse_number(cells, key, math.nan) for key in ("valence", "arousal")))
            except DataError as error:
                found.drop(name, error, split)
                continue
            found.add(Row(name, split, label, images / name, affect=affect, box_xyxy=box))


def _read_cut_faces(found: Gathering, folder: Path, splits: Sequence[str], known: Sequence[str]) -> None:
    """Add the faces of train_set and val_set."""
    for official, part in _parts(splits, "train_set", "val_set"):
        annotations = existing_folder(folder / part / "annotations")
        for picture in pictures_in(existing_folder(folder / part / "images")):
            split = held_out_split(picture.stem) if official == "train" else official
            name = f"{part}/images/{picture.name}"
            try:
                label = _label(_number(annotations / f"{picture.stem}_exp.npy"), known)
            except DataError as error:
                found.drop(name, error, split)
                continue
            found.add(Row(name, split, label, picture, affect=_affect(annotations, picture.stem)))
        _list_lost(found, annotations, part, official)


def _list_lost(found: Gathering, annotations: Path, part: str, official: str) -> None:
    """Labels without a picture."""
    names = [row.file for row in found.rows] + [bad.file for bad in found.dropped]
    known = {Path(name).stem for name in names if name.startswith(part)}
    for path in sorted(annotations.glob("*_exp.npy")):
        if (stem := path.name.removesuffix("_exp.npy")) not in known:
            found.drop(
                f"{part}/{stem}",
                "the picture is missing",
                held_out_split(stem) if official == "train" else official,
            )


def _label(number: float, known: Sequence[str]) -> int:
    if number in NO_EMOTION:
        raise DataError(f"labelled “{NO_EMOTION[int(number)]}”")
    if number not in range(len(ORDER)):
        raise DataError("its expression is not a number from 0 to 10")
    emotion = ORDER[int(number)]
    if emotion not in known:
        raise DataError(f"labelled {emotion}, which is not among the {len(known)} classes")
    return column_of(emotion)


def _affect(annotations: Path, stem: str) -> tuple[float, float]:
    try:
        return valid_affect(*(_number(annotations / f"{stem}_{part}.npy") for part in ("val", "aro")))
    except DataError:
        return NO_AFFECT


def _number(file: Path) -> float:
    """The one number in a .npy file, also where it is stored as text; pickles are refused."""
    try:
        return float(np.load(file, allow_pickle=False).item())
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        raise DataError(f"{file.name[len(file.stem.rpartition('_')[0]) :]} is missing or damaged") from None
