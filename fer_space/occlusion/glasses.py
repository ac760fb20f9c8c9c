"""Things over the eyes: sunglasses, and the bar of newspapers."""

import numpy as np

from fer_space.occlusion.curves import bow, ribbon
from fer_space.occlusion.layers import Colour, Layer, Window, stacked, tinted
from fer_space.occlusion.light import ridge
from fer_space.occlusion.pose import Points, Pose

_RIM = 0.018  # width of the frame around a lens, in sides


def paint_sunglasses(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """Two dark lenses with rims, bridge and temples, for a picture of `size_hw`."""
    lenses = [_lens(pose, left) for left in (True, False)]
    bars = [
        _bridge(lenses),
        *(_temple(pose, lenses, left) for left in (True, False) if pose.ears[0 if left else 1]),
    ]
    outlines = [pose.to_picture(outline) for outline in bars]
    window = Window.around(outlines, size_hw)
    coverage = window.fill(*outlines)
    frame = Layer(window, coverage, tinted(colour, np.full_like(coverage, 0.75)))
    return stacked([frame, *(_glass(pose, lens, size_hw, colour) for lens in lenses)])


def _lens(pose: Pose, left: bool) -> Points:
    """The outline of a lens with its rim, in the face's frame."""
    eye = pose.local[36:42] if left else pose.local[42:48]
    half = float(np.clip(np.ptp(eye[:, 0]) * 1.1, 0.06, 0.19))
    angle = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    x, y = np.sign(x) * np.abs(x) ** 0.7, np.sign(y) * np.abs(y) ** 0.75
    y = y * np.where(y < 0, 0.105, 0.125)
    x = x * half * (1.0 - 0.5 * np.maximum(y, 0.0))
    return np.stack([x, y], axis=1) + eye.mean(axis=0) + [(-0.012 if left else 0.012), 0.01]


def _bridge(lenses: list[Points]) -> Points:
    left, right = lenses
    start = np.array([left[:, 0].max() - 0.02, left[:, 1].mean() - 0.045])
    end = np.array([right[:, 0].min() + 0.02, right[:, 1].mean() - 0.045])
    return ribbon(bow(start, (start + end) / 2 - [0.0, 0.03], end), 0.026)


def _temple(pose: Pose, lenses: list[Points], left: bool) -> Points:
    lens, ear, sign = (lenses[0], pose.local[0], -1.0) if left else (lenses[1], pose.local[16], 1.0)
    outer = lens[:, 0].min() if left else lens[:, 0].max()
    start = np.array([outer - sign * 0.02, lens[:, 1].mean() - 0.05])
    end = ear + [sign * 0.03, -0.03]
    return ribbon(bow(start, (start + end) / 2, end), 0.034)


def _glass(pose: Pose, lens: Points, size_hw: tuple[int, int], colour: Colour) -> Layer:
    outline = pose.to_picture(lens)
    window = Window.around([outline], size_hw)
    coverage = window.fill(outline)
    x, y = window.frame(pose)
    u, v = (x - lens[:, 0].mean()) / 0.15, (y - lens[:, 1].mean()) / 0.115
    inside = window.depth(outline) / np.float32(pose.side)
    glass = np.clip((inside - _RIM) * pose.side + 0.5, 0.0, 1.0)
    shade = 1.0 - 0.25 * (1 - glass) + glass * 0.25 * v
    streak = ridge(u + 0.6 * v + 0.35, 0.22) + 0.5 * ridge(u + 0.6 * v - 0.15, 0.07)
    shine = glass * (26.0 * streak * np.clip(0.6 - v * 0.5, 0.0, 1.0) + 14.0 * np.clip(v + 0.2, 0.0, 1.0))
    shine = shine + 40.0 * ridge(inside - 0.006, 0.004) * np.clip(-v, 0.0, 1.0)
    return Layer(
        window, coverage, tinted(colour, np.asarray(shade, np.float32), np.asarray(shine, np.float32))
    )


def paint_eye_bar(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """A plain bar over eyes and brows, for a picture of `size_hw`."""
    points = pose.local[17:27], pose.local[36:48]
    both = np.concatenate(points)
    (left, top), (right, _) = both.min(axis=0) - [0.06, 0.04], both.max(axis=0) + [0.06, 0.0]
    bottom = points[1][:, 1].max() + 0.07
    outline = pose.to_picture(np.array([[left, top], [right, top], [right, bottom], [left, bottom]]))
    window = Window.around([outline], size_hw)
    coverage = window.fill(outline)
    return Layer(window, coverage, tinted(colour, np.ones_like(coverage)))
