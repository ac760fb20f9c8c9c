"""RAF-DB, basic emotions: 15,339 faces from the web, one of seven labels each.

Li, Deng and Du 2017, "Reliable crowdsourcing and deep locality-preserving learning for expression
recognition in the wild", CVPR. Reads the layout that the authors send out:

    DIR/Image/aligned/train_00001_aligned.jpg, test_0001_aligned.jpg, ...   100x100 RGB
    DIR/EmoLabel/list_patition_label.txt                                    "train_00001.jpg 5" a line

DIR may also be the folder above `basic/`. Labels: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness,
6 anger, 7 neutral. There is no official validation split: one tenth of the official training faces, by
the hash of the file name, is `valid`. Results of papers that train on all 12,271 faces had more of them.
"""

from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row, existing_folder, held_out_split
from fer_space.data.files import read_text
from fer_space.emotions import column_of

CODES = dict(enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), start=1))


def collect_rafdb(folder: Path) -> Collection:
    """Read both official parts; raises DataError when the list is missing or no row is usable."""
    pictures = existing_folder(folder / "Image" / "aligned", folder / "basic" / "Image" / "aligned")
    table = pictures.parents[1] / "EmoLabel" / "list_patition_label.txt"
    found = Gathering()
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
            path = pictures / f"{stem}_aligned{dot}{suffix}"
            found.add(Row(path.name, split, column_of(CODES[int(code)]), path))
    return found.collection("rafdb", SEVEN)
