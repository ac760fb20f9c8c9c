"""A blob as large as the face's own hand, over the mouth and one cheek."""

import numpy as np

from fer_space.occlusion.curves import lerp
from fer_space.occlusion.layers import Colour, Layer, Window, tinted
from fer_space.occlusion.pose import Pose

_HALF_ACROSS, _HALF_ALONG = 0.22, 0.3  # of the ellipse, in sides: a palm is about 0.55 of a face wide
_SOFT = 0.25  # of its radius fades out
_TILT = np.deg2rad(30.0)


def paint_hand(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """An ellipse with a soft edge on the cheek to the right in the picture, for a picture of `size_hw`."""
    mouth = pose.local[48:60].mean(axis=0)
    centre = lerp(mouth, pose.local[12], 0.3)
    angle = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
    axes = np.array([[np.cos(_TILT), -np.sin(_TILT)], [np.sin(_TILT), np.cos(_TILT)]]) * [
        _HALF_ALONG,
        _HALF_ACROSS,
    ]
    outline = pose.to_picture(np.stack([np.cos(angle), np.sin(angle)], axis=1) @ axes.T + centre)
    window = Window.around([outline], size_hw)
    x, y = window.frame(pose)
    back = np.linalg.inv(axes).astype(np.float32)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    radius = np.hypot(back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y)
    fade = np.clip((1.0 - radius) / _SOFT, 0.0, 1.0)
    coverage = fade * fade * (3.0 - 2.0 * fade)
    shade = 1.06 - 0.22 * np.minimum(radius, 1.0) ** 2
    return Layer(window, np.asarray(coverage, np.float32), tinted(colour, np.asarray(shade, np.float32)))
