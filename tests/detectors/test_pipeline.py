"""What the chain does with a detector's answer, shown with detectors made up for it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_space.detectors import pipeline
from fer_space.detectors.pipeline import MAX_FACES, find_faces
from fer_space.types import Face
from fer_space.vision.alignment import quarters_of, tilt_of

PHOTO = np.zeros((100, 200, 3), dtype=np.uint8)


class Scripted:
    """Answers with the given lists, then with nothing, and remembers the pictures' shapes."""

    sure = fair = 0.0

    def __init__(self, *answers: list[Face]) -> None:
        self.answers = list(answers)
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        self.shapes.append(image_rgb.shape)
        return self.answers.pop(0) if self.answers else []


class NoLandmarks:
    """Counts the faces that it is asked to fit, and fits none."""

    def __init__(self) -> None:
        self.asked = 0

    def fit(self, image_rgb: NDArray[np.uint8], face: Face) -> Face:
        self.asked += 1
        return face


def square(x: float, y: float, side: float, score: float = 0.9) -> Face:
    return Face((x, y, x + side, y + side), score)


def find(*answers: list[Face]) -> list[Face]:
    return find_faces(PHOTO, Scripted(*answers), NoLandmarks())  # type: ignore[arg-type]


def test_largest_first() -> None:
    assert [face.box_xyxy[2] for face in find([square(0, 0, 20), square(50, 0, 40)])] == [90, 20]


def test_duplicates_keep_the_surer_one() -> None:
    (face,) = find([square(10, 10, 40, 0.6), square(12, 11, 40, 0.8)])
    assert face.score == 0.8


def test_neighbours_are_no_duplicates() -> None:
    assert len(find([square(10, 10, 40), square(40, 10, 40)])) == 2


@pytest.mark.parametrize(
    "face", [square(-30, 10, 40), square(10, 95, 40), square(500, 10, 40), square(10, 10, 3)],
    ids=["left of the photo", "below it", "far off", "a speck"],
)  # fmt: skip
def test_nonsense_is_dropped(face: Face) -> None:
    assert find([face]) == []


def test_at_most_32() -> None:
    crowd = [square(9.0 * (i % 20), 20.0 * (i // 20), 9) for i in range(60)]
    assert len(find(crowd)) == MAX_FACES


def test_second_look_with_a_border_maps_back() -> None:
    points = np.full((5, 2), 130.0, np.float32)
    detector = Scripted([], [Face((110.0, 110.0, 190.0, 190.0), 0.7, points)])
    (face,) = find_faces(PHOTO, detector, NoLandmarks())  # type: ignore[arg-type]
    assert detector.shapes == [(100, 200, 3), (300, 400, 3)]
    assert face.box_xyxy == (10, 10, 90, 90)
    assert face.landmarks is not None
    assert (face.landmarks == 30).all()


def test_no_second_look_when_something_was_found() -> None:
    detector = Scripted([square(0, 0, 20)])
    find_faces(PHOTO, detector, NoLandmarks())  # type: ignore[arg-type]
    assert len(detector.shapes) == 1


def test_68_landmarks_are_not_fitted_again() -> None:
    complete = Face((10.0, 10.0, 90.0, 90.0), 0.9, np.zeros((68, 2), np.float32))
    counter = NoLandmarks()
    find_faces(PHOTO, Scripted([complete, square(120, 10, 40)]), counter)  # type: ignore[arg-type]
    assert counter.asked == 1


def test_a_huge_picture_is_reduced_before_it_is_padded() -> None:
    huge = np.zeros((1333, 30_000, 3), dtype=np.uint8)
    detector = Scripted([], [Face((640, 640, 700, 690), 0.9)])
    (face,) = find_faces(huge, detector, NoLandmarks())  # type: ignore[arg-type]
    assert max(detector.shapes[1]) <= 2 * 1280
    left, top, right, bottom = face.box_xyxy
    assert (left, top) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert (right, bottom) == pytest.approx((60 * 30_000 / 1280, 50 * 1333 / 57), rel=1e-6)


class Marker:
    """Sees a white spot as a face of its size, and remembers the pictures' shapes.

    Its landmarks are given as if every face stood upright, and its score is high where the spot's red corner
    is at its top left.
    """

    sure, fair = 0.9, 0.6

    def __init__(self, longest: int = 640) -> None:
        self.longest = longest
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        self.shapes.append(image_rgb.shape)
        factor = max(1.0, max(image_rgb.shape[:2]) / self.longest)
        rows, columns = np.nonzero(image_rgb.max(axis=2) > 128)
        if not len(rows):
            return []
        box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        side = max(box[2] - box[0], box[3] - box[1])
        if side / factor < 20:  # as small as libfacedetection sees
            return []
        red = (image_rgb[..., 0] > 128) & (image_rgb[..., 1] < 100)
        y, x = (axis.mean() if len(axis) else 0.0 for axis in np.nonzero(red))
        upright = x < (box[0] + box[2]) / 2 and y < (box[1] + box[3]) / 2
        shape = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.4, 0.8], [0.6, 0.8]])
        points = (np.array(box[:2]) + shape * side).astype(np.float32)
        return [Face(tuple(map(float, box)), 0.95 if upright else 0.7, points)]  # type: ignore[arg-type]


def spotted(height: int, width: int, left: int, top: int, side: int) -> NDArray[np.uint8]:
    photo = np.zeros((height, width, 3), dtype=np.uint8)
    photo[top : top + side, left : left + side] = 255
    photo[top : top + side // 3, left : left + side // 3] = (255, 0, 0)
    return photo


@pytest.mark.parametrize(
    ("size_hw", "side"),
    [((1200, 1600), 40), ((3000, 4000), 100), ((2000, 12000), 200), ((3000, 4000), 40)],
    ids=["40 px in 1600x1200", "100 px in 4000x3000", "200 px in 12000x2000", "40 px in 4000x3000"],
)
@pytest.mark.parametrize("place", [0.02, 0.345, 0.5, 0.66, 0.97])
def test_small_faces_in_large_pictures(size_hw: tuple[int, int], side: int, place: float) -> None:
    height, width = size_hw
    left, top = round(place * (width - side)), round(place * (height - side))
    (face,) = find_faces(spotted(height, width, left, top, side), Marker(), NoLandmarks())  # type: ignore[arg-type]
    assert face.box_xyxy == pytest.approx((left, top, left + side, top + side), abs=2.5)


def test_beside_a_close_up_nobody_looks_closer() -> None:
    detector = Marker()
    find_faces(spotted(1200, 1600, 400, 300, 500), detector, NoLandmarks())  # type: ignore[arg-type]
    assert detector.shapes == [(1200, 1600, 3)]


@given(st.integers(1, 6000))
def test_tiles_cover_everything(length: int) -> None:
    starts, size = pipeline._cuts(length)
    assert size <= pipeline.TILE
    assert starts[0] == 0
    assert starts[-1] + size == length
    steps = np.diff(starts)
    assert (steps <= size - pipeline.TILE_OVERLAP).all()


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_face_in_every_turn(quarters: int) -> None:
    """The landmarks come from the turn in which the detector is surest; left and right are the face's own."""
    upright = spotted(300, 400, 150, 100, 60)
    photo = np.ascontiguousarray(np.rot90(upright, -quarters))  # clockwise: the eyes' line tilts by as much
    (face,) = find_faces(photo, Marker(), NoLandmarks())  # type: ignore[arg-type]
    assert face.landmarks is not None
    assert quarters_of(tilt_of(face.landmarks)) == quarters
    rows, columns = np.nonzero(photo.max(axis=2) > 128)
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    assert face.box_xyxy == pytest.approx(box, abs=1.5)


def test_a_face_that_may_stand_on_its_head_has_no_landmarks() -> None:
    class Undecided(Marker):
        def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
            return [replace(face, score=0.7) for face in super().detect(image_rgb)]

    counter = NoLandmarks()
    (face,) = find_faces(spotted(300, 400, 150, 100, 60), Undecided(), counter)  # type: ignore[arg-type]
    assert face.landmarks is None
    assert counter.asked == 0


def test_a_sure_face_costs_one_look() -> None:
    detector = Marker()
    find_faces(spotted(300, 400, 150, 100, 60), detector, NoLandmarks())  # type: ignore[arg-type]
    assert len(detector.shapes) == 1


def test_a_part_of_a_face_is_no_second_one() -> None:
    (face,) = find([square(10, 10, 80), square(15, 20, 30, 0.8)])
    assert face.box_xyxy == (10, 10, 90, 90)
