"""A cover on a photo and on the crops that backbones get."""

from dataclasses import replace

import numpy as np
import pytest

from fer_space.occlusion import OCCLUSIONS, occlude
from fer_space.occlusion.cover import Cover
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face, landmarks_in_crop
from tests.toys import toy_landmarks

PHOTO = np.random.default_rng(0).integers(0, 256, (200, 240, 3), np.uint8)
BOX = (60.0, 40.0, 180.0, 160.0)
FACE = Face(BOX, 0.9, toy_landmarks(BOX))
BARE = replace(FACE, landmarks=None)


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_a_face_with_landmarks_is_covered_once(kind: str) -> None:
    cover = Cover(kind)
    shown = cover.on_photo(PHOTO, [FACE])
    crop = crop_face(shown, FACE, CropRule())
    read = cover.on_crop(crop, FACE)
    if kind == "upper":
        assert np.array_equal(shown, PHOTO)
        assert np.array_equal(read.image_rgb, occlude(crop.image_rgb, kind, landmarks_in_crop(FACE, crop)))
    else:
        assert not np.array_equal(shown, PHOTO)
        assert read is crop


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_a_face_without_landmarks_is_covered_on_its_crop(kind: str) -> None:
    cover = Cover(kind)
    assert np.array_equal(cover.on_photo(PHOTO, [BARE]), PHOTO)
    crop = crop_face(PHOTO, BARE, CropRule())
    read = cover.on_crop(crop, BARE)
    assert np.array_equal(read.image_rgb, occlude(crop.image_rgb, kind))
    assert not np.array_equal(read.image_rgb, crop.image_rgb)


def test_colour_and_opacity_reach_the_drawing() -> None:
    drawn = Cover("eye_bar", (255, 0, 0), 0.5).on_photo(PHOTO, [FACE])
    wanted = occlude(PHOTO, "eye_bar", FACE.landmarks, colour=(255, 0, 0), opacity=0.5)
    assert np.array_equal(drawn, wanted)


def test_all_faces_of_a_photo_are_covered() -> None:
    box = (5.0, 5.0, 55.0, 55.0)
    other = Face(box, 0.9, toy_landmarks(box))
    both = Cover("eye_bar").on_photo(PHOTO, [FACE, other])
    changed = (both != PHOTO).any(axis=2)
    assert changed[:60, :60].any()
    assert changed[60:, 60:].any()
