"""Detection from end to end: look, look again and closer, turn what lies aside, tidy up, fit landmarks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil, cos, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.specs import detector_spec
from fer_space.types import Face
from fer_space.vision.alignment import invert, quarters_of, tilt_of
from fer_space.vision.imaging import pad, resize, scaling, shrink, warp

Image = NDArray[np.uint8]

MAX_FACES = 32
MOST = 1000  # faces that are compared with each other, the surest: a mosaic of tiny ones may have many more
MIN_FACE_SIDE = 8.0  # pixels; below it there is nothing to read
MAX_OVERLAP = 0.5  # intersection over union above which two boxes are one face
MAX_INSIDE = 0.75  # share of the smaller box inside the larger one, the same
# Of the longer side, added on each side when nothing was found. On 161 DiffusionFER pictures this takes dlib
# from 90 % found to 96 %; libfacedetection finds them all at the first look.
RETRY_SIDE = 1280  # pixels; a larger picture is reduced to it before it is padded
RETRY_PAD = 0.5

CLOSER_PIXELS = 1280 * 960  # of the picture that is looked at in tiles
CLOSEST_PIXELS = 2560 * 1920  # the same where no face was found before
FIRST_LOOK = 800  # pixels; the first look at a picture whose longer side is no larger shows enough
TILE = 560  # pixels, at most
TILE_OVERLAP = 96  # a face on a border lies whole in one tile; larger ones are found at the first look
CLOSE_UP = 0.25  # of the shorter side: beside a face that large, small ones are not looked for

TURN_PATCH = 224  # pixels, side of the square in which a doubtful face is looked at in four turns
TURN_BOX = 0.5  # of that square, the longer side of the face's box
TURN_MARGIN = 0.02  # by how much the best turn must lead those that stand the other way up
LEVEL = 30.0  # degrees; a face that tilts less has good landmarks as it is


def finder(name: str) -> Callable[[Image], list[Face]]:
    """Load a detector by its name, for programs without an engine; what it gives is called with a picture.

    Raises:
        UnknownNameError: there is no such detector.
        MissingDependencyError: the detector is opt-in and not installed.
    """
    detector, landmarker = detector_spec(name).build(), Landmarker()
    return lambda image_rgb: find_faces(image_rgb, detector, landmarker)


def find_faces(
    image_rgb: Image,
    detector: Detector,
    landmarker: Landmarker,
    limit: int = MAX_FACES,
    side: int | None = None,
) -> list[Face]:
    """Find the faces of a photo and fit 68 landmarks to each.

    Where the detector sees nothing, it looks at the picture with a border added (a face that fills the frame
    is often found only then), and at the picture turned. Where it sees no close-up, it looks closer, tile by
    tile. A face of which it is not sure is looked at in four turns, and the surest counts.

    Args:
        image_rgb: uint8 (H, W, 3) RGB.
        detector: any detector.
        landmarker: fits the landmarks of faces that came without 68 of them.
        limit: how many faces are kept.
        side: pixels to which the longer side is reduced before the detector looks, once; landmarks are
            fitted in the whole picture all the same. None looks at the picture as it is.

    Returns:
        At most `limit` faces, the largest first; none is a normal answer. A face that may as well stand on
        its head has no landmarks, so that it is cut out by its box.
    """
    if side is not None:
        seen = _tidy(_detect_small(image_rgb, detector, side), *image_rgb.shape[:2])[:limit]
        return [_with_68(image_rgb, face, landmarker) for face in seen]
    height, width = image_rgb.shape[:2]
    found = detector.detect(image_rgb) or _detect_padded(image_rgb, detector)
    found = found or _detect_turned(image_rgb, detector)
    if all(_side(face) < CLOSE_UP * min(height, width) for face in found):
        found = found + _detect_closer(image_rgb, detector, CLOSER_PIXELS)
    found = found or _detect_closer(image_rgb, detector, CLOSEST_PIXELS)
    faces = [_surest_turn(image_rgb, face, detector) for face in _tidy(found, height, width)[:limit]]
    return [face if is_open else _with_68(image_rgb, face, landmarker) for face, is_open in faces]


def _with_68(image_rgb: Image, face: Face, landmarker: Landmarker) -> Face:
    return face if face.all_68 is not None else landmarker.fit(image_rgb, face)


def _detect_small(image_rgb: Image, detector: Detector, side: int) -> list[Face]:
    """Detect in the picture reduced to `side`: for frames of a video, of which the next one comes at once."""
    small = shrink(image_rgb, side)
    return [_through(face, _growth(small, image_rgb)) for face in detector.detect(small)]


def _detect_padded(image_rgb: Image, detector: Detector) -> list[Face]:
    """Detect in the picture with a border; it is reduced first, so that a border costs little memory."""
    small = shrink(image_rgb, RETRY_SIDE)
    margin = max(1, round(RETRY_PAD * max(small.shape[:2])))
    back = _growth(small, image_rgb) @ _shift(-margin, -margin)
    return [_through(face, back) for face in detector.detect(pad(small, margin))]


def _detect_turned(image_rgb: Image, detector: Detector) -> list[Face]:
    """Detect in the picture turned by 90, 180 and 270 degrees; the turn with the surest face counts."""
    small = shrink(image_rgb, RETRY_SIDE)
    turns = (_detect_in_turn(small, detector, quarters) for quarters in (1, 2, 3))
    surest = max(turns, key=lambda faces: max(map(_score, faces), default=0.0))
    return [_through(face, _growth(small, image_rgb)) for face in surest if face.score >= detector.fair]


def _detect_closer(image_rgb: Image, detector: Detector, pixels: int) -> list[Face]:
    """Detect in tiles of the picture, reduced to so many pixels where it has more."""
    height, width = image_rgb.shape[:2]
    factor = min(1.0, sqrt(pixels / (height * width)))
    if max(height, width) * factor <= FIRST_LOOK:
        return []
    small = resize(image_rgb, (max(1, round(height * factor)), max(1, round(width * factor))))
    back = _growth(small, image_rgb)
    return [
        _through(face, back @ _shift(left, top))
        for left, top, tile in _tiles(small)
        for face in detector.detect(tile)
        if face.score >= detector.fair
    ]


def _tiles(image_rgb: Image) -> Iterator[tuple[int, int, Image]]:
    """Cut a picture into equal tiles of at most TILE pixels a side, as (left, top, tile)."""
    (tops, height), (lefts, width) = (_cuts(length) for length in image_rgb.shape[:2])
    for top in tops:
        for left in lefts:
            yield left, top, np.ascontiguousarray(image_rgb[top : top + height, left : left + width])


def _cuts(length: int) -> tuple[list[int], int]:
    """Where the tiles along one side begin, and how long they are."""
    count = max(1, ceil((length - TILE_OVERLAP) / (TILE - TILE_OVERLAP)))
    size = ceil((length + (count - 1) * TILE_OVERLAP) / count)
    return [min(number * (size - TILE_OVERLAP), length - size) for number in range(count)], size


def _surest_turn(image_rgb: Image, face: Face, detector: Detector) -> tuple[Face, bool]:
    """Look at a face in four turns where the detector is not sure of it, and take the surest.

    Detectors see a face on its side or head, too, but less surely, and place its landmarks as if it stood
    upright: a smile would be read as its opposite. The surest turn and the one upside down to it are levelled
    by their eyes and looked at once more, since a face that really stands upright then scores highest.

    Returns:
        The face, and whether it stays open which way up it is: then it has no landmarks.
    """
    if face.score >= detector.sure:
        return face, False
    first = _look_at(image_rgb, face, detector, 0.0)
    if first is not None and first.score >= detector.sure:
        return face, False
    turns = [first, *(_look_at(image_rgb, face, detector, tilt) for tilt in (90.0, 180.0, 270.0))]
    surest = max(range(4), key=lambda quarters: _score(turns[quarters]))
    seen = [one for one in (turns[surest], turns[(surest + 2) % 4]) if one is not None]
    seen += [
        one for tilt in map(_tilt, seen) if (one := _look_at(image_rgb, face, detector, tilt)) is not None
    ]
    if not seen:
        return face, False
    best = max(seen, key=_score)
    against = [one for one in seen if abs(_difference(_tilt(one), _tilt(best))) > 90.0]
    if max(map(_score, against), default=0.0) > best.score - TURN_MARGIN:
        return replace(face, landmarks=None), True
    return face if abs(_difference(_tilt(best), 0.0)) <= LEVEL else best, False


def _look_at(image_rgb: Image, face: Face, detector: Detector, tilt: float) -> Face | None:
    """Detect in a square cut out around a face, as if the face were tilted by so many degrees."""
    left, top, right, bottom = face.box_xyxy
    scale = TURN_BOX * TURN_PATCH / _side(face)
    cosine, sine = scale * cos(radians(tilt)), scale * sin(radians(tilt))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([left + right, top + bottom]) / 2.0 - 0.5  # edges lie half a pixel before indices
    to_patch = np.column_stack([linear, (TURN_PATCH - 1) / 2.0 - linear @ middle])
    found = [one for one in detector.detect(warp(image_rgb, to_patch, TURN_PATCH)) if _is_central(one)]
    if not found:
        return None
    one, back = max(found, key=lambda one: one.score), invert(to_patch)
    left, top, right, bottom = one.box_xyxy
    centre = _apply(back, np.array([left + right, top + bottom]) / 2.0 - 0.5) + 0.5
    half = np.array([right - left, bottom - top]) / 2.0 / scale
    if quarters_of(tilt) % 2:
        half = half[::-1]  # it lies on its side
    (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
    points = None if one.landmarks is None else _apply(back, one.landmarks).astype(np.float32)
    return replace(one, box_xyxy=(left, top, right, bottom), landmarks=points)


def _is_central(face: Face) -> bool:
    """Whether what was found in the square around a face is that face: over its middle, of about its size."""
    left, top, right, bottom = face.box_xyxy
    middle, side = TURN_PATCH / 2.0, _side(face) / (TURN_BOX * TURN_PATCH)
    return left < middle < right and top < middle < bottom and 0.6 < side < 1.7


def _tilt(face: Face) -> float:
    return 0.0 if face.landmarks is None else tilt_of(face.landmarks)


def _score(face: Face | None) -> float:
    return 0.0 if face is None else face.score


def _difference(one: float, other: float) -> float:
    """Return the difference of two directions in degrees, in [-180, 180)."""
    return (one - other + 180.0) % 360.0 - 180.0


def _detect_in_turn(image_rgb: Image, detector: Detector, quarters: int) -> list[Face]:
    """Detect in a picture turned by quarters against the clock; the faces are in its own pixels again."""
    if quarters == 0:
        return detector.detect(image_rgb)
    height, width = image_rgb.shape[:2]
    # From pixels of the turned picture back: np.rot90 puts (x, y) at (y, width - 1 - x), and so on.
    back = {
        1: np.array([[0.0, -1.0, width - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        2: np.array([[-1.0, 0.0, width - 1.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]]),
        3: np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, height - 1.0], [0.0, 0.0, 1.0]]),
    }[quarters]
    turned = np.ascontiguousarray(np.rot90(image_rgb, quarters))
    return [_through(face, back) for face in detector.detect(turned)]


def _growth(small: Image, image_rgb: Image) -> NDArray[np.float64]:
    """Return the (3, 3) transform from a reduced picture to the picture."""
    return scaling(image_rgb.shape[1] / small.shape[1], image_rgb.shape[0] / small.shape[0])


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _through(face: Face, matrix: NDArray[np.float64]) -> Face:
    """Carry a face through a (3, 3) transform of pixel indices: scaling, shift and quarter turns."""
    corners = np.reshape(face.box_xyxy, (2, 2)) - 0.5  # edges of the box, as pixel indices
    (left, top), (right, bottom) = _apply(matrix, corners).tolist()
    box = min(left, right) + 0.5, min(top, bottom) + 0.5, max(left, right) + 0.5, max(top, bottom) + 0.5
    points = None if face.landmarks is None else _apply(matrix, face.landmarks).astype(np.float32)
    return replace(face, box_xyxy=box, landmarks=points)


def _apply(matrix: NDArray[np.float64], points: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(points @ matrix[:2, :2].T + matrix[:2, 2])


def _tidy(faces: list[Face], height: int, width: int) -> list[Face]:
    """Drop faces centred outside the picture, specks and duplicates, then sort by area."""
    kept: list[Face] = []
    sane = [face for face in faces if _is_sane(face, height, width)]
    for face in sorted(sane, key=lambda face: face.score, reverse=True)[:MOST]:
        if not any(_are_one(face, other) for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: face.area, reverse=True)


def _is_sane(face: Face, height: int, width: int) -> bool:
    left, top, right, bottom = face.box_xyxy
    inside = 0.0 <= (left + right) / 2.0 <= width and 0.0 <= (top + bottom) / 2.0 <= height
    return inside and min(right - left, bottom - top) >= MIN_FACE_SIDE


def _side(face: Face) -> float:
    """Return the longer side of a face's box."""
    left, top, right, bottom = face.box_xyxy
    return max(right - left, bottom - top)


def _are_one(one: Face, other: Face) -> bool:
    """Whether two boxes are of one face: they are about the same, or one is a part of the other."""
    width = min(one.box_xyxy[2], other.box_xyxy[2]) - max(one.box_xyxy[0], other.box_xyxy[0])
    height = min(one.box_xyxy[3], other.box_xyxy[3]) - max(one.box_xyxy[1], other.box_xyxy[1])
    shared = max(0.0, width) * max(0.0, height)
    return one.overlap(other) > MAX_OVERLAP or shared > MAX_INSIDE * min(one.area, other.area)
