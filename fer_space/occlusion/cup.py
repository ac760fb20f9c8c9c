"""The shape of a mask that stands off the face: two halves that meet in a seam from the nose to the chin."""

from dataclasses import dataclass

import numpy as np

from fer_space.occlusion.curves import lerp, through
from fer_space.occlusion.layers import Plane
from fer_space.occlusion.pose import Points, Pose

_TURNED = 0.05  # `Pose.nose` from which on the seam hides the far side of nose and lips
_STEPS = np.linspace(0.0, 1.0, 17)[:, None]


@dataclass(frozen=True, eq=False)
class Cup:
    """A cup in the face's frame.

    Attributes:
        seam: float64 (N, 2), from the nose bridge to the chin.
        rims: of the left and the right half, float64 (N, 2) each, from the nose bridge past the cheek and
            below the jaw to the chin.
    """

    seam: Points
    rims: tuple[Points, Points]

    @classmethod
    def on(cls, pose: Pose, bridge: float, slack: float, drop: float, corner: float, bell: float) -> "Cup":
        """A cup that fits a face.

        Args:
            pose: of the face.
            bridge: where its top lies, from landmark 27 (0) to landmark 29 (1).
            slack: by how much the jaw line is moved out from the nose's tip.
            drop: how far below the chin it reaches, in sides.
            corner: where its upper corners lie, from jaw landmark 2 or 14 (0) to 3 or 13 (1).
            bell: shape of the upper edge: 1 is straight but for its ends, 1.5 a bell.
        """
        top, chin = lerp(pose.local[27], pose.local[29], bridge), pose.local[8] + [0.0, drop]
        rims = [_rim(pose, left, slack, corner, bell, top, chin) for left in (True, False)]
        return cls(_seam(pose, top, chin), (rims[0], rims[1]))

    def halves(self, pose: Pose) -> list[Points]:
        """The outlines of both halves in pixels of the picture; the turned one may lie behind the other."""
        return [pose.to_picture(np.concatenate([rim, self.seam[::-1]])) for rim in self.rims]

    def across(self, x: Plane, y: Plane) -> tuple[Plane, Plane]:
        """Where points of the frame lie on the cup.

        Args:
            x: float32 (h, w) in the face's frame.
            y: float32 (h, w) as well.

        Returns:
            How far right of the seam, in sides, and how far from the seam (0) to the rim (1; at most 1.2),
            float32 (h, w) each.
        """
        off = x - _x_at(y, self.seam)
        left, right = (np.abs(_x_at(y, rim) - _x_at(y, self.seam)) for rim in self.rims)
        reach = np.maximum(np.where(off < 0.0, left, right), np.float32(0.02))
        return off, np.minimum(np.abs(off) / reach, np.float32(1.2))


def _rim(
    pose: Pose, left: bool, slack: float, corner: float, bell: float, top: Points, chin: Points
) -> Points:
    jaw = pose.local[2:9] if left else pose.local[14:7:-1]
    loose = (jaw - pose.local[30]) * slack + pose.local[30]
    end = lerp(loose[0], loose[1], corner)
    rise = 1.0 - np.sin(np.pi / 2.0 * (1.0 - _STEPS)) ** bell
    upper = top + (end - top) * np.concatenate([_STEPS, rise], axis=1)
    return np.concatenate([upper[:-1], through(np.stack([end, *loose[2 if corner > 0.3 else 1 : 6], chin]))])


def _seam(pose: Pose, top: Points, chin: Points) -> Points:
    """It stands off the face to the side that the head is turned to, in front of nose and lips."""
    points, forward = pose.local, pose.nose
    nose, lips = _foremost(pose, [30, 31, 33, 35]), _foremost(pose, [51, *range(48, 60)])
    return through(
        np.stack(
            [
                top,
                lerp(top, points[30], 0.5) + [0.3 * forward, 0.0],
                [nose + 0.3 * forward, points[30, 1]],
                [lips + 0.5 * forward, (points[33, 1] + points[51, 1]) / 2.0],
                [lips + 0.2 * forward, points[57, 1]],
                chin,
            ]
        )
    )


def _foremost(pose: Pose, numbers: list[int]) -> float:
    """X of the first landmark, or of that which is turned farthest out where the head is turned."""
    x = pose.local[numbers, 0]
    turned = np.clip(abs(pose.nose) / _TURNED, 0.0, 1.0)
    return float(x[0] + ((x.min() if pose.nose < 0.0 else x.max()) - x[0]) * turned)


def _x_at(y: Plane, curve: Points) -> Plane:
    """X of a curve at each height; beyond its ends that of the end."""
    order = np.argsort(curve[:, 1], kind="stable")
    return np.interp(y, curve[order, 1], curve[order, 0]).astype(np.float32)
