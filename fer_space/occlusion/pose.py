"""Where a face is in a picture, how it is tilted and how large it is, read off its 68 landmarks.

Everything but the surgical mask is drawn in the face's own frame: its origin lies between the eyes, x runs
to the right as seen in the picture, y down the face, and 1 is the side of the square that FERPlus would
frame. There an upright face and a tilted one are the same; how far a head is turned shows in where the
landmarks lie.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.occlusion.average import AVERAGE

Landmarks = NDArray[np.floating[Any]]
Points = NDArray[np.float64]

_EYE_DISTANCE, _EYES_TO_MOUTH = 0.368, 0.382  # of the average face, in parts of the side
_SMALLEST = 1.0  # pixels: a face that is a single point still has a frame
_FARTHEST = 1e5  # pixels: no picture is as large, and float32 holds its powers
_HIDDEN = 0.4  # an ear is hidden where its cheek is narrower than this share of the other


@dataclass(frozen=True, eq=False)
class Pose:
    """A face that something is drawn on.

    Attributes:
        points: float64 (68, 2) in pixels of the picture, iBUG order.
        known: whether the landmarks are those of this face; False for an average one.
    """

    points: Points
    known: bool

    @classmethod
    def of(cls, landmarks: Landmarks | None, size_hw: tuple[int, int]) -> "Pose":
        """The pose of a face; None is an average training face that fills a picture of `size_hw`.

        Raises:
            ValueError: see `checked`.
        """
        if landmarks is None:
            return cls(AVERAGE * [size_hw[1], size_hw[0]] - 0.5, known=False)
        return cls(np.clip(checked(landmarks), -_FARTHEST, _FARTHEST), known=True)

    @cached_property
    def origin(self) -> Points:
        """The middle between the eyes, float64 (2,) in pixels."""
        return np.asarray((self._eyes[0] + self._eyes[1]) / 2.0)

    @cached_property
    def side(self) -> float:
        """Side in pixels of the square that FERPlus would frame, at least 1.

        The longer of two estimates: a turned head brings the eyes together, a nodding one eyes and mouth.
        """
        across, down = self._axes
        lengths = np.hypot(*across) / _EYE_DISTANCE, np.hypot(*down) / _EYES_TO_MOUTH
        return float(max(*lengths, _SMALLEST))

    @cached_property
    def turn(self) -> Points:
        """Rotation from the frame to the picture, float64 (2, 2): its columns are right and down.

        That which brings eyes and mouth of the average face closest to these (Procrustes), the eyes counting
        double: turning a head moves the mouth sideways against them.
        """
        across, down = self._axes
        right = 2.0 * across * _EYE_DISTANCE + np.array([down[1], -down[0]]) * _EYES_TO_MOUTH
        length = float(np.hypot(*right))
        right = right / length if length > 0.0 else np.array([1.0, 0.0])
        return np.array([[right[0], -right[1]], [right[1], right[0]]])

    @cached_property
    def local(self) -> Points:
        """The landmarks in the frame, float64 (68, 2)."""
        return np.asarray((self.points - self.origin) @ self.turn / self.side)

    @cached_property
    def ears(self) -> tuple[bool, ...]:
        """The ears that no cheek hides: True is the left one in the picture, False the right one."""
        left, right = self.local[36, 0] - self.local[0, 0], self.local[16, 0] - self.local[45, 0]
        seen = {True: left >= _HIDDEN * right, False: right >= _HIDDEN * left}
        return tuple(side for side in seen if seen[side])

    @cached_property
    def nose(self) -> float:
        """How far the nose's tip stands off the line between its root and its base, to the right, in sides.

        About 0 seen from the front; 0.06 turned by half.
        """
        root, tip, base = self.local[[27, 30, 33]]
        span = base[1] - root[1]
        along = np.clip((tip[1] - root[1]) / span, 0.0, 1.0) if abs(span) > 1e-6 else 0.5
        return float(np.clip(tip[0] - (root[0] + along * (base[0] - root[0])), -0.2, 0.2))

    def to_picture(self, points: Points) -> Points:
        """Points (N, 2) of the frame in pixels of the picture, float64 (N, 2)."""
        return np.asarray(points * self.side @ self.turn.T + self.origin)

    @cached_property
    def _eyes(self) -> tuple[Points, Points]:
        return np.asarray(self.points[36:42].mean(axis=0)), np.asarray(self.points[42:48].mean(axis=0))

    @cached_property
    def _axes(self) -> tuple[Points, Points]:
        """From the left eye to the right one, and from between them to the mouth's corners, in pixels."""
        left, right = self._eyes
        return right - left, np.asarray(self.points[[48, 54]].mean(axis=0) - self.origin)


def checked(landmarks: Landmarks) -> Points:
    """The landmarks as float64 (68, 2).

    Raises:
        ValueError: they have another shape or are not finite.
    """
    if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"an occlusion needs 68 finite landmarks, got {landmarks.shape}")
    return landmarks.astype(np.float64)
