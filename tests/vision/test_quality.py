"""What is measured on a face before anybody believes an answer."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_space.engine import Engine
from fer_space.occlusion.kinds import occlude
from fer_space.types import Face
from fer_space.vision.imaging import load_image
from fer_space.vision.quality import MASKED, Quality, quality_of

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, Face]:
    photo = load_image(EXAMPLES / "astronaut.jpg")
    (face,) = Engine(device="cpu").detect(photo)
    return photo, face


def test_a_good_face_raises_no_doubt(seen: tuple[np.ndarray, Face]):
    quality = quality_of(*seen)
    assert quality.doubts == ()
    assert quality.inside == 1.0
    assert quality.yaw is not None
    assert quality.yaw < 25


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda photo: cv2.GaussianBlur(photo, (0, 0), 6), "blurred"),
        (lambda photo: (photo * 0.2).astype(np.uint8), "dark"),
        (lambda photo: (photo * 0.1 + 128).astype(np.uint8), "pale"),
    ],
)
def test_each_harm_is_named(change, word: str, seen: tuple[np.ndarray, Face]):
    photo, face = seen
    assert word in quality_of(change(photo), face).doubts


def test_a_small_face_and_one_at_the_edge(seen: tuple[np.ndarray, Face]):
    photo, face = seen
    small = cv2.resize(photo, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    left, top, right, bottom = (edge * 0.3 for edge in face.box_xyxy)
    tiny = Face((left, top, right, bottom), face.score)
    assert any("pixels wide" in doubt for doubt in quality_of(small, tiny).doubts)
    cut = Face((-50.0, 20.0, 50.0, 120.0), 0.9)
    assert "cut off by the edge of the picture" in quality_of(photo, cut).doubts


def test_turned_heads_and_doubtful_detections():
    good = Quality(100, 0.8, 0.5, 0.2, 1.0, 0.9, 10.0)
    assert good.doubts == ()
    assert replace(good, yaw=None).doubts == ()
    assert replace(good, yaw=52.0).doubts == ("turned away by about 50 degrees",)
    assert replace(good, score=0.5).doubts == ("perhaps no face (the detector is 50% sure)",)


@pytest.mark.parametrize("count", [5, 68])
def test_yaw_follows_the_nose(count: int):
    points = np.zeros((count, 2), np.float32)
    if count == 5:
        points[:] = [(30, 30), (70, 30), (50, 50), (35, 70), (65, 70)]
        nose = 2
    else:
        points[36:42], points[42:48], points[[48, 54]], nose = (30, 30), (70, 30), [(35, 70), (65, 70)], 30
        points[30] = (50, 50)
    photo = np.zeros((100, 100, 3), np.uint8)
    front = quality_of(photo, Face((10, 10, 90, 90), 1.0, points.copy())).yaw
    points[nose, 0] += 0.4 * 40  # as far as the nose stands out: 45 degrees
    side = quality_of(photo, Face((10, 10, 90, 90), 1.0, points)).yaw
    assert (front, side) == pytest.approx((0.0, 45.0), abs=0.1)


@pytest.mark.parametrize("kind", ["surgical", "kn95", "cloth", "scarf"])
def test_a_mask_is_seen_and_bare_faces_wear_none(kind: str, seen: tuple[np.ndarray, Face]):
    photo, face = seen
    assert quality_of(photo, face).masked < 0.5
    worn = occlude(photo, kind, face.all_68)
    assert MASKED in quality_of(worn, face).doubts
    (again,) = Engine(device="cpu").detect(worn)  # its landmarks half guessed
    assert MASKED in again.doubts


@pytest.mark.parametrize("kind", ["sunglasses", "eye_bar"])
def test_what_covers_eyes_is_no_mask(kind: str, seen: tuple[np.ndarray, Face]):
    photo, face = seen
    assert MASKED not in quality_of(occlude(photo, kind, face.all_68), face).doubts
