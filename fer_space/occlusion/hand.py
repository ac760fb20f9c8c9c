"""A blob as large as the face's own hand, over the mouth and one cheek."""

import numpy as np

from fer_space.occlusion.curves import lerp
from fer_space.occlusion.layers import Colour, Layer, Window, tinted
from fer_space.occlusion.pose import Pose

_HALF_ALONG, _HALF_ACROSS = 0.3, 0.22  # of the ellipse, in sides: a palm is about 0.55 of a face wide
_SOFT = 0.25  # of its radius fades out
_TILT = np.deg2rad(-18.0)  # it rises towards the cheek
_AXES = np.array([[np.cos(_TILT), -np.sin(_TILT)], [np.sin(_TILT), np.cos(_TILT)]])


def paint_hand(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """An ellipse with a soft edge on the cheek to the right in the picture, for a picture of `size_hw`."""
    axes = _AXES * [_HALF_ALONG, _HALF_ACROSS]
    centre = lerp(pose.local[48:60].mean(axis=0), pose.local[13], 0.2)
    angle = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    window = Window.around([pose.to_picture(circle @ axes.T + centre)], size_hw)
    x, y = window.frame(pose)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    back = np.linalg.inv(axes).astype(np.float32)
    radius = np.hypot(back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y)
    fade = np.clip((1.0 - radius) / _SOFT, 0.0, 1.0)
    coverage = np.asarray(fade * fade * (3.0 - 2.0 * fade), dtype=np.float32)
    return Layer(window, coverage, tinted(colour, 1.06 - 0.22 * np.minimum(radius, 1.0) ** 2))
