"""Things over the eyes: sunglasses, and the bar of newspapers."""

import numpy as np

from fer_space.occlusion.curves import bow, lerp, ribbon
from fer_space.occlusion.layers import Colour, Layer, Window, stacked, tinted
from fer_space.occlusion.light import ridge
from fer_space.occlusion.pose import Points, Pose

_RIM = 0.018  # width of the frame around a lens, in sides
_DARKER = 0.75  # the frame, as a share of the lenses' brightness
_NARROWEST = 0.65  # width of a lens that is turned away, as a share of the other


def paint_sunglasses(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """Two dark lenses with rims, bridge and temples, for a picture of `size_hw`."""
    left, right = _lens(pose, True), _lens(pose, False)
    temples = [_temple(pose, left if is_left else right, is_left) for is_left in pose.ears]
    bars = [pose.to_picture(bar) for bar in (_bridge(left, right), *temples)]
    window = Window.around(bars, size_hw)
    coverage = window.fill(*bars)
    frame = Layer(window, coverage, tinted(colour, np.full_like(coverage, _DARKER)))
    return stacked([frame, *(_glass(pose, lens, size_hw, colour) for lens in (left, right))])


def _lens(pose: Pose, left: bool) -> Points:
    """The outline of a lens with its rim, in the face's frame: a rounded box, narrower at the bottom."""
    eyes = pose.local[36:42], pose.local[42:48]
    eye, other = eyes if left else eyes[::-1]
    wide = max(float(np.ptp(eye[:, 0])), _NARROWEST * float(np.ptp(other[:, 0])))
    half = float(np.clip(1.14 * wide, 0.06, 0.2))
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    x, y = (np.sign(part) * np.abs(part) ** 0.72 for part in (np.cos(angle), np.sin(angle)))
    y = y * np.where(y < 0.0, 0.112, 0.135)
    x = x * half * (1.0 - 0.5 * np.maximum(y, 0.0))
    middle = eye.mean(axis=0) + np.array([-0.012 if left else 0.012, 0.01])
    return np.asarray(np.stack([x, y], axis=1) + middle)


def _bridge(left: Points, right: Points) -> Points:
    """An arch between the lenses."""
    start = np.array([left[:, 0].max() - 0.02, left[:, 1].mean() - 0.045])
    end = np.array([right[:, 0].min() + 0.02, right[:, 1].mean() - 0.045])
    return ribbon(bow(start, lerp(start, end, 0.5) + np.array([0.0, -0.03]), end), 0.026)


def _temple(pose: Pose, lens: Points, left: bool) -> Points:
    """From a lens's outer edge to the ear."""
    ear, outward = (pose.local[0], -1.0) if left else (pose.local[16], 1.0)
    outer = lens[:, 0].min() if left else lens[:, 0].max()
    start = np.array([outer - outward * 0.02, lens[:, 1].mean() - 0.05])
    end = ear + np.array([outward * 0.03, -0.03])
    return ribbon(bow(start, lerp(start, end, 0.5), end), 0.034)


def _glass(pose: Pose, lens: Points, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """A lens in its rim: lighter towards the cheek, with two streaks of reflected light."""
    outline = pose.to_picture(lens)
    window = Window.around([outline], size_hw)
    x, y = window.frame(pose)
    x, y = x - np.float32(lens[:, 0].mean()), y - np.float32(lens[:, 1].mean())
    inside = window.depth(outline) / np.float32(pose.side)
    glass = np.clip((inside - _RIM) * pose.side + 0.5, 0.0, 1.0)
    down, slant = y / 0.115, x + 0.78 * y
    shade = _DARKER + glass * (1.0 - _DARKER + 0.25 * down)
    streaks = ridge(slant + 0.053, 0.033, pose.side) + 0.5 * ridge(slant - 0.023, 0.011, pose.side)
    shine = glass * (
        26.0 * streaks * np.clip(0.6 - 0.5 * down, 0.0, 1.0) + 14.0 * np.clip(down + 0.2, 0.0, 1.0)
    )
    shine += 40.0 * ridge(inside - 0.006, 0.004, pose.side) * np.clip(-down, 0.0, 1.0)
    return Layer(window, window.fill(outline), tinted(colour, shade, shine))


def paint_eye_bar(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """A plain bar over eyes and brows, for a picture of `size_hw`."""
    brows, eyes = pose.local[17:27], pose.local[36:48]
    both = np.concatenate([brows, eyes])
    left, top, right = both[:, 0].min() - 0.06, both[:, 1].min() - 0.04, both[:, 0].max() + 0.06
    bottom = eyes[:, 1].max() + 0.07
    outline = pose.to_picture(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
    window = Window.around([outline], size_hw)
    coverage = window.fill(outline)
    return Layer(window, coverage, tinted(colour, np.ones_like(coverage)))
