"""The shape of a mask that stands off the face: two halves that meet in a seam from the nose to the chin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fer_space.occlusion.curves import lerp, through
from fer_space.occlusion.layers import Colour, Layer, Plane, Window, stacked, tinted
from fer_space.occlusion.loops import WIDTH, ear_loops
from fer_space.occlusion.pose import Points, Pose

_TURNED = 0.05  # `Pose.nose` from which on the seam hides the far side of nose and lips
_STEPS = np.linspace(0.0, 1.0, 17)[:, None]


class Cut(NamedTuple):
    """How a cup is cut.

    Attributes:
        bridge: where its top lies, from landmark 27 (0) to landmark 29 (1).
        slack: by how much the jaw line is moved out from the nose's tip.
        drop: how far below the chin it reaches, in sides.
        corner: where its upper corners lie, from jaw landmark 2 or 14 (0) to 3 or 13 (1).
        bell: shape of the upper edge: from two straight lines (0) to a bell (1).
    """

    bridge: float
    slack: float
    drop: float
    corner: float
    bell: float


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
    def on(cls, pose: Pose, cut: Cut) -> "Cup":
        """A cup that fits a face."""
        ends = lerp(pose.local[27], pose.local[29], cut.bridge), pose.local[8] + [0.0, cut.drop]
        jaws = pose.local[2:9], pose.local[14:7:-1]
        left, right = (_rim((jaw - pose.local[30]) * cut.slack + pose.local[30], *ends, cut) for jaw in jaws)
        return cls(_seam(pose, *ends), (left, right))

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


# Of a window, a pose, the cup and the outlines of its halves: how bright each pixel is, float32 (h, w).
Shade = Callable[[Window, Pose, Cup, list[Points]], Plane]


def paint_cup(
    pose: Pose, size_hw: tuple[int, int], colour: Colour, cut: Cut, shade: Shade, cord: float = WIDTH
) -> Layer:
    """A cup of a cut over its ear loops, `cord` sides wide, for a picture of `size_hw`."""
    cup = Cup.on(pose, cut)
    halves = cup.halves(pose)
    window = Window.around(halves, size_hw)
    layer = Layer(window, window.fill(*halves), tinted(colour, shade(window, pose, cup, halves)))
    return stacked([*ear_loops(pose, size_hw, colour, cord), layer])


def _rim(jaw: Points, top: Points, chin: Points, cut: Cut) -> Points:
    """The rim of one half; `jaw` float64 (7, 2) from the cheek to the chin."""
    corner = lerp(jaw[0], jaw[1], cut.corner)
    bell = 1.0 - np.cos(np.pi / 2.0 * _STEPS) ** 1.5  # flat at the nose and at the cheek
    upper = top + (corner - top) * np.concatenate([_STEPS, lerp(_STEPS, bell, cut.bell)], axis=1)
    return np.concatenate([upper[:-1], through(np.stack([corner, *jaw[2:6], chin]))])


def _seam(pose: Pose, top: Points, chin: Points) -> Points:
    """It stands off the face to the side that the head is turned to, in front of nose and lips."""
    points, forward = pose.local, pose.nose
    root = lerp(top, points[30], 0.5)
    nose, lips = _foremost(pose, [30, 31, 33, 35]), _foremost(pose, [51, *range(48, 60)])
    return through(
        np.stack(
            [
                top,
                [root[0] + 0.3 * forward, root[1]],
                [nose + 0.3 * forward, points[30, 1]],
                [lips + 0.5 * forward, (points[33, 1] + points[51, 1]) / 2.0],
                [lips + 0.2 * forward, points[57, 1]],
                chin,
            ]
        )
    )


def _foremost(pose: Pose, numbers: list[int]) -> float:
    """Place across of the first landmark, or of the foremost one where the head is turned."""
    x = pose.local[numbers, 0]
    turned = np.clip(abs(pose.nose) / _TURNED, 0.0, 1.0)
    return float(x[0] + ((x.min() if pose.nose < 0.0 else x.max()) - x[0]) * turned)


def _x_at(y: Plane, curve: Points) -> Plane:
    """Place across of a curve at each height; beyond its ends that of the end."""
    order = np.argsort(curve[:, 1], kind="stable")
    return np.asarray(np.interp(y, curve[order, 1], curve[order, 0]), dtype=np.float32)
