"""FER-2013: the seven-class labels of its own for the faces that FERPlus labels anew.

Goodfellow et al. 2013, "Challenges in representation learning", arXiv 1307.0414. Either the labels lie
beside the FERPlus files (`fer_space.data.fer_faces`),

    DIR/fer2013_labels.csv    file, split, fer2013_label, ambiguous

or DIR holds fer2013.csv, alone or with fer2013new.csv, whose column `emotion` has them: 0 anger,
1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise, 6 neutral.

As a benchmark, every face with a label counts, also those marked `ambiguous` (near-duplicates of which
carry different labels). With FERPlus files the private test has 3,573 of the 3,589 faces: FERPlus gave no
name to the others. Say so when reporting. As a second label for FERPlus, ambiguous ones are left out.
"""

from collections.abc import Sequence
from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row
from fer_space.data.faceset import SPLITS
from fer_space.data.fer_faces import Faces, load_faces, read_pixels
from fer_space.data.files import parse_table, read_text
from fer_space.errors import DataError
from fer_space.labels import EMOTIONS, canonical

LABELS = "fer2013_labels.csv"


def collect_fer2013(folder: Path, splits: Sequence[str] = SPLITS) -> Collection:
    """Read the faces with FER-2013's own labels; a face without one is dropped.

    Raises:
        DataError: files are missing or malformed, or no face has a label.
    """
    found = Gathering()
    alone = (folder / "fer2013.csv").is_file() and not (folder / "fer2013new.csv").is_file()
    for split in splits:
        if alone and not (folder / LABELS).is_file():
            _add_unnamed(found, folder, split)
            continue
        faces = load_faces(folder, split)
        labels = fer2013_labels(folder, faces)
        found.dropped.extend(faces.dropped)
        for file, source in zip(faces.files, faces.sources, strict=True):
            if file in labels:
                found.add(Row(file, split, EMOTIONS.index(labels[file]), source))
            else:
                found.drop(file, "FER-2013 has no label for it", split)
    return found.collection("fer2013", SEVEN)


def fer2013_labels(folder: Path, faces: Faces, *, ambiguous: bool = True) -> dict[str, str]:
    """File name -> emotion; without `ambiguous`, faces that are marked so have none.

    Raises:
        DataError: there is no table of labels, or it is malformed.
    """
    if any(faces.emotions):
        return dict(zip(faces.files, faces.emotions, strict=True))
    labels = {}
    for line, cells in parse_table(read_text(folder / LABELS), LABELS, ("file", "fer2013_label")):
        if cells["fer2013_label"] and (ambiguous or cells.get("ambiguous", "0") in ("", "0")):
            try:
                labels[cells["file"]] = canonical(cells["fer2013_label"])
            except DataError as error:
                raise DataError(f"{LABELS}, line {line}: {error}") from None
    return labels


def _add_unnamed(found: Gathering, folder: Path, split: str) -> None:
    """fer2013.csv alone has no file names: a face is called by its line."""
    for line, _, emotion, source in read_pixels(folder, split):
        if source is not None:
            found.add(Row(f"fer2013_line{line:05d}.png", split, EMOTIONS.index(emotion), source))
