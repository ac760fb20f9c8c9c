"""What every kind looks like: small sheets of drawn faces, compared with those in tests/golden/occlusion.

    python -m tests.occlusion.test_golden    draws the sheets anew, after a change that is meant; look at them

A sheet shows the astronaut upright, Grace Hopper tilted, an invented face turned aside, and the astronaut as
a crop without landmarks. The pictures are those of examples/, the landmarks are committed beside the
sheets: no detector takes part.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_space.occlusion import OCCLUSIONS, occlude
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import decode_image, encode_png, resize
from tests.occlusion.faces import landmarks_at

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "golden" / "occlusion"
SIDE = 64  # pixels of one tile
TOLERANCE = 2.0  # levels, the mean over a tile


def photo(name: str) -> tuple[np.ndarray, np.ndarray]:
    """An example picture and the landmarks of its face."""
    landmarks = json.loads((GOLDEN / "landmarks.json").read_text())[name]
    return decode_image((ROOT.parent / "examples" / f"{name}.jpg").read_bytes()), np.array(landmarks)


def tile(name: str, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A face of a picture, tilted, uint8 (SIDE, SIDE, 3), and its landmarks there."""
    image, landmarks = photo(name)
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2.0
    scale = SIDE / (1.5 * float(np.ptp(landmarks, axis=0).max()))
    small = resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
    matrix = cv2.getRotationMatrix2D((middle * scale).tolist(), degrees, 1.0)
    matrix[:, 2] += SIDE / 2.0 - middle * scale
    turned = cv2.warpAffine(small, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return turned, landmarks * scale @ matrix[:, :2].T + matrix[:, 2]


def sheet(kind: str) -> np.ndarray:
    """The four tiles of one kind, uint8 (2 SIDE, 2 SIDE, 3) RGB."""
    image, landmarks = photo("astronaut")
    face = Face((0.0, 0.0, 1.0, 1.0), 1.0, landmarks.astype(np.float32))
    crop = crop_face(image, face, CropRule(), SIDE).image_rgb
    gray = np.full((SIDE, SIDE, 3), 150, dtype=np.uint8)
    upright, tilted = tile("astronaut", 0.0), tile("hopper", 25.0)
    above = occlude(upright[0], kind, upright[1]), occlude(tilted[0], kind, tilted[1])
    below = occlude(gray, kind, landmarks_at(31.5, 27.0, 50.0, -10.0, 28.0)), occlude(crop, kind)
    return np.concatenate([np.concatenate(row, axis=1) for row in (above, below)])


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_looks_as_it_did(kind: str):
    drawn, golden = sheet(kind), decode_image((GOLDEN / f"{kind}.png").read_bytes())
    assert drawn.shape == golden.shape
    difference = np.abs(drawn.astype(float) - golden).reshape(2, SIDE, 2, SIDE, 3).mean(axis=(1, 3, 4))
    assert (difference < TOLERANCE).all(), f"tiles differ by {difference.round(2)} levels"


def test_sheets_of_all_kinds_and_no_others():
    assert {path.stem for path in GOLDEN.glob("*.png")} == set(OCCLUSIONS)
    assert all(path.stat().st_size < 30_000 for path in GOLDEN.iterdir())


if __name__ == "__main__":
    for name in OCCLUSIONS:
        (GOLDEN / f"{name}.png").write_bytes(encode_png(sheet(name)))
        print(GOLDEN / f"{name}.png")
