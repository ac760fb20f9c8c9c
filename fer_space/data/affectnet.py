"""AffectNet: faces from the web with an expression, valence and arousal.

Mollahosseini, Hasani and Mahoor 2017, "AffectNet: a database for facial expression, valence, and arousal
computing in the wild", arXiv 1708.03985. Reads the layout that the authors send out:

    DIR/train_set/images/NNN.jpg                    224x224 RGB
    DIR/train_set/annotations/NNN_exp.npy           expression, 0 to 10
    DIR/train_set/annotations/NNN_{val,aro}.npy     valence and arousal; -2 where there is none
    DIR/train_set/annotations/NNN_lnd.npy           landmarks, not read
    DIR/val_set/                                    the same

Expressions: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none,
9 uncertain and 10 no face are dropped. `affectnet7` leaves contempt out, as many papers do. Some files
hold the number as text. The official test split is not published: as in the papers, `val_set` is `test`
here, and one tenth of `train_set`, by the hash of the picture's number, is `valid`.
"""

from collections.abc import Sequence
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
from fer_space.data.files import pictures_in
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError

ORDER = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
NO_EMOTION = {8: "none", 9: "uncertain", 10: "no face"}


def collect_affectnet(folder: Path, splits: Sequence[str] = SPLITS, *, contempt: bool = True) -> Collection:
    """Read both official parts, or only the one that `splits` need.

    Args:
        folder: holds train_set and val_set.
        splits: what will be asked for; `test` alone does not open the much larger train_set.
        contempt: False drops the faces labelled contempt (`affectnet7`).

    Raises:
        DataError: a part is missing, or no face is usable.
    """
    known = EMOTIONS if contempt else SEVEN
    parts = [("train_set", "train")] * bool({"train", "valid"} & set(splits))
    parts += [("val_set", "test")] * ("test" in splits)
    found = Gathering()
    for part, official in parts:
        annotations = existing_folder(folder / part / "annotations")
        for picture in pictures_in(existing_folder(folder / part / "images")):
            split = held_out_split(picture.stem) if official == "train" else official
            name = f"{part}/images/{picture.name}"
            try:
                label = _label(annotations / f"{picture.stem}_exp.npy", known)
            except DataError as error:
                found.drop(name, error, split)
                continue
            found.add(Row(name, split, label, picture, affect=_affect(annotations, picture.stem)))
        _list_lost(found, annotations, part, official)
    return found.collection("affectnet" if contempt else "affectnet7", known)


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


def _label(file: Path, known: Sequence[str]) -> int:
    number = _number(file)
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
