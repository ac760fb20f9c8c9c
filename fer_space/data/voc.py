"""Boxes in Pascal VOC's XML: several faces a picture, each with an emotion.

    DIR/Annotations/NAME.xml               object/name and object/bndbox/{xmin,ymin,xmax,ymax}
    DIR/JPEGImages/NAME.jpg                the file that the XML names, else NAME with any suffix
    DIR/ImageSets/Main/{train,val,test}.txt    names of pictures, if the set has splits

Each object is one face, cut out by its box; edges count from pixel 1 and belong to the box, as VOC has it.
The usual five classes are neutral, anger, surprise, smile (happiness) and sad (sadness); another emotion
is taken as well. Without the lists the hash of the picture's name puts eight tenths of the pictures into
`train`, one tenth into `valid` and one into `test`, so that the faces of a picture stay together.
"""

from pathlib import Path
from xml.etree import ElementTree

from fer_space.data.collection import Collection, Gathering, Row, existing_folder, three_way_split
from fer_space.data.files import pictures_in, read_text
from fer_space.data.tables import checked_box
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError

FIVE = ("neutral", "happiness", "surprise", "sadness", "anger")
LISTS = {"train": "train", "val": "valid", "test": "test"}


def collect_voc(folder: Path) -> Collection:
    """Read every object of every XML file; names and pictures without an XML file are dropped.

    Raises:
        DataError: a folder is missing, or no object is usable.
    """
    files = sorted(existing_folder(folder / "Annotations").glob("*.xml"))
    pictures = pictures_in(existing_folder(folder / "JPEGImages"))
    by_stem = {path.stem: path for path in pictures}
    listed = _listed(folder / "ImageSets" / "Main")
    found = Gathering()
    used: set[Path | None] = set()
    for file in files:
        split = three_way_split(file.stem) if listed is None else listed.get(file.stem, "")
        try:
            tree = ElementTree.fromstring(file.read_bytes())
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter of its encoding
            found.drop(file.name, f"the XML is malformed: {error}", split)
            used.add(by_stem.get(file.stem))
            continue
        picture = picture_of(tree, folder / "JPEGImages", by_stem, file.stem)
        used.add(picture)
        if split:
            _add_objects(found, tree, picture, split)
        else:
            found.drop(file.name, "no list in ImageSets/Main names it")
    bare = [path for path in pictures if path not in used]
    _list_bare(found, {file.stem for file in files}, bare, listed)
    seen = {EMOTIONS[row.label] for row in found.rows} | set(FIVE)
    return found.collection("voc", tuple(name for name in EMOTIONS if name in seen))


def _list_bare(
    found: Gathering, annotated: set[str], pictures: list[Path], listed: dict[str, str] | None
) -> None:
    """List names in the lists, and then pictures, that no XML file tells of."""
    lost = {name: split for name, split in (listed or {}).items() if name not in annotated}
    for name, split in lost.items():
        found.drop(name, "a list in ImageSets/Main names it, but there is no XML file of that name", split)
    for path in pictures:
        if path.stem not in lost:
            split = three_way_split(path.stem) if listed is None else listed.get(path.stem, "")
            found.drop(path.name, "no XML file tells of this picture", split)


def picture_of(tree: ElementTree.Element, folder: Path, pictures: dict[str, Path], stem: str) -> Path:
    """The picture that an annotation belongs to; a name with folders in it counts by its last part."""
    named = folder / Path((tree.findtext("filename") or "").strip()).name
    try:
        is_there = named != folder and named.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        is_there = False
    return named if is_there else pictures.get(stem, folder / f"{stem}.jpg")


def _add_objects(found: Gathering, tree: ElementTree.Element, picture: Path, split: str) -> None:
    objects = tree.findall("object")
    if not objects:
        found.drop(picture.name, "no object is annotated", split)
    for number, item in enumerate(objects, start=1):
        try:
            label = column_of(item.findtext("name") or "")
            xmin, ymin, xmax, ymax = (_edge(item, name) for name in ("xmin", "ymin", "xmax", "ymax"))
            box = checked_box(xmin - 1.0, ymin - 1.0, xmax, ymax)
        except DataError as error:
            found.drop(f"{picture.name} (object {number})", error, split)
            continue
        found.add(Row(picture.name, split, label, picture, box_xyxy=box))


def _edge(item: ElementTree.Element, name: str) -> float:
    try:
        return float(item.findtext(f"bndbox/{name}") or "")
    except ValueError:
        raise DataError(f"its bndbox has no number {name}") from None


def _listed(folder: Path) -> dict[str, str] | None:
    """Picture -> split by the lists, or None where there is no list."""
    files = {folder / f"{word}.txt": split for word, split in LISTS.items()}
    if not any(file.is_file() for file in files):
        return None
    lines = [(line, split) for file, split in files.items() if file.is_file() for line in read_lines(file)]
    return {line.split()[0]: split for line, split in reversed(lines)}


def read_lines(file: Path) -> list[str]:
    """The lines of a text file that are not blank."""
    return [line for line in read_text(file).splitlines() if line.strip()]
