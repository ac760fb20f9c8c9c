"""A data set as one CSV file, which `csv:FILE` reads back (`fer_space.data.tables` lists the columns)."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path

from fer_space.data.collection import Collection, Row
from fer_space.data.faceset import Dropped, name_of
from fer_space.data.found import Found
from fer_space.data.tables import ATTRIBUTES, BOX_COLUMNS, FOUND_COLUMNS, MANIFEST
from fer_space.emotions import EMOTIONS, column_of
from fer_space.errors import DataError
from fer_space.files import replacing


def write_manifest(collection: Collection, folder: Path) -> Path:
    """Write DIR/manifest.csv; only pictures that are no plain files are written, into DIR/images/SPLIT/.

    Namesakes in there (joined sets may have some) get a number before their names.

    Every row has its label, its distribution over the classes of the set, valence and arousal, subject,
    split and box; where the set has them, attributes, and what a detector found. What is unknown is blank.
    Paths are relative to the manifest where that is possible.

    Returns:
        The path of the manifest.
    """
    classes = collection.classes
    attributes = [name for name in ATTRIBUTES if any(name in row.attributes for row in collection.rows)]
    found = FOUND_COLUMNS if any(row.found for row in collection.rows) else ()
    path = folder / MANIFEST
    taken: set[Path] = set()
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        known = ("valence", "arousal", "subject", "split", *BOX_COLUMNS)
        writer.writerow(["file", "label", *classes, *known, *attributes, *found])
        for row in collection.rows:
            cells = [*_cells(row, classes), *(row.attributes.get(name, "") for name in attributes)]
            writer.writerow([_place(row, folder, taken), *cells, *(_found_cells(row.found) if found else ())])
    return path


def nameable(rows: Sequence[Row]) -> tuple[list[Row], list[Dropped]]:
    """Rows whose path can be written as text, and the others with the reason."""
    good: list[Row] = []
    bad: list[Dropped] = []
    for row in rows:
        try:
            name = str(row.source if isinstance(row.source, Path) else row.file).encode()
        except UnicodeEncodeError:
            bad.append(Dropped(row.file, "its name is not valid text", row.split))
            continue
        if b"\n" in name or b"\r" in name:
            bad.append(Dropped(row.file, "its name has a line break", row.split))
        else:
            good.append(row)
    return good, bad


def _cells(row: Row, classes: Sequence[str]) -> list[str]:
    target = row.target or tuple(float(i == row.label) for i in range(len(EMOTIONS)))
    return [
        name_of(row.label),
        *(_number(target[column_of(name)]) for name in classes),
        *map(_number, row.affect),
        row.subject,
        row.split,
        *(map(_exact, row.box_xyxy) if row.box_xyxy else [""] * len(BOX_COLUMNS)),
    ]


def _found_cells(found: Found | None) -> list[str]:
    if found is None or found.face is None or found.photo_to_crop is None:
        seen = ["", ""] if found is None else [found.detector, found.sha256]
        return [*seen, *[""] * (len(FOUND_COLUMNS) - len(seen))]
    face = found.face
    numbers = (
        (face.score,),
        face.box_xyxy,
        () if face.landmarks is None else face.landmarks.ravel().tolist(),
        found.photo_to_crop.ravel().tolist(),
    )
    return [found.detector, found.sha256, *(" ".join(map(_exact, row)) for row in numbers)]


def _number(value: float) -> str:
    """Short, exact for float32; blank for NaN."""
    return "" if math.isnan(value) else f"{value:.9g}"


def _exact(value: float) -> str:
    """Short where the number is, and exact for float64 to a part in 10^12."""
    return f"{value:.12g}"


def _place(row: Row, folder: Path, taken: set[Path]) -> str:
    """Where the picture lies, as the manifest names it; writes it if it is no file of its own."""
    if isinstance(row.source, Path):
        picture = row.source.resolve()
        try:
            return Path(os.path.relpath(picture, folder.resolve())).as_posix()
        except ValueError:  # another drive
            return str(picture)
    name = row.file.replace("/", "-")  # CK+48's archive has a folder an emotion
    if Path(name).name != name:
        raise DataError(f"“{row.file}” is not a plain file name.")
    place = first = Path("images") / (row.split or "all") / name
    number = 1
    while place in taken:
        number += 1
        place = first.with_name(f"{number}-{first.name}")
    taken.add(place)
    with replacing(folder / place) as temporary:
        temporary.write_bytes(row.encoded())
    return place.as_posix()
