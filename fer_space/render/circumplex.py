"""The plane of valence and arousal: where the models see a face, how far they spread, what a cover moves.

Valence runs to the right, arousal upwards, both in [-1, 1]; the drawing is 320 units wide and high.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

from fer_space.types import Prediction

CENTRE, RADIUS, DOT = 160.0, 132.0, 8.0
_HEAD, _WING = 9.0, 5.5  # length and half the width of an arrow's head
_LEAST_SPREAD = DOT + 4  # a smaller spread would hide behind its dot

# Where an emotion is written from its anchor: shift right and down, and which end of the word is there.
# Neighbours do not collide, a dot on the anchor covers no word, and every word stays inside the figure.
_RIGHT, _LEFT, _ABOVE = (12, 4, "start"), (-12, 4, "end"), (0, -14, "middle")
_SIDES = {"happiness": _ABOVE} | dict.fromkeys(("disgust", "contempt", "fear", "neutral"), _LEFT)


@dataclass(frozen=True)
class Spot:
    """Where several models see one face, in units of the drawing.

    Attributes:
        x, y: their mean.
        spread_x, spread_y: their standard deviations, at least a little more than the dot.
        valence, arousal: their mean in [-1, 1].
    """

    x: float
    y: float
    spread_x: float
    spread_y: float
    valence: float
    arousal: float


@dataclass(frozen=True)
class Anchor:
    """The word of an emotion, in units of the drawing."""

    emotion: str
    x: float
    y: float
    word_x: float
    word_y: float
    end: str


def spot_of(predictions: Sequence[Prediction]) -> Spot:
    """Place the mean of some models' valence and arousal.

    Args:
        predictions: of one face, at least one.
    """
    points = np.array([(p.valence, p.arousal) for p in predictions])  # (M, 2)
    (valence, arousal), spread = points.mean(axis=0).tolist(), points.std(axis=0) * RADIUS
    spread_x, spread_y = np.maximum(spread, _LEAST_SPREAD).tolist()
    return Spot(*position(valence, arousal), spread_x, spread_y, valence, arousal)


def position(valence: float, arousal: float) -> tuple[float, float]:
    """Place a point of the circumplex in the drawing: x and y."""
    return CENTRE + RADIUS * valence, CENTRE - RADIUS * arousal


def anchors_of(means: Mapping[str, tuple[float, float]]) -> list[Anchor]:
    """Place the words of the emotions.

    Args:
        means: valence and arousal by emotion, both in [-1, 1].
    """
    anchors = []
    for emotion, (valence, arousal) in means.items():
        x, y = position(valence, arousal)
        right, down, end = _SIDES.get(emotion, _RIGHT)
        anchors.append(Anchor(emotion, x, y, x + right, y + down, end))
    return anchors


def arrow_path(before: Spot, after: Spot) -> str:
    """Draw an arrow between two spots whose head touches the second dot.

    Returns:
        The path of an SVG; "" where the spots are nearer than a dot and a head.
    """
    length = hypot(after.x - before.x, after.y - before.y)
    if length < DOT + _HEAD:
        return ""
    along_x, along_y = (after.x - before.x) / length, (after.y - before.y) / length
    tip_x, tip_y = after.x - DOT * along_x, after.y - DOT * along_y
    back_x, back_y = tip_x - _HEAD * along_x, tip_y - _HEAD * along_y
    left = f"{back_x - _WING * along_y:.1f} {back_y + _WING * along_x:.1f}"
    right = f"{back_x + _WING * along_y:.1f} {back_y - _WING * along_x:.1f}"
    return f"M{before.x:.1f} {before.y:.1f}L{back_x:.1f} {back_y:.1f}M{tip_x:.1f} {tip_y:.1f}L{left}L{right}Z"
