"""Crops and their inverse, for faces of every size, place and tilt."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_space.types import Face
from fer_space.vision.alignment import TEMPLATE, CropRule, crop_face, eyes_and_mouth, invert, map_to_photo

SIZE = 96
PHOTO = np.random.default_rng(0).integers(0, 256, (200, 240, 3), dtype=np.uint8)
FIVE = np.array([TEMPLATE[0], TEMPLATE[1], [0.5, 0.59], [0.35, TEMPLATE[2, 1]], [0.65, TEMPLATE[2, 1]]])


def face_at(
    x: float, y: float, side: float, degrees: float = 0.0, landmarks: bool = True, mirrored: bool = False
) -> Face:
    """A face whose FERPlus square has its centre at (x, y) and that side."""
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    unit = (FIVE - 0.5) * [-1.0 if mirrored else 1.0, 1.0]
    points = (unit * side @ rotation.T + [x, y]).astype(np.float32)
    half = side / 2.0
    return Face((x - half, y - half, x + half, y + half), 0.9, points if landmarks else None)


faces = st.builds(
    face_at,
    x=st.floats(-50, 290),
    y=st.floats(-50, 250),
    side=st.floats(12, 400),
    degrees=st.floats(-180, 180),
    landmarks=st.booleans(),
)
rules = st.builds(
    CropRule,
    align=st.booleans(),
    scale=st.floats(0.7, 1.6),
    shift_y=st.floats(-0.2, 0.2),
    box_scale=st.floats(0.7, 1.6),
    box_shift_y=st.floats(-0.2, 0.2),
)


def moved(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


@settings(max_examples=60, deadline=None)
@given(faces, rules)
def test_round_trip(face: Face, rule: CropRule) -> None:
    crop = crop_face(PHOTO, face, rule, SIZE)
    points = np.array([[0.0, 0.0], [SIZE, 3.0], [40.0, 90.0]])
    back = moved(crop.photo_to_crop, moved(invert(crop.photo_to_crop), points))
    np.testing.assert_allclose(back, points, atol=1e-6)
    assert crop.image_rgb.shape == (SIZE, SIZE, 3)


@settings(max_examples=60, deadline=None)
@given(faces, rules)
def test_transform_is_a_similarity_without_reflection(face: Face, rule: CropRule) -> None:
    linear = crop_face(PHOTO, face, rule, SIZE).photo_to_crop[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.linalg.det(linear) * np.eye(2), atol=1e-9)
    assert np.linalg.det(linear) > 0.0


@pytest.mark.parametrize("degrees", [-30, 0, 30, 120])
def test_scale_one_sets_eyes_and_mouth_on_the_template(degrees: float) -> None:
    face = face_at(110, 90, 70, degrees)
    assert face.landmarks is not None
    landed = moved(crop_face(PHOTO, face, CropRule(), SIZE).photo_to_crop, eyes_and_mouth(face.landmarks))
    np.testing.assert_allclose((landed + 0.5) / SIZE, TEMPLATE, atol=1e-4)


def test_a_mirrored_face_is_not_reflected() -> None:
    face = face_at(110, 90, 70, mirrored=True)
    assert np.linalg.det(crop_face(PHOTO, face, CropRule(), SIZE).photo_to_crop[:, :2]) > 0.0


def side_and_middle(face: Face, rule: CropRule) -> tuple[float, np.ndarray]:
    back = invert(crop_face(PHOTO, face, rule, SIZE).photo_to_crop)
    middle = moved(back, np.array([(SIZE - 1) / 2.0] * 2))
    return SIZE * float(np.sqrt(np.linalg.det(back[:, :2]))), middle


def test_scale_and_shift_of_an_aligned_crop() -> None:
    face = face_at(110, 90, 80)
    side, middle = side_and_middle(face, CropRule(scale=1.25, shift_y=0.1))
    assert side == pytest.approx(100.0, abs=0.01)
    np.testing.assert_allclose(middle, (110, 100), atol=0.5)


@pytest.mark.parametrize("align", [True, False], ids=["no landmarks", "not asked to align"])
def test_crop_by_box(align: bool) -> None:
    face = face_at(110, 90, 80, degrees=20, landmarks=not align)
    side, middle = side_and_middle(face, CropRule(align=align, box_scale=1.25, box_shift_y=0.1))
    assert side == pytest.approx(100.0, abs=0.01)
    np.testing.assert_allclose(middle, (109.5, 99.5), atol=0.01)


def test_box_of_whole_picture_is_the_whole_picture() -> None:
    image = PHOTO[:SIZE, :SIZE]
    rule = CropRule(box_scale=1.0, box_shift_y=0.0)
    crop = crop_face(image, Face((0.0, 0.0, SIZE, SIZE), 1.0), rule, SIZE)
    np.testing.assert_array_equal(crop.image_rgb, image)


def test_landmarks_in_one_point_fall_back_to_the_box() -> None:
    face = Face((10.0, 10.0, 60.0, 60.0), 1.0, np.full((68, 2), 30.0, np.float32))
    plain = Face((10.0, 10.0, 60.0, 60.0), 1.0)
    expected = crop_face(PHOTO, plain, CropRule(), SIZE).photo_to_crop
    np.testing.assert_array_equal(crop_face(PHOTO, face, CropRule(), SIZE).photo_to_crop, expected)


def test_eyes_and_mouth_of_68_points() -> None:
    points = np.zeros((68, 2), np.float32)
    points[36:42], points[42:48], points[48], points[54] = (10, 20), (30, 20), (12, 50), (28, 52)
    np.testing.assert_allclose(eyes_and_mouth(points), [[10, 20], [30, 20], [20, 51]])


@settings(max_examples=40, deadline=None)
@given(faces, st.sampled_from([(7, 7), (1, 1), (96, 96), (14, 7)]))
def test_map_stays_in_its_crop(face: Face, shape: tuple[int, int]) -> None:
    crop = crop_face(PHOTO, face, CropRule(), SIZE)
    drawn = map_to_photo(np.ones(shape, np.float32), crop, PHOTO.shape[:2])
    assert drawn.dtype == np.float32
    assert drawn.shape == PHOTO.shape[:2]
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0
    rows, columns = np.indices(drawn.shape)
    landed = moved(crop.photo_to_crop, np.stack([columns.ravel(), rows.ravel()], axis=1))
    outward = np.abs(landed - (SIZE - 1) / 2.0).max(axis=1).reshape(drawn.shape) - SIZE / 2.0
    assert (drawn[outward > 0.1] == 0.0).all()
    assert (drawn[outward < -0.1] > 0.99).all()


def test_map_peak_lands_on_the_feature() -> None:
    """A hot cell over the mouth is hottest at the mouth in the photo."""
    face = face_at(110, 90, 90, degrees=25)
    crop = crop_face(PHOTO, face, CropRule(), SIZE)
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[5, 3] = 1.0  # centre at (.5, .786), the template's mouth
    drawn = map_to_photo(heatmap, crop, PHOTO.shape[:2])
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert face.landmarks is not None
    np.testing.assert_allclose((column, row), eyes_and_mouth(face.landmarks)[2], atol=4)


def test_rule_survives_its_card() -> None:
    rule = CropRule(scale=1.2, box_shift_y=-0.05)
    assert CropRule(**asdict(rule)) == rule


@pytest.mark.parametrize("field", ["scale", "box_scale"])
def test_rule_refuses_nonsense(field: str) -> None:
    with pytest.raises(ValueError, match=rf"{field}\n.*greater than 0"):
        CropRule(**{field: 0.0})
