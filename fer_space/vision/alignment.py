"""From a face in a photo to the upright square that a backbone reads, and back.

A similarity transform (rotation, one scale, shift) brings eyes and mouth onto a template measured on the
faces that the backbones learn from, so that a photo's crop is framed like a training face. Without
landmarks the crop is a square around the box. A `CropRule` is part of each backbone's card.
"""

from collections.abc import Iterable
from math import atan2, degrees
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from fer_space.types import Face, FaceCrop
from fer_space.vision.imaging import scaling, warp

# Left eye, right eye, mouth: medians over 2,984 FERPlus training faces, left and right averaged, in parts of
# the picture's side. benchmarks/measure_template.py measures them, and the two box defaults of `CropRule` as
# medians over 1,282 DiffusionFER faces found by libfacedetection.
TEMPLATE = np.array([[0.316, 0.393], [0.684, 0.393], [0.5, 0.772]])
CROP_SIZE = 224  # pixels, side of a crop, unless a network reads larger ones


Scale = Annotated[float, Field(gt=0.0, le=100.0)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class CropRule:
    """How much of a face is cut out. The defaults give the framing of FERPlus.

    Attributes:
        align: turn and scale by the landmarks where there are any; else every crop is cut by its box.
        scale: side of an aligned crop in units of the FERPlus framing; 1.1 shows 10 % more.
        shift_y: how far down an aligned crop is moved, in parts of its side.
        box_scale: side of a crop by box, in units of the mean of the box's sides.
        box_shift_y: how far down a crop by box is moved, in parts of its side.
    """

    align: bool = True
    scale: Scale = 1.0
    shift_y: float = 0.0
    box_scale: Scale = 1.12
    box_shift_y: float = 0.0


def crop_face(image_rgb: NDArray[np.uint8], face: Face, rule: CropRule, size: int = CROP_SIZE) -> FaceCrop:
    """Cut one face out of a photo, upright where its landmarks are known.

    A crop by the box is turned by quarters alone, so that no face stands on its head.

    Args:
        image_rgb: uint8 (H, W, 3) RGB, the photo.
        face: a face of that photo.
        rule: the framing.
        size: side of the crop in pixels.
    """
    photo_to_crop = crop_transform(face, rule, size)
    return FaceCrop(warp(image_rgb, photo_to_crop, size), photo_to_crop)


def crop_transform(face: Face, rule: CropRule, size: int = CROP_SIZE) -> NDArray[np.float64]:
    """Return the (2, 3) transform from a photo to the crop of `crop_face`, float64."""
    if rule.align and face.landmarks is not None and _spread(face.landmarks) > 0.0:
        return _by_landmarks(face.landmarks, rule, size)
    quarters = 0 if face.landmarks is None else quarters_of(tilt_of(face.landmarks))
    return _by_box(face.box_xyxy, rule, size, quarters)


def eyes_and_mouth(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return float64 (3, 2): left eye, right eye and the middle between the mouth's corners.

    The corners alone would widen with a smile, and the nose moves sideways when a head turns: on FERPlus
    these three points place the crop with the least sideways spread.

    Args:
        landmarks: float (68, 2) in iBUG order, or (5, 2) as in `Face`.
    """
    points = landmarks.astype(np.float64)
    if len(points) == 68:
        return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[[48, 54]].mean(0)])
    return np.stack([points[0], points[1], points[3:5].mean(0)])


def tilt_of(landmarks: NDArray[np.floating[Any]]) -> float:
    """Return by how many degrees the eye line falls from left to right, in (-180, 180].

    Args:
        landmarks: float (68, 2) in iBUG order, or (5, 2) as in `Face`.
    """
    left_eye, right_eye, _ = eyes_and_mouth(landmarks)
    return degrees(atan2(right_eye[1] - left_eye[1], right_eye[0] - left_eye[0]))


def quarters_of(tilt: float) -> int:
    """Return the quarter turns nearest to a tilt in degrees: 0 upright, 2 on its head, 1 and 3 on a side."""
    return round(tilt / 90.0) % 4


def landmarks_in_crop(face: Face, crop: FaceCrop) -> NDArray[np.float64] | None:
    """The 68 landmarks of a face in pixels of its crop, float64 (68, 2); None where it has no 68."""
    return landmarks_through(face, crop.photo_to_crop)


def landmarks_through(face: Face, transform: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The 68 landmarks of a face through a (2, 3) transform, float64 (68, 2); None where it has no 68."""
    if face.all_68 is None:
        return None
    return np.asarray(face.all_68 @ transform[:, :2].T + transform[:, 2])


def invert(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a (2, 3) transform, float64 (2, 3)."""
    return np.asarray(cv2.invertAffineTransform(transform), dtype=np.float64)


def map_to_photo(
    heatmap: NDArray[np.float32], crop: FaceCrop, size_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Draw a map over a crop onto the photo that the crop was cut from.

    Args:
        heatmap: float32 (h, w) in [0, 1], covering the whole crop.
        crop: the crop.
        size_hw: height and width of the photo.

    Returns:
        float32 (H, W) in [0, 1], 0 outside the crop.
    """
    height, width = size_hw
    side = crop.image_rgb.shape[0]
    crop_to_heat = scaling(heatmap.shape[1] / side, heatmap.shape[0] / side)
    photo_to_heat = crop_to_heat[:2, :2] @ crop.photo_to_crop
    photo_to_heat[:, 2] += crop_to_heat[:2, 2]
    drawn = cv2.warpAffine(
        heatmap,
        invert(photo_to_heat),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    whole = np.ones((side, side), dtype=np.uint8)
    inside = cv2.warpAffine(whole, invert(crop.photo_to_crop), (width, height), flags=cv2.INTER_NEAREST)
    return np.asarray(np.clip(drawn, 0.0, 1.0) * inside, dtype=np.float32)


def maps_to_photo(
    maps: Iterable[tuple[NDArray[np.float32], FaceCrop]], size_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Draw the maps of several crops onto one photo like `map_to_photo`; where they meet, the hotter wins."""
    heat = np.zeros(size_hw, dtype=np.float32)
    for heatmap, crop in maps:
        np.maximum(heat, map_to_photo(heatmap, crop, size_hw), out=heat)
    return heat


def _by_landmarks(landmarks: NDArray[np.float32], rule: CropRule, size: int) -> NDArray[np.float64]:
    middle = np.array([0.5, 0.5])
    unit = (TEMPLATE - middle) / rule.scale + middle - np.array([0.0, rule.shift_y])
    return _similarity(eyes_and_mouth(landmarks), unit * size - 0.5)


def _by_box(
    box_xyxy: tuple[float, float, float, float], rule: CropRule, size: int, quarters: int
) -> NDArray[np.float64]:
    """Return the (2, 3) transform to a square around a box; `quarters` as in `quarters_of`."""
    left, top, right, bottom = box_xyxy
    side = rule.box_scale * (right - left + bottom - top) / 2.0
    cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[quarters]
    # "Down" is the face's own direction: (-sine, cosine) in the photo.
    corner_x = (left + right - side) / 2.0 - rule.box_shift_y * side * sine
    corner_y = (top + bottom - side) / 2.0 + rule.box_shift_y * side * cosine
    scale = size / side
    # A box's edges lie between pixels: 0 is the outer edge of pixel 0, whose centre is index 0.
    shift = (scale - 1.0) / 2.0
    level = np.array([[scale, 0.0, shift - corner_x * scale], [0.0, scale, shift - corner_y * scale]])
    turn = np.array([[cosine, sine], [-sine, cosine]])
    middle = np.full(2, (size - 1) / 2.0)  # of the crop, about which it turns
    return (
        np.column_stack([turn @ level[:, :2], turn @ (level[:, 2] - middle) + middle]) if quarters else level
    )


def _spread(points: NDArray[np.float32]) -> float:
    """Return how far apart eyes and mouth are; 0 where they are one point and no transform exists."""
    return float(eyes_and_mouth(points).std(axis=0).sum())


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) similarity without reflection that brings (N, 2) points closest to others.

    Least squares. Umeyama 1991, "Least-squares estimation of transformation parameters between two point
    patterns"; in the plane the rotation and scale are one complex factor, which saves the SVD.
    """
    from_points, to_points = source - source.mean(0), target - target.mean(0)
    origin, goal = from_points @ np.array([1.0, 1.0j]), to_points @ np.array([1.0, 1.0j])
    factor = np.vdot(origin, goal) / np.vdot(origin, origin).real
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, target.mean(0) - linear @ source.mean(0)])
