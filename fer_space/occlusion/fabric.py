"""Woven things: a home-made mask, and a scarf."""

import numpy as np

from fer_space.occlusion.cup import Cup, Cut, paint_cup
from fer_space.occlusion.curves import lerp, rounded, through
from fer_space.occlusion.layers import Colour, Layer, Plane, Window, tinted
from fer_space.occlusion.light import ridge, woven
from fer_space.occlusion.pose import Points, Pose

_CUT = Cut(bridge=0.9, slack=1.03, drop=0.02, corner=0.12, bell=1.0)
_CORD = 0.018  # width of an ear loop, in sides
_HEM = 0.022  # from the edge of a mask to its stitches, in sides

_STEEP = 0.22  # slope of the scarf's upper edge from the nose to the cheeks, at most

# Folds of the scarf: how far below the nose they cross its middle, slope, sag there, depth of the shadow.
_FOLDS = (
    (0.13, 0.10, 0.10, 0.30),
    (0.27, -0.13, 0.13, 0.34),
    (0.42, 0.06, 0.17, 0.36),
    (0.60, -0.08, 0.2, 0.36),
)


def paint_cloth(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """The mask over its ear loops, for a picture of `size_hw`."""
    return paint_cup(pose, size_hw, colour, _CUT, _cloth_shade, _CORD)


def _cloth_shade(window: Window, pose: Pose, cup: Cup, halves: list[Points]) -> Plane:
    """How bright each pixel is: soft waves beside a sewn seam, a stitched hem, the weave."""
    x, y = window.frame(pose)
    off, aside = cup.across(x, y)
    below = np.clip((y - pose.local[57, 1]) / 0.25, 0.0, 1.0)
    shade = 1.06 - 0.26 * aside**2 - 0.12 * below
    shade += 0.04 * np.sin(16.0 * y + 5.0 * aside + 1.0) * np.minimum(aside * 1.5, 1.0)
    shade += 0.04 * ridge(np.abs(off) - 0.018, 0.01, pose.side) - 0.1 * ridge(off, 0.006, pose.side)
    inside = window.depth(*halves) / np.float32(pose.side)
    shade -= 0.1 * ridge(inside - _HEM, 0.004, pose.side) + 0.18 * ridge(inside, 0.008, pose.side)
    return np.asarray(shade + woven(x, y, pose.side), dtype=np.float32)


def paint_scarf(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """A scarf wound from under the nose down to the neck, for a picture of `size_hw`."""
    outline = pose.to_picture(_scarf(pose))
    window = Window.around([outline], size_hw)
    return Layer(window, window.fill(outline), tinted(colour, _scarf_shade(window, pose, outline)))


def _scarf(pose: Pose) -> Points:
    """Its outline in the face's frame: along the cheeks, wider round the neck, round at the bottom."""
    points, (left, right) = pose.local, _sides(pose)
    chin, middle = points[8, 1], (left + right) / 2.0
    nose_x, nose_y = lerp(points[33], points[51], 0.3)
    nose_x = np.clip(nose_x, left + 0.1, max(right - 0.1, left + 0.1))
    steepest = nose_y - _STEEP * np.abs(nose_x - [left, right])
    start, end = np.maximum(points[[2, 14], 1] + 0.03, steepest)
    upper = [[left + 0.035, start], [nose_x, nose_y], [right - 0.035, end]]
    around = [
        upper[-1],
        [right + 0.03, points[12, 1]],
        [right + 0.05, chin],
        [right + 0.11, chin + 0.22],
        [(middle + right) / 2.0 + 0.05, chin + 0.42],
        [middle - 0.04, chin + 0.48],
        [(middle + left) / 2.0 - 0.07, chin + 0.4],
        [left - 0.13, chin + 0.18],
        [left - 0.04, chin - 0.04],
        [left - 0.025, points[4, 1]],
        upper[0],
    ]
    return rounded(np.concatenate([through(np.array(upper)), through(np.array(around))[1:-1]]))


def _sides(pose: Pose) -> tuple[float, float]:
    """Where it leaves the cheeks to the left and to the right, across the face."""
    return float(pose.local[2:7, 0].min()) - 0.045, float(pose.local[10:15, 0].max()) + 0.045


def _scarf_shade(window: Window, pose: Pose, outline: Points) -> Plane:
    """How bright each pixel is: every fold has a lit lip and throws a shadow on the next."""
    x, y = window.frame(pose)
    left, right = _sides(pose)
    u = (x - np.float32((left + right) / 2.0)) / np.float32(max((right - left) / 2.0, 0.05))
    shade = 1.0 - 0.3 * np.minimum(np.abs(u) ** 3, 1.3)
    v = y - np.float32(pose.local[33, 1])
    for height, slope, sag, depth in _FOLDS:
        off = v - (height + slope * u - sag * u**2)
        shadow = np.where(off > 0.0, np.exp(-np.maximum(off, 0.0) / 0.06), np.exp(-((off / 0.012) ** 2)))
        lip = np.exp(-(((off + 0.045) / 0.03) ** 2))
        shade += depth * (0.3 * lip - shadow)
    inside = window.depth(outline) / np.float32(pose.side)
    shade += 0.08 * ridge(inside - 0.03, 0.02, pose.side) - 0.3 * ridge(inside, 0.012, pose.side)
    return np.asarray(shade + 0.8 * woven(x, y, pose.side), dtype=np.float32)
