"""SFEW 2.0: frames of films, one of seven labels each.

Dhall et al. 2011, "Static facial expression analysis in tough conditions", ICCV workshops; version 2.0 is
of the EmotiW 2015 challenge. Reads the layout that the authors send out:

    DIR/Train/{Angry,Disgust,Fear,Happy,Neutral,Sad,Surprise}/MOVIE_000123456_00000010.png
    DIR/Val/                                                             the same
    DIR/Test/                                                            no labels

or the aligned faces, DIR/Train_Aligned_Faces and DIR/Val_Aligned_Faces, which are preferred where both are
there. Of whole frames `prepare --align` cuts the faces. The official test has no labels: `Val` is `test`
here, as in the papers. `valid` is part of `Train`: two tenths of the films, by the hash of the film's name
(the file name before its first "_"), so that no film is in both.
"""

from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row, existing_folder, hash_share
from fer_space.data.files import pictures_in, sub_folders
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError


def collect_sfew(folder: Path) -> Collection:
    """Read both labelled parts; raises DataError when one is missing or nothing is usable."""
    found = Gathering()
    for part in ("Train", "Val"):
        whole, aligned = folder / part, folder / f"{part}_Aligned_Faces"
        if whole.is_dir() and aligned.is_dir():
            found.notes.append(
                f"{aligned.name} is read; {part}, the same faces in whole frames, is left out."
            )
        root = existing_folder(aligned if aligned.is_dir() else whole)
        for directory in sub_folders(root):
            for path in pictures_in(directory):
                _add(found, folder, path, part)
    if (folder / "Test").is_dir():
        found.drop("Test", "the official test split has no labels", "test")
    return found.collection("sfew", SEVEN)


def _add(found: Gathering, folder: Path, path: Path, part: str) -> None:
    movie = path.name.partition("_")[0]
    split = "test" if part == "Val" else "valid" if hash_share(movie, 5) == 0 else "train"
    name = path.relative_to(folder).as_posix()
    try:
        label = column_of(path.parent.name)
    except DataError as error:
        found.drop(name, error, split)
        return
    if EMOTIONS[label] in SEVEN:
        found.add(Row(name, split, label, path, subject=movie))
    else:
        found.drop(name, f"{EMOTIONS[label]} is not among the 7 classes", split)
