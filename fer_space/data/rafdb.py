"""RAF-DB, basic emotions: 15,339 faces from the web, one of seven labels each.

Li, Deng and Du 2017, "Reliable crowdsourcing and deep locality-preserving learning for expression
recognition in the wild", CVPR. Reads the layout that the authors send out:

    DIR/Image/aligned/train_00001_aligned.jpg, test_0001_aligned.jpg, ...   100x100 RGB
    DIR/EmoLabel/list_patition_label.txt                                    "train_00001.jpg 5" a line
    DIR/Image/original/train_00001.jpg, ...                                 pictures of any size
    DIR/Annotation/boundingbox/train_00001_boundingbox.txt                  left top right bottom
    DIR/Annotation/manual/train_00001_manu_attri.txt                        five landmarks, x and y a line,
                                                                            then gender, race and age

Where the aligned faces are missing, those in the original pictures are cut by their boxes. Gender, race and
age, as annotators saw them, are kept with each face that has such a file; the landmarks are not read.

DIR may also be the folder above `basic/`. Labels: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness,
6 anger, 7 neutral. There is no official validation split: one tenth of the official training faces, by
the hash of the file name, is `valid`. Results of papers that train on all 12,271 faces had more of them.
"""

from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row, existing_folder, held_out_split
from fer_space.data.faceset import Box
from fer_space.data.files import read_text
from fer_space.data.tables import checked_box
from fer_space.emotions import column_of
from fer_space.errors import DataError

CODES = dict(enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), start=1))

LANDMARKS = 10  # numbers, of five points
ATTRIBUTES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}


def collect_rafdb(folder: Path) -> Collection:
    """Read both official parts; raises DataError when the list is missing or no row is usable."""
    roots = [folder, folder / "basic"]
    kinds = ("aligned", "original")
    pictures = existing_folder(*(root / "Image" / kind for kind in kinds for root in roots))
    root = pictures.parents[1]
    table = root / "EmoLabel" / "list_patition_label.txt"
    found = Gathering()
    if pictures.name == "aligned" and (pictures.parent / "original").is_dir():
        found.notes.append("Image/aligned is read; Image/original, the same faces uncut, is left out.")
    for line, text in enumerate(read_text(table).splitlines(), start=1):
        if not text.strip():
            continue
        name, _, code = text.strip().partition(" ")
        part = name.partition("_")[0]
        split = held_out_split(name) if part == "train" else part
        if part not in ("train", "test"):
            found.drop(f"{name} (line {line})", "its name begins with neither train_ nor test_")
        elif not code.strip().isdecimal() or int(code) not in CODES:
            found.drop(name, f"its label is “{code.strip()}”, not a number from 1 to 7", split)
        else:
            stem, dot, suffix = name.rpartition(".")
            whole = pictures.name == "original"
            path = pictures / (name if whole else f"{stem}_aligned{dot}{suffix}")
            notes = root / "Annotation"
            try:
                box = _box(notes / "boundingbox" / f"{stem}_boundingbox.txt") if whole else None
            except DataError as error:
                found.drop(name, error, split)
                continue
            people = _attributes(notes / "manual" / f"{stem}_manu_attri.txt")
            label = column_of(CODES[int(code)])
            found.add(Row(path.name, split, label, path, box_xyxy=box, attributes=people))
    return found.collection("rafdb", SEVEN)


def _box(file: Path) -> Box:
    """The face in a picture; raises DataError when there is none."""
    if not file.is_file():
        raise DataError("its bounding box is missing")
    numbers = _numbers(file)
    if len(numbers) != 4:
        raise DataError("its bounding box is not four numbers")
    return checked_box(*numbers)


def _attributes(file: Path) -> dict[str, str]:
    """Gender, race and age as words; nothing where no file, or none that can be understood, tells them."""
    numbers = _numbers(file) if file.is_file() else []
    if len(numbers) != LANDMARKS + len(ATTRIBUTES):
        return {}
    codes = zip(ATTRIBUTES.items(), numbers[LANDMARKS:], strict=True)
    return {name: words[int(code)] for (name, words), code in codes if code in range(len(words))}


def _numbers(file: Path) -> list[float]:
    """The numbers of a text file; none where something else is among them."""
    try:
        return [float(word) for word in file.read_text(encoding="ascii").split()]
    except ValueError:
        return []
