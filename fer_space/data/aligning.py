"""Find the faces of whole pictures as the app does, once, so that they are read upright and well framed.

Films and sequences come as whole pictures, in which a model that reads face crops sees little. `prepare
--align` keeps what was found in the manifest; `train --detect` and `test --detect` use what is kept there by
the same detector, and look at the other pictures themselves.

Where the owner drew a box around a face, the face is looked for in the box's surroundings, and must be that
one; if it is not found, the box says what is cut out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.data.collection import Collection, Row
from fer_space.data.faceset import Box, Dropped, FaceSet, decode_face, nothing_left
from fer_space.data.found import NO_FACE, Found, digest
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_transform

Picture = NDArray[np.uint8]
Detect = Callable[[Picture], Sequence[Face]]  # the largest face first: `Engine.detect`
Known = Mapping[tuple[str, Box | None], Found]  # by sha256 of the picture's file and the owner's box

SURROUNDINGS = 0.5  # of the box's sides, on each side of it
SAME_FACE = 0.3  # intersection over union of the owner's box and the face's


def align_rows(
    collection: Collection, detector: str, detect: Detect, rule: CropRule, known: Known | None = None
) -> Collection:
    """Find the face of every row, so that it is cut out upright.

    Args:
        collection: every picture must be readable (`fer_space.data.prepare.examine`).
        detector: name of what `detect` finds faces with.
        detect: finds the faces of a picture.
        rule: how faces are framed.
        known: faces that are not looked for again, see `known_faces`.
    """
    rows = []
    for row in tqdm(collection.rows, desc="faces", unit="picture", leave=False):
        found, encoded = row.found, row.encoded()
        if found is None or found.detector != detector or not found.is_of(encoded):
            found = look(encoded, row.box_xyxy, detector, detect, known)
        rows.append(replace(row, found=found.framed(rule)))
    return replace(collection, rows=tuple(rows))


def aligned(faces: FaceSet, detector: str, detect: Detect, rule: CropRule) -> FaceSet:
    """Find the face of every picture of a split; `train` loses the pictures without one.

    Args:
        faces: of any reader; what the same detector found earlier is taken as it is.
        detector: name of what `detect` finds faces with.
        detect: finds the faces of a picture.
        rule: how faces are framed.

    Raises:
        DataError: nothing is left of train.
    """
    found = []
    for i in tqdm(range(len(faces)), desc=f"faces of {faces.name}", unit="picture", leave=False):
        seen = faces.found_by(detector, i) or look(faces.encoded(i), faces.box(i), detector, detect)
        found.append(seen.framed(rule))
    faces = replace(faces, found=tuple(found))
    if faces.split != "train":
        return faces
    kept = [i for i, seen in enumerate(found) if seen.is_face or faces.box(i)]
    lost = [Dropped(faces.files[i], NO_FACE, "train") for i in sorted(set(range(len(faces))) - set(kept))]
    if lost and not kept:
        raise nothing_left(faces.name, " in its train split", lost)
    return replace(faces.select(kept), dropped=(*faces.dropped, *lost)) if lost else faces


def look(
    encoded: bytes, box_xyxy: Box | None, detector: str, detect: Detect, known: Known | None = None
) -> Found:
    """Find the largest face of a picture, or the one in the owner's box, framed as `CropRule()` has it.

    Args:
        encoded: the picture's file.
        box_xyxy: the owner's box, or None for the whole picture.
        detector: name of what `detect` finds faces with.
        detect: finds the faces of a picture.
        known: faces that are not looked for again.
    """
    sha256 = digest(encoded)
    if known and (sha256, box_xyxy) in known:
        return known[sha256, box_xyxy]
    whole = decode_face(encoded, None)
    seen = detect(whole) if box_xyxy is None else _around(whole, box_xyxy, detect)
    if not seen:
        return Found(detector, sha256)
    return Found(detector, sha256, seen[0], crop_transform(seen[0], CropRule()))


def known_faces(rows: Iterable[Row], detector: str) -> Known:
    """Collect what a detector found in the pictures of a manifest that was written earlier."""
    return {
        (row.found.sha256, row.box_xyxy): row.found
        for row in rows
        if row.found is not None and row.found.detector == detector
    }


def _around(image_rgb: Picture, box_xyxy: Box, detect: Detect) -> list[Face]:
    """Find the face in the owner's box; a list of it alone, or none."""
    height, width = image_rgb.shape[:2]
    left, top, right, bottom = box_xyxy
    margin_x, margin_y = SURROUNDINGS * (right - left), SURROUNDINGS * (bottom - top)
    x0, y0 = max(0, floor(left - margin_x)), max(0, floor(top - margin_y))
    x1, y1 = min(width, ceil(right + margin_x)), min(height, ceil(bottom + margin_y))
    shifted = [_shifted(face, x0, y0) for face in detect(np.ascontiguousarray(image_rgb[y0:y1, x0:x1]))]
    owners = Face(box_xyxy, 1.0)
    same = [face for face in shifted if face.overlap(owners) >= SAME_FACE]
    return sorted(same, key=owners.overlap, reverse=True)[:1]


def _shifted(face: Face, x: int, y: int) -> Face:
    left, top, right, bottom = face.box_xyxy
    points = None if face.landmarks is None else face.landmarks + np.array([x, y], dtype=np.float32)
    return replace(face, box_xyxy=(left + x, top + y, right + x, bottom + y), landmarks=points)
