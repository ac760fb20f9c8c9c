"""dlib's frontal face detector: HOG features and linear SVMs (Dalal & Triggs 2005; King 2015).

It knows frontal, upright faces of 80 px and larger, hence the enlarging of small pictures.
"""

from math import exp
from threading import Lock

import dlib
import numpy as np
from numpy.typing import NDArray

from fer_space.types import Face
from fer_space.vision.imaging import resize

WORKING_SIDE = 640
MAX_GROWTH = 2.0


class DlibHog:
    """Detector with boxes alone: squares from brow to chin."""

    sure = 0.0  # it sees upright faces only
    fair = 0.7

    def __init__(self) -> None:
        self._detector = dlib.get_frontal_face_detector()
        self._lock = Lock()

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Return the faces of uint8 (H, W, 3) RGB; scores are the SVM's margin through a logistic.

        The longer side is brought to WORKING_SIDE (but grows MAX_GROWTH times at most), so that faces of an
        eighth of it are found; where there is none, it looks once more at twice that size.
        """
        factor = min(MAX_GROWTH, WORKING_SIDE / max(image_rgb.shape[:2]))
        return self._detect_at(image_rgb, factor) or self._detect_at(image_rgb, 2.0 * factor)

    def _detect_at(self, image_rgb: NDArray[np.uint8], factor: float) -> list[Face]:
        height, width = image_rgb.shape[:2]
        size_hw = max(1, round(height * factor)), max(1, round(width * factor))
        with self._lock:  # the detector keeps its feature pyramid between calls
            boxes, margins, _ = self._detector.run(resize(image_rgb, size_hw), 0, 0.0)
        scale = width / size_hw[1], height / size_hw[0]
        return [_to_face(box, margin, scale) for box, margin in zip(boxes, margins, strict=True)]


def _to_face(box: dlib.rectangle, margin: float, scale: tuple[float, float]) -> Face:
    """Read one result; `scale` holds the factors (x, y) back to the original picture."""
    scale_x, scale_y = scale
    right, bottom = box.right() + 1, box.bottom() + 1  # dlib's rectangles include their last pixel
    return Face(
        box_xyxy=(box.left() * scale_x, box.top() * scale_y, right * scale_x, bottom * scale_y),
        score=1.0 / (1.0 + exp(-margin)),
    )
