"""What the chain does with a detector's answer, shown with detectors made up for it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fer_space.detectors.pipeline import MAX_FACES, find_faces
from fer_space.types import Face

PHOTO = np.zeros((100, 200, 3), dtype=np.uint8)


class Scripted:
    """Answers with the given lists, one call after the other, and remembers the pictures' shapes."""

    def __init__(self, *answers: list[Face]) -> None:
        self.answers = list(answers)
        self.shapes: list[tuple[int, ...]] = []

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        self.shapes.append(image_rgb.shape)
        return self.answers.pop(0)


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
    assert (left, top) == (0.0, 0.0)
    assert (right, bottom) == pytest.approx((60 * 30_000 / 1280, 50 * 1333 / 57), rel=1e-6)
