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
@pytest.mark.parametrize("face", [FACE, BARE], ids=["landmarks", "no landmarks"])
def test_models_see_it_drawn_on_their_crop(kind: str, face: Face) -> None:
    crop = crop_face(PHOTO, face, CropRule())
    read = Cover(kind).on_crop(crop, face)
    assert np.array_equal(read.image_rgb, occlude(crop.image_rgb, kind, landmarks_in_crop(face, crop)))
    assert not np.array_equal(read.image_rgb, crop.image_rgb)


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_people_see_it_drawn_on_the_photo_where_landmarks_say_where(kind: str) -> None:
    cover = Cover(kind)
    assert np.array_equal(cover.on_photo(PHOTO, [BARE]), PHOTO)
    assert np.array_equal(cover.on_photo(PHOTO, [FACE]), PHOTO) == (kind == "upper")


def test_a_picture_that_is_a_face_crop_is_covered_as_an_average_face() -> None:
    assert np.array_equal(Cover("scarf").on_picture(PHOTO[:200, :200]), occlude(PHOTO[:200, :200], "scarf"))


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
