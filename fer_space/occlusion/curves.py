"""Smooth outlines: all take and return float64 (N, 2)."""

import numpy as np

from fer_space.occlusion.pose import Points


def rounded(points: Points, rounds: int = 2) -> Points:
    """A closed polygon with its corners cut (Chaikin 1974: at a quarter and three quarters of each side)."""
    for _ in range(rounds):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return np.asarray(points)


def through(points: Points, steps: int = 8) -> Points:
    """An open curve through all points (Catmull-Rom), `steps` pieces between neighbours."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (np.arange(steps) / steps)[None, :, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def bow(start: Points, control: Points, end: Points, steps: int = 16) -> Points:
    """A quadratic Bézier curve from start (2,) to end (2,)."""
    t = np.linspace(0.0, 1.0, steps + 1)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end)


def ribbon(curve: Points, width: float) -> Points:
    """The outline of a band along an open curve, `width` from edge to edge."""
    along = np.gradient(curve, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1) / length * (width / 2.0)
    return np.concatenate([curve + aside, (curve - aside)[::-1]])


def lerp(start: Points, end: Points, share: float) -> Points:
    """The point that lies `share` of the way from one to another."""
    return np.asarray(start + (end - start) * share)
