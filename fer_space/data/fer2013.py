"""FER-2013: the seven-class labels of its own for the faces that FERPlus labels anew.

Goodfellow et al. 2013, "Challenges in representation learning", arXiv 1307.0414. Either the labels lie
beside the FERPlus files (`fer_space.data.fer_faces`),

    DIR/fer2013_labels.csv    file, split, fer2013_label, ambiguous

or DIR holds fer2013.csv, alone or with fer2013new.csv, whose column `emotion` has them: 0 anger,
1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral.

As a benchmark, every face with a label counts, also those marked `ambiguous` (near-duplicates of which
carry different labels). With FERPlus files the private test has 3,573 of the 3,589 faces: FERPlus gave no
name to the others. Say so when reporting. As a second label for FERPlus, ambiguous ones are left out; the
two CSV files mark none, so that without a fer2013_labels.csv beside them all of their labels are mixed in.
Where it lies beside them, it goes before the column `emotion`.
"""

from collections.abc import Sequence
from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row
from fer_space.data.faceset import SPLITS, Dropped
from fer_space.data.fer_faces import Faces, load_faces, load_unnamed
from fer_space.data.files import parse_table, read_text
from fer_space.emotions import canonical, column_of
from fer_space.errors import DataError

LABELS = "fer2013_labels.csv"


def collect_fer2013(folder: Path, splits: Sequence[str] = SPLITS) -> Collection:
    """Read the faces with FER-2013's own labels; a face without one, and a bad row, is dropped.

    Raises:
        DataError: files are missing or lack a column, or no face has a label.
    """
    found = Gathering()
    with_names = [folder / "fer2013new.csv", folder / LABELS]
    alone = (folder / "fer2013.csv").is_file() and not any(file.is_file() for file in with_names)
    for split in splits:
        faces = load_unnamed(folder, split) if alone else load_faces(folder, split)
        labels, bad = fer2013_labels(folder, faces, split)
        found.list_once([*faces.dropped, *bad])
        listed = {row.file for row in bad}
        for file, source in zip(faces.files, faces.sources, strict=True):
            if file in labels:
                found.add(Row(file, split, column_of(labels[file]), source))
            elif file not in listed:
                found.drop(file, "FER-2013 has no label for it", split)
    return found.collection("fer2013", SEVEN)


def fer2013_labels(
    folder: Path, faces: Faces, split: str, *, ambiguous: bool = True
) -> tuple[dict[str, str], list[Dropped]]:
    """File name -> emotion, and the bad rows of the table; without `ambiguous`, faces marked so have none.

    Raises:
        DataError: there is no table of labels, or it lacks a column.
    """
    labels = {file: emotion for file, emotion in zip(faces.files, faces.emotions, strict=True) if emotion}
    bad: list[Dropped] = []
    if labels and not (folder / LABELS).is_file():
        return labels, bad
    known = set(faces.files)
    _, rows = parse_table(read_text(folder / LABELS), LABELS, ("file", "fer2013_label"))
    for line, cells in rows:
        if isinstance(cells, DataError):
            bad.append(Dropped(f"{LABELS}, line {line}", str(cells)))
        elif cells["file"] not in known:
            if cells.get("split", "").lower() == split:
                bad.append(Dropped(f"{LABELS}, line {line}", "no face that was read has its name", split))
        elif not ambiguous and cells.get("ambiguous", "0") not in ("", "0"):
            labels.pop(cells["file"], None)
        elif cells["fer2013_label"]:
            try:
                labels[cells["file"]] = canonical(cells["fer2013_label"])
            except DataError as error:
                labels.pop(cells["file"], None)
                bad.append(Dropped(cells["file"], f"{LABELS}, line {line}: {error}", split))
    return labels, bad
