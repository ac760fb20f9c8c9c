"""What `fer-space prepare` makes of a data set: pictures looked at, leaks dropped, faces found, masks drawn.

`fer-space train --mask` needs no landmarks, but only fits faces that are framed like those it learned from.
`wear_masks` finds and fits every face first, as the engine does, so that the mask follows its pose in any
kind of picture. Who wears one, and its colour, follow from the hash of the file's name: the same on every
machine.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.data import collect, split_data
from fer_space.data.aligning import Detect, Known, align_rows, known_faces
from fer_space.data.collection import Collection, Row, hash_share
from fer_space.data.faceset import SPLITS
from fer_space.data.joining import find_leaks, join
from fer_space.data.manifest import nameable
from fer_space.data.near_duplicates import thumbnail
from fer_space.data.report import NO_SPLIT, build_report, count_near
from fer_space.data.survey import fingerprint, sift
from fer_space.data.tables import MANIFEST, collect_csv
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from fer_space.occlusion import SURGICAL_BLUE, draw_mask
from fer_space.vision.alignment import CropRule, landmarks_through
from fer_space.vision.imaging import encode_png, resize

Picture = NDArray[np.uint8]

COLOURS = (SURGICAL_BLUE, (240, 240, 238), (38, 38, 42), (196, 216, 190), (228, 190, 196), (92, 104, 128))
SMALLEST = 192  # pixels: faces of smaller pictures are looked for in an enlarged copy
PARTS = 10_000


@dataclass(frozen=True, eq=False)
class Examined:
    """A data set whose every picture was decoded once.

    Attributes:
        collection: without unreadable pictures and leaks, which it lists among the dropped.
        fingerprints: one a row, of its decoded pixels.
        small: uint8 (N, 48, 48), the faces as near-duplicates are looked for, or None.
    """

    collection: Collection
    fingerprints: tuple[str, ...]
    small: Picture | None

    def report(self) -> dict[str, Any]:
        """Build everything that is known of the set, as plain values for JSON."""
        report = build_report(self.collection, self.fingerprints)
        if self.small is not None:
            report["twins"] = count_near(self.collection.rows, self.small)
        return report


def examine(collection: Collection, *, near: bool = False, leaks: bool = False) -> Examined:
    """Decode every picture of a data set once.

    Args:
        collection: of any reader, or joined.
        near: keep what near-duplicates are looked for by; their search costs as the square of the faces.
        leaks: drop faces of train whose pixels are also in valid or test, and of valid that are in test.
    """

    def look(image_rgb: Picture) -> tuple[str, Picture | None]:
        return fingerprint(image_rgb), thumbnail(image_rgb) if near else None

    rows, unnameable = nameable(collection.rows)
    rows, bad, looks = sift(rows, look)
    if leaks:
        found = find_leaks(rows, [seen for seen, _ in looks])
        kept = [i for i, leak in enumerate(found) if leak is None]
        bad += filter(None, found)
        rows, looks = [rows[i] for i in kept], [looks[i] for i in kept]
    small = [view for _, view in looks if view is not None]
    return Examined(
        collection.without([*unnameable, *bad], rows),
        tuple(seen for seen, _ in looks),
        np.stack(small) if small else None,
    )


class Aligned(NamedTuple):
    """The set with its faces found, and how many of them an earlier manifest knew."""

    collection: Collection
    known: int

    def report(self, detector: str) -> dict[str, Any]:
        """Say what was found, as plain values for JSON."""
        seen = [(row.split, row.found) for row in self.collection.rows if row.found is not None]
        lost = Counter(split or NO_SPLIT for split, found in seen if not found.is_face)
        marked = sum(f.face is not None and f.face.landmarks is not None for _, f in seen)
        return {
            "detector": detector,
            "found": len(seen) - lost.total(),
            "with_landmarks": marked,
            "not_found": dict(lost),
            "known_before": self.known,
        }


def align(
    collection: Collection, out: Path, detector: str, detect: Detect, rule: CropRule | None = None
) -> Aligned:
    """Find the faces of a data set, but for those that the manifest in its folder knows already.

    Args:
        collection: every row must be readable (`examine`).
        out: the folder that `write_manifest` will write to.
        detector: name of what `detect` finds faces with.
        detect: finds the faces of a picture.
        rule: how they are framed; None is the framing of FERPlus.
    """
    earlier: Known = {}
    with suppress(DataError):  # there is no manifest, or nothing in it can be used
        earlier = known_faces(collect_csv(out / MANIFEST).rows, detector)
    earlier = {**earlier, **known_faces(collection.rows, detector)}
    found = align_rows(collection, detector, detect, rule or CropRule(), earlier)
    keys = ((row.found.sha256, row.box_xyxy) for row in found.rows if row.found is not None)
    return Aligned(found, sum(key in earlier for key in keys))


class Masked(NamedTuple):
    """The set with masks, how many faces wear one, and how many should but have no landmarks."""

    collection: Collection
    worn: int
    without_landmarks: int


def wear_masks(collection: Collection, share: float, detect: Detect) -> Masked:
    """Put a mask on a share of the training faces; valid and test stay as they are.

    A face whose landmarks are not found stays bare. Pictures are decoded now and drawn when they are written.

    Args:
        collection: every row must be readable (`examine`).
        share: in [0, 1].
        detect: finds faces with their landmarks.
    """
    made, unfitted = list(collection.rows), 0
    training = [i for i, row in enumerate(made) if row.split == "train"]
    chosen = [i for i in training if hash_share(made[i].file, PARTS) < share * PARTS]
    for i in tqdm(chosen, desc="masks", unit="face", leave=False):
        row = made[i]
        landmarks = _landmarks(row, detect)
        if landmarks is None:
            unfitted += 1
            continue
        name = "-".join(("masked", *PurePath(row.file).with_suffix(".png").parts))
        made[i] = replace(
            row, file=name, source=partial(_masked_png, row, landmarks), box_xyxy=None, found=None
        )
    return Masked(replace(collection, rows=tuple(made)), len(chosen) - unfitted, unfitted)


def count_emotions(data: str) -> tuple[str, dict[str, NDArray[np.int64]]]:
    """Count the faces of `KIND:PATH` by emotion and split; no picture is opened.

    Returns:
        The set's name, and counts int64 (8,) by split. Faces that are in every split are counted once, as
        "all".

    Raises:
        DataError, InputError: the set cannot be read.
    """
    parts = [collect(kind, path) for kind, path in split_data(data)]
    whole = join(parts) if len(parts) > 1 else parts[0]
    counts = {split: np.zeros(len(EMOTIONS), dtype=np.int64) for split in (*SPLITS, "")}
    for row in (row for row in whole.rows if row.label != NO_ANSWER):
        counts[row.split][row.label] += 1
    return whole.name, {split or "all": rows for split, rows in counts.items() if rows.any()}


def _landmarks(row: Row, detect: Detect) -> NDArray[np.float64] | None:
    """The 68 landmarks of the largest face, float64 (68, 2) in pixels of the decoded face, or None."""
    if row.found is not None and row.found.face is not None and row.found.photo_to_crop is not None:
        return landmarks_through(row.found.face, row.found.photo_to_crop)
    image_rgb = row.decode()
    height, width = image_rgb.shape[:2]
    scale = max(1.0, SMALLEST / min(height, width))
    enlarged = resize(image_rgb, (round(height * scale), round(width * scale))) if scale > 1.0 else image_rgb
    faces = detect(enlarged)
    if not faces or faces[0].all_68 is None:
        return None
    # The centre of pixel 0 lies half a pixel from the edge, at every scale.
    return np.asarray((faces[0].all_68.astype(np.float64) + 0.5) / scale - 0.5)


def _masked_png(row: Row, landmarks: NDArray[np.float64]) -> bytes:
    colour = COLOURS[hash_share(f"{row.file} colour", len(COLOURS))]
    return encode_png(draw_mask(row.decode(), landmarks, colour))
