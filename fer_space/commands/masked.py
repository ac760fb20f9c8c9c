"""Masks drawn on training faces by their own landmarks: `fer-space prepare KIND SRC DST --masks .5`.

`fer-space train --mask` needs no landmarks, but only fits faces that are framed like FERPlus. Here every face
is found and fitted first, as in the app, so that the mask follows its pose in any kind of picture. Who wears
one, and its colour, follow from the hash of the file's name: the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.data.collection import Row, hash_share
from fer_space.engine import Engine
from fer_space.occlusion import SURGICAL_BLUE, draw_mask
from fer_space.vision.imaging import encode_png, resize

COLOURS = (SURGICAL_BLUE, (240, 240, 238), (38, 38, 42), (196, 216, 190), (228, 190, 196), (92, 104, 128))
SMALLEST = 192  # pixels: faces of smaller pictures are looked for in an enlarged copy
PARTS = 10_000


class Masked(NamedTuple):
    """The rows, some of them with a mask, how many wear one, and how many should but have no landmarks."""

    rows: list[Row]
    worn: int
    unfitted: int


def wear_masks(rows: Sequence[Row], share: float, engine: Engine) -> Masked:
    """Put a mask on `share` of the training faces, in [0, 1]; valid and test stay as they are.

    A face whose landmarks are not found stays bare. Pictures are decoded now and drawn when they are written.
    Every row must be readable (`fer_space.data.survey.sift`).
    """
    made, unfitted = list(rows), 0
    training = [i for i, row in enumerate(rows) if row.split == "train"]
    chosen = [i for i in training if hash_share(rows[i].file, PARTS) < share * PARTS]
    for i in tqdm(chosen, desc="masks", unit="face", leave=False):
        landmarks = _landmarks(rows[i].decode(), engine)
        if landmarks is None:
            unfitted += 1
            continue
        name = "-".join(("masked", *PurePath(rows[i].file).with_suffix(".png").parts))
        made[i] = replace(rows[i], file=name, source=partial(_masked_png, rows[i], landmarks), box_xyxy=None)
    return Masked(made, len(chosen) - unfitted, unfitted)


def _landmarks(image_rgb: NDArray[np.uint8], engine: Engine) -> NDArray[np.float64] | None:
    """The 68 landmarks of the largest face, float64 (68, 2) in pixels of the picture, or None."""
    height, width = image_rgb.shape[:2]
    scale = max(1.0, SMALLEST / min(height, width))
    enlarged = resize(image_rgb, (round(height * scale), round(width * scale))) if scale > 1.0 else image_rgb
    faces = engine.detect(enlarged)
    if not faces or faces[0].all_68 is None:
        return None
    return np.asarray((faces[0].all_68.astype(np.float64) + 0.5) / scale - 0.5)


def _masked_png(row: Row, landmarks: NDArray[np.float64]) -> bytes:
    colour = COLOURS[hash_share(f"{row.file} colour", len(COLOURS))]
    return encode_png(draw_mask(row.decode(), landmarks, colour))
