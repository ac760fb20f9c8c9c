"""Ear loops of masks: on each side two thin cords, from the mask's edge to where the ear begins."""

from typing import NamedTuple

import numpy as np

from fer_space.occlusion.curves import bow, lerp, ribbon
from fer_space.occlusion.layers import Colour, Layer, Window, tinted
from fer_space.occlusion.pose import Points, Pose

WIDTH = 0.013  # of a cord, in parts of the face's side
_OUTSIDE = 0.035  # from the jaw line to the ear of a face seen from the front, in sides
_TURNED = 0.25  # how much farther the ear is for each side that its cheek is wider than the average
_CHEEK = 0.15  # from the eye's outer corner to the jaw line on the average face
_FADE = 0.05  # a cord's end goes under hair or behind the ear within this
_SHADE = 0.93


class _Cord(NamedTuple):
    """One cord in the face's frame: its outline and the end at the ear, (N, 2) and (2,)."""

    outline: Points
    end: Points


def ear_loops(pose: Pose, size_hw: tuple[int, int], colour: Colour, width: float = WIDTH) -> list[Layer]:
    """The cords of a mask that hangs on the jaw from landmark 2 to 14.

    Args:
        pose: of the face; an average face has no cords, as its picture is too small to show them.
        size_hw: height and width of the picture.
        colour: RGB of the mask, 0 to 255.
        width: of a cord in parts of the face's side.

    Returns:
        One layer for each ear that is not hidden behind its cheek, to be laid under the mask.
    """
    if not pose.known:
        return []
    return [_loop(pose, size_hw, colour, _cords(pose, left, width)) for left in pose.ears]


def _loop(pose: Pose, size_hw: tuple[int, int], colour: Colour, cords: list[_Cord]) -> Layer:
    outlines = [pose.to_picture(cord.outline) for cord in cords]
    window = Window.around(outlines, size_hw)
    coverage = np.zeros(window.size_hw, dtype=np.float32)
    x, y = window.frame(pose)
    for cord, outline in zip(cords, outlines, strict=True):
        from_end = np.hypot(x - np.float32(cord.end[0]), y - np.float32(cord.end[1]))
        coverage = np.maximum(coverage, window.fill(outline) * np.clip(from_end / _FADE, 0.0, 1.0))
    return Layer(window, coverage, tinted(colour, np.full_like(coverage, _SHADE)))


def _cords(pose: Pose, left: bool, width: float) -> list[_Cord]:
    """The upper cord goes up to the ear's root, the lower one to its lobe."""
    jaw = pose.local[:9] if left else pose.local[16:7:-1]
    cheek = abs(jaw[0, 0] - pose.local[36 if left else 45, 0])
    outside = _OUTSIDE + _TURNED * max(cheek - _CHEEK, 0.0)
    outward, nose = np.array([-outside if left else outside, 0.0]), pose.local[30]
    ends = lerp(jaw[0], jaw[1], 0.15) + outward, lerp(jaw[1], jaw[2], 0.3) + 1.2 * outward
    starts = lerp(lerp(jaw[2], jaw[3], 0.5), nose, 0.1), lerp(jaw[4], nose, 0.05)
    bends = lerp(starts[0], ends[0], 0.5) + 0.3 * outward, lerp(starts[1], ends[1], 0.5) + 0.4 * outward
    curves = [bow(*points) for points in zip(starts, bends, ends, strict=True)]
    return [_Cord(ribbon(curve, width), end) for curve, end in zip(curves, ends, strict=True)]
