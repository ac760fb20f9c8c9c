"""The plane of valence and arousal that figures share: its axes, its emotions and its numbered dots."""

from collections.abc import Mapping
from html import escape

from fer_space.render.look import Look

CENTRE, RADIUS, DOT = 160.0, 132.0, 9.0
# Where an emotion is written from its anchor: shift right and down, and which end of the word is there.
# Neighbours do not collide, a dot on the anchor covers no word, and every word stays inside the figure.
_RIGHT, _LEFT, _ABOVE = (12, 4, "start"), (-12, 4, "end"), (0, -14, "middle")
_SIDES = {"happiness": _ABOVE} | dict.fromkeys(("disgust", "contempt", "fear", "neutral"), _LEFT)


def plane_svg(anchors: Mapping[str, tuple[float, float]], drawn: str, alternative: str) -> str:
    """Build the plane.

    Args:
        anchors: mean valence and arousal of each emotion, both in [-1, 1].
        drawn: SVG that lies on it.
        alternative: the same in words, not yet escaped.
    """
    words = "".join(_anchor(name, *va) for name, va in anchors.items())
    return (
        f'<svg viewBox="0 0 320 320" role="img" aria-label="{escape(alternative)}">'
        f"{_axes()}{words}{drawn}</svg>"
    )


def position(valence: float, arousal: float) -> tuple[float, float]:
    """Where a point of the circumplex, both in [-1, 1], lies in the SVG: x and y."""
    return CENTRE + RADIUS * valence, CENTRE - RADIUS * arousal


def dot_svg(number: int, x: float, y: float, look: Look) -> str:
    """Build a numbered dot in a backbone's colour."""
    return (
        f'<g><circle class="fer-dot" cx="{x:.1f}" cy="{y:.1f}" r="{DOT:.0f}" fill="{look.colour}"/>'
        f'<text class="fer-number" x="{x:.1f}" y="{y + 4:.1f}" fill="{look.ink}">{number}</text></g>'
    )


def chip_html(number: int, look: Look) -> str:
    """Build the same dot for a line of text."""
    return f'<span class="fer-chip" style="background:{look.colour};color:{look.ink}">{number}</span>'


def _axes() -> str:
    low, high = CENTRE - RADIUS, CENTRE + RADIUS
    return (
        f'<circle class="fer-rim" cx="{CENTRE}" cy="{CENTRE}" r="{RADIUS}"/>'
        f'<circle class="fer-ring" cx="{CENTRE}" cy="{CENTRE}" r="{RADIUS / 2}"/>'
        f'<path class="fer-axis" d="M{low} {CENTRE}H{high}M{CENTRE} {low}V{high}"/>'
        f'<text class="fer-end" x="{high}" y="{CENTRE + 15}" text-anchor="end">pleasant</text>'
        f'<text class="fer-end" x="{low}" y="{CENTRE + 15}">unpleasant</text>'
        f'<text class="fer-end" x="{CENTRE}" y="{low - 8}" text-anchor="middle">excited</text>'
        f'<text class="fer-end" x="{CENTRE}" y="{high + 18}" text-anchor="middle">calm</text>'
    )


def _anchor(emotion: str, valence: float, arousal: float) -> str:
    x, y = position(valence, arousal)
    right, down, end = _SIDES.get(emotion, _RIGHT)
    return (
        f'<circle class="fer-anchor" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
        f'<text class="fer-word" x="{x + right:.1f}" y="{y + down:.1f}" '
        f'text-anchor="{end}">{escape(emotion.capitalize())}</text>'
    )
