"""What is measured on a face before anybody believes an answer: size, blur, light, pose, edges, a mask.

The limits of blur and light are the first percentile of FERPlus's validation faces at 48 px: beyond them a
face is unlike nearly all that the models learned from. Inside them neither moved the accuracy of the models
(`docs/results.md`), so nothing is said.
"""

from dataclasses import dataclass, replace
from math import atan, degrees

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.types import Face
from fer_space.vision import masked
from fer_space.vision.alignment import CropRule, crop_face, eyes_and_mouth

NATIVE = 48  # pixels a side of the faces that the models learned from
LEAST_SHARPNESS = 0.42
LEAST_BRIGHTNESS = 0.20
LEAST_CONTRAST = 0.10
LEAST_INSIDE = 0.85
LEAST_SCORE = 0.6
MOST_YAW = 35.0
NOSE_DEPTH = 0.4  # how far the nose stands before the eyes, in distances between the eyes
NOSE_TIP = {68: 30, 5: 2}  # its place among so many landmarks
MASKED = "probably behind a mask"


@dataclass(frozen=True)
class Quality:
    """What was measured on one face.

    Attributes:
        side: pixels of the photo along the shorter side of the face's box.
        sharpness: spread of the Laplacian over the spread of the gray levels, at 48 px; blur lowers it.
        brightness: mean gray level in [0, 1].
        contrast: standard deviation of the gray levels, 0 to .5.
        inside: share of the box that lies in the photo, in [0, 1].
        score: the detector's confidence in [0, 1].
        yaw: about how many degrees the head is turned to a side, by the nose against the eyes; None without
            landmarks.
        masked: how probable it is that a mask covers mouth and nose, in [0, 1].
    """

    side: float
    sharpness: float
    brightness: float
    contrast: float
    inside: float
    score: float
    yaw: float | None
    masked: float = 0.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is unlike the faces that models learned from, a few words each; () for a good face."""
        turned = self.yaw is not None and self.yaw > MOST_YAW
        found = (
            (self.side < NATIVE, f"only {self.side:.0f} pixels wide (models want {NATIVE})"),
            (self.sharpness < LEAST_SHARPNESS, "blurred"),
            (self.brightness < LEAST_BRIGHTNESS, "dark"),
            (self.contrast < LEAST_CONTRAST, "pale"),
            (self.inside < LEAST_INSIDE, "cut off by the edge of the picture"),
            (turned, f"turned away by about {10 * round((self.yaw or 0.0) / 10)} degrees"),
            (self.score < LEAST_SCORE, f"perhaps no face (the detector is {self.score:.0%} sure)"),
            (self.masked > 0.5, MASKED),
        )
        return tuple(words for holds, words in found if holds)


def quality_of(image_rgb: NDArray[np.uint8], face: Face) -> Quality:
    """Measure a face where it lies in its photo.

    Args:
        image_rgb: uint8 (H, W, 3) RGB, the photo.
        face: a face of that photo.

    Example:
        >>> from fer_space.vision.imaging import load_image
        >>> photo = load_image("examples/astronaut.jpg")
        >>> quality_of(photo, Face((180.0, 60.0, 270.0, 175.0), 0.99)).doubts
        ()
    """
    crop = crop_face(image_rgb, face, CropRule(), NATIVE).image_rgb
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0  # (48, 48)
    edges = cv2.Laplacian(gray, cv2.CV_32F, ksize=1)[2:-2, 2:-2]
    contrast = float(gray.std())
    left, top, right, bottom = face.box_xyxy
    height, width = image_rgb.shape[:2]
    seen = max(0.0, min(right, width) - max(left, 0.0)) * max(0.0, min(bottom, height) - max(top, 0.0))
    return Quality(
        side=min(right - left, bottom - top),
        sharpness=float(edges.std()) / (contrast + 0.02),
        brightness=float(gray.mean()),
        contrast=contrast,
        inside=seen / ((right - left) * (bottom - top)),
        score=face.score,
        yaw=None if face.landmarks is None else _yaw(face.landmarks),
        masked=masked.masked_probability(crop_face(image_rgb, face, CropRule(), masked.SIDE).image_rgb),
    )


def with_doubts(image_rgb: NDArray[np.uint8], face: Face) -> Face:
    """Return the face with its `doubts` measured; see `quality_of`."""
    return replace(face, doubts=quality_of(image_rgb, face).doubts)


def _yaw(landmarks: NDArray[np.float32]) -> float | None:
    """Degrees by which a head is turned: the nose moves against the eyes by its depth times the tangent."""
    left, right, _ = eyes_and_mouth(landmarks)
    across = right - left
    apart = float(np.linalg.norm(across))
    if apart == 0.0:
        return None
    nose = landmarks[NOSE_TIP[len(landmarks)]].astype(np.float64)
    aside = abs(float((nose - (left + right) / 2) @ across)) / apart**2
    return degrees(atan(aside / NOSE_DEPTH))
