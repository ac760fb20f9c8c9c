"""dlib's 68 landmarks (Kazemi & Sullivan 2014) for faces that a detector has found.

The predictor file comes inside the package `face_recognition_models`. Its training set (iBUG 300-W)
excludes commercial use.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from math import cos, radians, sin, sqrt
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import MissingDependencyError
from fer_space.types import Face
from fer_space.vision.alignment import eyes_and_mouth, invert, quarters_of, tilt_of
from fer_space.vision.imaging import warp

UPRIGHT_DEGREES = 8.0  # a face that tilts more is turned upright and fitted again
MAX_FITS = 4
FOLLOWED_GROWTH = (0.75, 1.33)  # of a face from one frame to the next; more is no face any more

_PATCH = 288  # side of the neighbourhood handed to dlib, and in it the side of the face's square
_PATCH_BOX = 160


@dataclass(frozen=True)
class _Square:
    """A face's square in the photo: its centre is `shift` below `pivot` along the face's own axis."""

    pivot: tuple[float, float]
    shift: float
    side: float

    def to_patch(self, tilt: float) -> NDArray[np.float64]:
        """Return the (2, 3) transform that sets the square, tilted by `tilt` degrees, upright in a patch."""
        scale = _PATCH_BOX / self.side
        cosine, sine = scale * cos(radians(tilt)), scale * sin(radians(tilt))
        linear = np.array([[cosine, sine], [-sine, cosine]])
        middle = (_PATCH - 1) / 2.0
        offset = np.array([middle, middle - self.shift * scale]) - linear @ np.array(self.pivot)
        return np.column_stack([linear, offset])


class Landmarker:
    """Fits 68 landmarks. One instance serves all threads; the model (96 MB) is loaded at the first fit."""

    def __init__(self) -> None:
        self._lock = Lock()

    def fit(self, image_rgb: NDArray[np.uint8], face: Face) -> Face:
        """Return `face` with landmarks float32 (68, 2), or as it came where the fit is implausible.

        The neighbourhood of the box is cut out at one size, whatever the face's (edge pixels repeat beyond
        the picture), and turned upright until the eyes are level, since the predictor knows upright faces
        only.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            face: any face of that picture.

        Raises:
            MissingDependencyError: the package with the predictor is not installed.
        """
        tilt = 0.0 if face.landmarks is None else tilt_of(face.landmarks)
        square = _square(face, tilt)
        for _ in range(MAX_FITS):
            points, residual = self._fit_tilted(image_rgb, square, tilt)
            if abs(residual) <= UPRIGHT_DEGREES:
                break
            tilt += residual
        return replace(face, landmarks=points) if _plausible(points, face) else face

    def follow(self, image_rgb: NDArray[np.uint8], face: Face) -> Face | None:
        """Find a face of the frame before in the next one: fit its landmarks again, from where they were.

        A fit takes a seventh of the time of a detection. The box moves and grows with the landmarks.

        Args:
            image_rgb: uint8 (H, W, 3) RGB, the next frame.
            face: a face of the frame before, with 68 landmarks.

        Returns:
            The face where it is now; None where it has no 68 landmarks, or the fit is implausible.
        """
        fitted = self.fit(image_rgb, face)
        if face.landmarks is None or fitted.all_68 is None or fitted is face:
            return None
        old, new = eyes_and_mouth(face.landmarks), eyes_and_mouth(fitted.all_68)
        grown = float(np.ptp(new, axis=0).sum() / np.ptp(old, axis=0).sum())
        if not FOLLOWED_GROWTH[0] <= grown <= FOLLOWED_GROWTH[1]:
            return None
        box = (np.array(face.box_xyxy).reshape(2, 2) - old.mean(0)) * grown + new.mean(0)
        left, top, right, bottom = box.reshape(-1).tolist()
        return replace(fitted, box_xyxy=(left, top, right, bottom))

    def _fit_tilted(
        self, image_rgb: NDArray[np.uint8], square: _Square, tilt: float
    ) -> tuple[NDArray[np.float32], float]:
        """Fit in a patch turned back by `tilt` degrees.

        Returns:
            float32 (68, 2) in the photo, and the tilt in degrees that is left in the patch.
        """
        import dlib  # training and tests on face crops do without it

        to_patch = square.to_patch(tilt)
        start = (_PATCH - _PATCH_BOX) // 2
        box = dlib.rectangle(start, start, start + _PATCH_BOX - 1, start + _PATCH_BOX - 1)
        shape = self._predictor(warp(image_rgb, to_patch, _PATCH), box)
        points = np.array([(part.x, part.y) for part in shape.parts()], dtype=np.float64)
        back = invert(to_patch)
        return (points @ back[:, :2].T + back[:, 2]).astype(np.float32), tilt_of(points)

    def load(self) -> None:
        """Load the model now instead of at the first fit."""
        self._predictor  # noqa: B018

    @property
    def _predictor(self) -> Any:
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Any:
        import dlib

        spec = find_spec("face_recognition_models")
        if spec is None or not spec.submodule_search_locations:
            raise MissingDependencyError("The landmarks are not here: pip install face-recognition-models.")
        models = Path(spec.submodule_search_locations[0]) / "models"
        return dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))


def _square(face: Face, tilt: float) -> _Square:
    """Return the square from brow to chin that dlib trained on, of the box's area and with its bottom.

    dlib's own boxes are such squares already; those of network detectors are taller, with the forehead.
    """
    left, top, right, bottom = face.box_xyxy
    across, along = right - left, bottom - top
    if quarters_of(tilt) % 2:
        across, along = along, across  # the face lies on its side
    side = sqrt(across * along)
    return _Square(pivot=((left + right) / 2.0, (top + bottom) / 2.0), shift=(along - side) / 2.0, side=side)


def _plausible(points: NDArray[np.float32], face: Face) -> bool:
    """Whether eyes and mouth form a face of about the box's size, inside the box."""
    left, top, right, bottom = face.box_xyxy
    side = max(right - left, bottom - top)
    left_eye, right_eye, mouth = eyes_and_mouth(points)
    middle = points.mean(axis=0)
    eyes_apart = float(np.hypot(*(right_eye - left_eye)))
    eyes_to_mouth = float(np.hypot(*(mouth - (left_eye + right_eye) / 2.0)))
    return bool(
        left < middle[0] < right
        and top < middle[1] < bottom
        and 0.15 * side < eyes_apart < 0.8 * side
        and 0.15 * side < eyes_to_mouth < 0.8 * side
    )
