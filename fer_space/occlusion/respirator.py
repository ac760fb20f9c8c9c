"""A KN95: a stiff cup with a welded seam and a flat folded edge."""

import numpy as np

from fer_space.occlusion.cup import Cup, Cut, paint_cup
from fer_space.occlusion.layers import Colour, Layer, Plane, Window
from fer_space.occlusion.light import ridge
from fer_space.occlusion.pose import Points, Pose

_CUT = Cut(bridge=0.37, slack=1.05, drop=0.045, corner=0.4, bell=0.3)
_FOLD = 0.026  # width of the folded edge, in sides


def paint_kn95(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """The cup over its ear loops, for a picture of `size_hw`."""
    return paint_cup(pose, size_hw, colour, _CUT, _shade)


def _shade(window: Window, pose: Pose, cup: Cup, halves: list[Points]) -> Plane:
    """How bright each pixel is: lit from the upper left, the seam and the fold pressed in."""
    x, y = window.frame(pose)
    off, aside = cup.across(x, y)
    below = np.clip((y - pose.local[57, 1]) / 0.2, 0.0, 1.0)
    shade = 1.02 - 0.26 * aside**2 - 0.1 * below - 0.05 * np.tanh(off / 0.02) * (1.0 - aside)
    shade += 0.04 * ridge(np.abs(off) - 0.016, 0.008, pose.side) - 0.16 * ridge(off, 0.006, pose.side)
    inside = window.depth(*halves) / np.float32(pose.side)
    shade += np.where(inside < _FOLD, 0.03, 0.0) - 0.14 * ridge(inside - _FOLD, 0.004, pose.side)
    return np.asarray(shade - 0.2 * ridge(inside, 0.006, pose.side), dtype=np.float32)
