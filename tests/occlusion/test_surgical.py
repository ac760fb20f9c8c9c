"""The surgical mask, by landmarks and by the template, and its ear loops."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_space.occlusion import (
    TEMPLATE_BRIDGE,
    TEMPLATE_JAW,
    UPPER_SHARE,
    draw_mask,
    mask_polygon,
    region,
    template_mask,
    upper_face,
)
from fer_space.occlusion.average import AVERAGE
from tests.occlusion.faces import landmarks_at

PHOTO = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)


@pytest.fixture
def no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_space.occlusion.surgical.ear_loops", lambda *_: [])


def depth(polygon: np.ndarray, point: np.ndarray) -> float:
    """How far inside a polygon a point lies; negative outside."""
    contour = np.asarray(polygon, dtype=np.float32)[:, None]
    return cv2.pointPolygonTest(contour, tuple(map(float, point)), True)


places = st.fixed_dictionaries(
    {
        "x": st.floats(-60, 210),
        "y": st.floats(-60, 180),
        "side": st.floats(10, 300),
        "degrees": st.floats(-180, 180),
    }
)


@given(place=places)
def test_polygon_covers_nose_mouth_and_chin_and_leaves_the_eyes(place: dict[str, float]):
    points = landmarks_at(**place)
    polygon = mask_polygon(points)
    assert all(depth(polygon, points[i]) > 0 for i in (30, 33, 48, 54, 57, 8))
    assert all(depth(polygon, points[i]) < 0 for i in (27, 28, 36, 45, 0, 16))
    assert all(abs(depth(polygon, points[i])) < 0.04 * place["side"] for i in range(2, 15))


def test_upper_edge_meets_the_nose_between_28_and_29():
    points = landmarks_at()
    top = mask_polygon(points)[:, 1].min()
    assert points[28, 1] < top < points[29, 1]


@given(place=places)
@settings(max_examples=30)
def test_polygon_moves_with_the_face(place: dict[str, float]):
    turned = mask_polygon(landmarks_at(**place))
    upright = mask_polygon(landmarks_at(**{**place, "degrees": 0.0}))
    middle = np.array([place["x"], place["y"]])
    np.testing.assert_allclose(
        np.linalg.norm(turned - middle, axis=1),
        np.linalg.norm(upright - middle, axis=1),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.mark.usefixtures("no_loops")
@pytest.mark.parametrize("place", [{}, {"x": 10.0, "degrees": 40.0}, {"side": 300.0}], ids=str)
def test_nothing_but_loops_is_drawn_outside_the_polygon(place: dict[str, float]):
    points = landmarks_at(**place)
    drawn = draw_mask(PHOTO, points)
    polygon = mask_polygon(points)
    rows, columns = np.nonzero((drawn != PHOTO).any(axis=2))
    assert all(depth(polygon, point) > -1.5 for point in np.column_stack([columns, rows])[::29])


def test_cloth_has_its_colour_pleats_and_an_even_edge():
    points = landmarks_at()
    black = np.zeros_like(PHOTO)
    drawn = draw_mask(black, points, colour=(200, 100, 50))
    inside = drawn[75:85, 65:85].astype(float)
    np.testing.assert_allclose(inside[..., 0] / inside[..., 1], 2.0, rtol=0.03)
    down = drawn[52:95, 75, 0].astype(float)
    dips = (down[1:-1] < down[:-2]) & (down[1:-1] < down[2:])
    assert dips.sum() >= 3
    values = np.unique(drawn[..., 0])
    assert ((values > 10) & (values < 100)).any(), "the edge is anti-aliased"


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((68, 2), np.nan)], ids=["five", "nan"])
def test_landmarks_are_checked(points: np.ndarray):
    with pytest.raises(ValueError, match="68"):
        mask_polygon(points)
    with pytest.raises(ValueError, match="68"):
        draw_mask(PHOTO, points)


def test_a_face_that_is_one_point_is_drawn_without_an_error():
    drawn = draw_mask(PHOTO, np.full((68, 2), 40.0))
    assert (drawn != PHOTO).any(axis=2).sum() <= 9


def test_template_covers_nose_mouth_and_chin_of_a_small_face():
    coverage, shade = template_mask(48, 12)
    assert coverage.shape == shade.shape == (72, 72)
    assert 0.0 <= coverage.min() <= coverage.max() <= 1.0
    np.testing.assert_allclose(coverage, coverage[:, ::-1], atol=0.08)
    for x, y, covered in [
        (0.5, 0.6, 1),
        (0.5, 0.77, 1),
        (0.36, 0.77, 1),
        (0.5, 1.0, 1),
        (0.32, 0.4, 0),
        (0.5, 0.4, 0),
    ]:
        row, column = round(y * 48 + 11.5), round(x * 48 + 11.5)
        assert coverage[row, column] == pytest.approx(covered, abs=0.02), (x, y)


def test_the_template_is_part_of_the_average_face():
    np.testing.assert_array_equal(TEMPLATE_JAW, AVERAGE[2:9])
    np.testing.assert_array_equal(TEMPLATE_BRIDGE, AVERAGE[28:30])
    assert TEMPLATE_JAW[[0, 1, 6]].tolist() == [[0.115, 0.611], [0.137, 0.716], [0.5, 1.051]]
    assert TEMPLATE_BRIDGE.tolist() == [[0.5, 0.452], [0.5, 0.52]]


@pytest.mark.usefixtures("no_loops")
def test_template_is_the_mask_of_its_own_landmarks():
    coverage, _ = template_mask(90, 0)
    drawn = draw_mask(np.zeros((90, 90, 3), np.uint8), landmarks_at(44.5, 44.5, 90.0), (255, 255, 255))
    assert ((coverage > 0.5) == (drawn[..., 0] > 100)).mean() > 0.995


@pytest.mark.usefixtures("no_loops")
def test_without_landmarks_an_average_face_fills_the_picture():
    crop = PHOTO[:90, :90].copy()
    drawn = draw_mask(crop)
    assert np.array_equal(drawn, draw_mask(crop, landmarks_at(44.5, 44.5, 90.0)))
    assert np.array_equal(drawn[:35], crop[:35])


def beside(points: np.ndarray, kind: str) -> tuple[int, int]:
    """Pixels at the left and at the right cheek that are covered above the mask's upper corners."""
    above = region(kind, (120, 150), points)[: int(points[1, 1])]
    return int(above[:, :50].sum()), int(above[:, 100:].sum())


@pytest.mark.parametrize("kind", ["surgical", "kn95", "cloth"])
def test_loops_go_to_both_ears_of_a_face_with_landmarks(kind: str):
    left, right = beside(landmarks_at(), kind)
    assert min(left, right) > 10
    assert max(left, right) < 200, "they are thin"


@pytest.mark.parametrize("kind", ["surgical", "kn95", "cloth"])
def test_the_loop_behind_a_turned_cheek_is_left_out(kind: str):
    left, right = beside(landmarks_at(yaw=30.0), kind)
    assert left > 10
    assert right == 0
    left, right = beside(landmarks_at(yaw=-30.0), kind)
    assert left == 0
    assert right > 10


def test_an_average_face_has_no_loops():
    with_loops, without = (region("surgical", (90, 90), p) for p in (landmarks_at(44.5, 44.5), None))
    assert (without & ~with_loops).sum() == 0
    assert (with_loops & ~without).sum() > 20
    assert not without[:42].any()


def test_loops_lie_under_the_mask(monkeypatch: pytest.MonkeyPatch):
    points = landmarks_at()
    drawn = draw_mask(PHOTO, points)
    monkeypatch.setattr("fer_space.occlusion.surgical.ear_loops", lambda *_: [])
    plain, inverse = draw_mask(PHOTO, points), draw_mask(255 - PHOTO, points)
    opaque = (plain == inverse).all(axis=2)
    assert opaque.sum() > 2000
    assert np.array_equal(drawn[opaque], plain[opaque])
    assert not np.array_equal(drawn, plain)


def test_upper_face_by_hand():
    crop = np.zeros((50, 50, 3), dtype=np.uint8)
    crop[26:] = 255  # UPPER_SHARE of 50 rows is 26
    assert round(50 * UPPER_SHARE) == 26
    assert not upper_face(crop).any()
    assert upper_face(crop).shape == crop.shape
    points = np.zeros((68, 2), dtype=np.float32)
    points[29] = [25.0, 29.5]  # the edge between rows 29 and 30
    below = upper_face(crop, points)
    assert not below[:40].any()
    assert below[-2:].all()


@pytest.mark.parametrize("y", [-20.0, 500.0])
def test_upper_face_with_a_nose_outside_the_crop(y: float):
    points = np.full((68, 2), y, dtype=np.float32)
    assert upper_face(PHOTO, points).shape == PHOTO.shape
