"""What holds for everything that covers a face, whatever its pose."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_space.errors import UnknownNameError
from fer_space.occlusion import CROP_ONLY, OCCLUSIONS, occlude, region
from fer_space.occlusion.fabric import paint_scarf
from fer_space.occlusion.pose import Pose
from tests.occlusion.faces import landmarks_at

PHOTO = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)
SIZE_HW = PHOTO.shape[:2]
DRAWN = [kind for kind in OCCLUSIONS if kind not in CROP_ONLY]

kinds = st.sampled_from(DRAWN)
levels = st.integers(0, 255)
colours = st.none() | st.tuples(levels, levels, levels)
faces = st.builds(
    landmarks_at,
    x=st.floats(-60, 210),
    y=st.floats(-60, 180),
    side=st.floats(2, 400),
    degrees=st.floats(-180, 180),
    yaw=st.floats(-80, 80),
)
far = st.floats(-1e4, 1e4, width=32) | st.sampled_from([-3e38, 3e38, 0.0, 74.5])
anything = st.lists(st.tuples(far, far), min_size=68, max_size=68).map(np.array)


def at(covered: np.ndarray, points: np.ndarray, numbers: range | list[int]) -> np.ndarray:
    """Whether some landmarks are covered."""
    columns, rows = np.rint(points[list(numbers)]).astype(int).T
    return covered[rows, columns]


def test_the_kinds_and_their_words():
    assert list(OCCLUSIONS) == [
        *("surgical", "kn95", "cloth", "scarf", "sunglasses", "eye_bar", "hand", "upper"),
    ]
    assert [kind.title for kind in OCCLUSIONS.values()] == [
        *("Surgical mask", "KN95", "Cloth mask", "Scarf"),
        *("Sunglasses", "Eye bar", "Hand-sized blob", "Upper face only"),
    ]
    assert all(name == kind.name and kind.covers for name, kind in OCCLUSIONS.items())
    assert {name for name, kind in OCCLUSIONS.items() if kind.colour is None} == CROP_ONLY == {"upper"}


@given(kind=kinds, points=faces | st.none(), colour=colours, opacity=st.floats(0, 1))
def test_nothing_changes_outside_the_region(
    kind: str, points: np.ndarray | None, colour: tuple[int, int, int] | None, opacity: float
):
    before = PHOTO.copy()
    drawn = occlude(PHOTO, kind, points, colour=colour, opacity=opacity)
    assert np.array_equal(PHOTO, before)
    assert (drawn.shape, drawn.dtype) == (PHOTO.shape, np.uint8)
    assert not np.shares_memory(drawn, PHOTO)
    covered = region(kind, SIZE_HW, points)
    assert (covered.shape, covered.dtype) == (SIZE_HW, np.bool_)
    assert not (drawn != PHOTO)[~covered].any()


@given(kind=kinds, points=anything)
@settings(max_examples=60)
def test_landmarks_may_be_anywhere(kind: str, points: np.ndarray):
    drawn = occlude(PHOTO, kind, points)
    assert not (drawn != PHOTO)[~region(kind, SIZE_HW, points)].any()


@given(kind=kinds, points=faces)
@settings(max_examples=60)
def test_the_region_is_no_larger_than_what_may_change(kind: str, points: np.ndarray):
    black, white = np.zeros_like(PHOTO), np.full_like(PHOTO, 255)
    changed = occlude(black, kind, points, colour=(255, 255, 255)) != 0
    changed |= occlude(white, kind, points, colour=(0, 0, 0)) != 255
    left_over = region(kind, SIZE_HW, points) & ~changed.any(axis=2)
    assert left_over.mean() < 0.001


@given(kind=kinds, points=faces | st.none(), colour=colours, low=st.floats(0, 1), high=st.floats(0, 1))
@settings(max_examples=60)
def test_opacity_moves_every_pixel_towards_the_object(
    kind: str, points: np.ndarray | None, colour: tuple[int, int, int] | None, low: float, high: float
):
    shares = (0.0, *sorted((low, high)), 1.0)
    drawn = [occlude(PHOTO, kind, points, colour=colour, opacity=share).astype(int) for share in shares]
    assert np.array_equal(drawn[0], PHOTO)
    moved = [np.abs(picture - PHOTO) for picture in drawn]
    assert all((less <= more).all() for less, more in pairwise(moved))


@pytest.mark.parametrize("kind", DRAWN)
def test_half_the_opacity_is_half_the_way(kind: str):
    points = landmarks_at()
    full, half = (occlude(PHOTO, kind, points, opacity=share).astype(float) for share in (1.0, 0.5))
    np.testing.assert_allclose(half, (PHOTO + full) / 2, atol=1.01)


@given(kind=kinds, points=faces)
@settings(max_examples=20)
def test_drawing_twice_gives_the_same(kind: str, points: np.ndarray):
    assert np.array_equal(occlude(PHOTO, kind, points), occlude(PHOTO, kind, points.copy()))


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("yaw", [0.0, 35.0], ids=["frontal", "turned"])
def test_a_face_on_its_side_is_covered_in_the_same_way(kind: str, yaw: float):
    gray = np.full((150, 150, 3), 90, dtype=np.uint8)
    upright = occlude(gray, kind, landmarks_at(74.5, 74.5, yaw=yaw))
    on_its_side = occlude(gray, kind, landmarks_at(74.5, 74.5, degrees=90.0, yaw=yaw))
    assert np.abs(np.rot90(upright, -1).astype(float) - on_its_side).mean() < 0.4


@pytest.mark.parametrize("kind", DRAWN)
def test_a_larger_face_is_covered_by_a_larger_object(kind: str):
    small = region(kind, (200, 200), landmarks_at(99.5, 99.5, 70.0))
    large = region(kind, (400, 400), landmarks_at(199.5, 199.5, 140.0))
    again = np.kron(small, np.ones((2, 2))).astype(bool)
    assert (large & again).sum() / (large | again).sum() > 0.9


@pytest.mark.parametrize("yaw", [-15.0, 0.0, 15.0])
@pytest.mark.parametrize(
    ("kind", "hidden", "free"),
    [
        ("surgical", [30, 33, 48, 54, 57], [27, 36, 45, 17, 26]),
        ("kn95", [30, 33, 8, *range(48, 68)], [27, 36, 45, 17, 26]),
        ("cloth", [30, 33, *range(48, 68)], [27, 36, 45, 17, 26]),
        ("scarf", [8, 4, 12, *range(48, 68)], [29, 30, 36, 45]),
        ("sunglasses", range(36, 48), [8, 30, 33, *range(48, 68)]),
        ("eye_bar", [*range(17, 27), *range(36, 48)], [8, 30, 33, *range(48, 68)]),
        ("hand", [51, 54, 57, 62, 66], [8, 36, 45, 27, 2]),
    ],
)
def test_what_is_hidden(kind: str, hidden: list[int], free: list[int], yaw: float):
    points = landmarks_at(degrees=20.0, yaw=yaw)
    black, white = (occlude(np.full_like(PHOTO, level), kind, points).astype(int) for level in (0, 255))
    assert at(np.abs(white - black).max(axis=2) < 25, points, hidden).all()
    assert not at(region(kind, SIZE_HW, points), points, free).any()


def test_sizes_of_the_masks():
    tops, areas = {}, {}
    for kind in ("surgical", "kn95", "cloth"):
        covered = region(kind, (200, 200))
        tops[kind], areas[kind] = int(np.nonzero(covered[:, 100])[0][0]), int(covered.sum())
    assert tops["kn95"] < tops["surgical"] < tops["cloth"]
    assert areas["kn95"] > areas["surgical"]


def test_the_eye_bar_is_plain():
    points = landmarks_at(degrees=15.0)
    drawn = occlude(PHOTO, "eye_bar", points, colour=(12, 200, 7))
    column, row = np.rint(points[27]).astype(int)
    assert drawn[row, column].tolist() == [12, 200, 7]


def test_the_weave_shows_on_large_faces_only():
    def roughness(side: int) -> float:
        gray = np.zeros((side, side, 3), np.uint8)
        drawn = occlude(gray, "cloth", colour=(200, 200, 200))[..., 0].astype(float)
        patch = drawn[int(0.75 * side) : int(0.82 * side), int(0.58 * side) : int(0.68 * side)]
        return float(np.abs(np.diff(patch, 2, axis=1)).mean())

    assert roughness(400) > 3 * roughness(90)


@pytest.mark.parametrize("kind", OCCLUSIONS)
@pytest.mark.parametrize("size_hw", [(48, 48), (7, 40), (1, 1), (224, 224)], ids=str)
def test_every_kind_takes_crops_of_any_shape(kind: str, size_hw: tuple[int, int]):
    crop = np.full((*size_hw, 3), 90, dtype=np.uint8)
    crop[: size_hw[0] // 4] = 10
    before = crop.copy()
    covered = occlude(crop, kind)
    assert covered.shape == crop.shape
    assert covered.dtype == np.uint8
    assert np.array_equal(crop, before)
    if min(size_hw) >= 48:
        assert (covered != crop).any(axis=2).mean() > 0.09


@pytest.mark.parametrize("kind", DRAWN)
def test_a_face_outside_the_picture_changes_nothing(kind: str):
    points = landmarks_at(x=-900.0)
    assert np.array_equal(occlude(PHOTO, kind, points), PHOTO)
    assert not region(kind, SIZE_HW, points).any()


@pytest.mark.parametrize("kind", OCCLUSIONS)
@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((68, 2), np.nan)], ids=["five", "nan"])
def test_landmarks_are_checked(kind: str, points: np.ndarray):
    with pytest.raises(ValueError, match="68"):
        occlude(PHOTO, kind, points)
    with pytest.raises(ValueError, match="68"):
        region(kind, SIZE_HW, points)


@pytest.mark.parametrize("opacity", [-0.1, 1.1, np.nan])
def test_opacity_is_checked(opacity: float):
    with pytest.raises(ValueError, match="opacity"):
        occlude(PHOTO, "hand", opacity=opacity)


def test_kinds_that_do_not_exist_are_named():
    with pytest.raises(UnknownNameError, match=r"beard.*surgical"):
        occlude(PHOTO, "beard")
    with pytest.raises(UnknownNameError, match=r"beard.*surgical"):
        region("beard", SIZE_HW)


def test_upper_cuts_in_any_colour_and_opacity():
    plain = occlude(PHOTO, "upper")
    assert np.array_equal(occlude(PHOTO, "upper", colour=(1, 2, 3), opacity=0.3), plain)
    assert region("upper", SIZE_HW).all()


def test_memory_follows_the_object_and_not_the_photo():
    pose = Pose.of(landmarks_at(3000.0, 3000.0, 100.0), (6000, 6000))
    tracemalloc.start()
    paint_scarf(pose, (6000, 6000), (0, 0, 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
