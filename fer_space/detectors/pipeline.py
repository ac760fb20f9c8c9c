"""Detection from end to end: look, look again where nothing was found, tidy up, fit landmarks."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.types import Face
from fer_space.vision.imaging import pad, resize, shrink

MAX_FACES = 32
MIN_FACE_SIDE = 8.0  # pixels; below it there is nothing to read
MAX_OVERLAP = 0.5  # intersection over union above which two boxes are one face
# Of the longer side, added on each side when nothing was found. On 161 DiffusionFER pictures this takes dlib
# from 90 % found to 96 %; libfacedetection finds them all at the first look.
RETRY_SIDE = 1280  # pixels; a larger picture is reduced to it before it is padded
RETRY_PAD = 0.5


def find_faces(
    image_rgb: NDArray[np.uint8],
    detector: Detector,
    landmarker: Landmarker,
    limit: int = MAX_FACES,
    side: int | None = None,
) -> list[Face]:
    """Find the faces of a photo and fit 68 landmarks to each.

    Where the detector sees nothing, it looks again at the picture with a border added: a face that fills
    the frame is often found only then.

    Args:
        image_rgb: uint8 (H, W, 3) RGB.
        detector: any detector.
        landmarker: fits the landmarks of faces that came without 68 of them.
        limit: how many faces are kept.
        side: pixels to which the longer side is reduced before the detector looks, once; landmarks are
            fitted in the whole picture all the same. None looks at the picture as it is.

    Returns:
        At most `limit` faces, the largest first; none is a normal answer.
    """
    if side is None:
        found = detector.detect(image_rgb) or _detect_padded(image_rgb, detector)
    else:
        found = _detect_small(image_rgb, detector, side)
    faces = _tidy(found, image_rgb.shape[0], image_rgb.shape[1])[:limit]
    return [_with_68(image_rgb, face, landmarker) for face in faces]


def _detect_padded(image_rgb: NDArray[np.uint8], detector: Detector) -> list[Face]:
    """Detect in the picture with a border; it is reduced first, so that a border costs little memory."""
    height, width = image_rgb.shape[:2]
    shrink = min(1.0, RETRY_SIDE / max(height, width))
    size_hw = max(1, round(height * shrink)), max(1, round(width * shrink))
    margin = max(1, round(RETRY_PAD * max(size_hw)))
    factors = np.array([width / size_hw[1], height / size_hw[0]])
    found = detector.detect(pad(resize(image_rgb, size_hw), margin))
    return [_moved(face, -margin, factors) for face in found]


def _detect_small(image_rgb: NDArray[np.uint8], detector: Detector, side: int) -> list[Face]:
    """Detect in the picture reduced to `side`: for frames of a video, of which the next one comes at once."""
    small = shrink(image_rgb, side)
    factors = np.array([image_rgb.shape[1] / small.shape[1], image_rgb.shape[0] / small.shape[0]])
    return [_moved(face, 0, factors) for face in detector.detect(small)]


def _moved(face: Face, by: float, factors: NDArray[np.float64]) -> Face:
    """Shift a face by `by` pixels in both directions, then scale it by `factors` (x, y)."""
    left, top, right, bottom = ((np.array(face.box_xyxy) + by) * np.tile(factors, 2)).tolist()
    landmarks = None if face.landmarks is None else ((face.landmarks + by) * factors).astype(np.float32)
    return replace(face, box_xyxy=(left, top, right, bottom), landmarks=landmarks)


def _tidy(faces: list[Face], height: int, width: int) -> list[Face]:
    """Drop faces centred outside the picture, specks and duplicates; sort by area."""
    kept: list[Face] = []
    sane = [face for face in faces if _is_sane(face, height, width)]
    for face in sorted(sane, key=lambda face: face.score, reverse=True):
        if all(face.overlap(other) <= MAX_OVERLAP for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: face.area, reverse=True)


def _is_sane(face: Face, height: int, width: int) -> bool:
    left, top, right, bottom = face.box_xyxy
    inside = 0.0 <= (left + right) / 2.0 <= width and 0.0 <= (top + bottom) / 2.0 <= height
    return inside and min(right - left, bottom - top) >= MIN_FACE_SIDE


def _with_68(image_rgb: NDArray[np.uint8], face: Face, landmarker: Landmarker) -> Face:
    return face if face.all_68 is not None else landmarker.fit(image_rgb, face)
