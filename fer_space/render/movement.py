"""The circumplex of a covered face: an arrow a backbone, from its answer before to the one after."""

from collections.abc import Mapping
from math import hypot

from fer_space.comparison import Change, Covered
from fer_space.render.circumplex import is_mixed, model_html, sources
from fer_space.render.look import Look, signed
from fer_space.render.plane import DOT, dot_svg, plane_svg, position

_HEAD, _WING = 7.0, 4.5  # length and half the width of an arrow's head


def movement_html(
    covered: Covered, looks: Mapping[str, Look], anchors: Mapping[str, tuple[float, float]]
) -> str:
    """Build the figure with its table.

    Args:
        covered: the face before and after; the order of its changes numbers the dots.
        looks: how each backbone is shown.
        anchors: mean valence and arousal of each emotion, both in [-1, 1].
    """
    numbered = list(enumerate(covered.changes, start=1))
    arrows = "".join(_arrow(change, looks[change.backbone]) for _, change in numbered)
    dots = "".join(_dot(number, change, looks[change.backbone]) for number, change in reversed(numbered))
    plane = plane_svg(anchors, arrows + dots, _alternative(covered, looks))
    return (
        '<figure class="fer-circumplex"><figcaption><h3>How the cover moves valence and arousal</h3>'
        f"<p>Rings: original; numbered dots: covered. {sources(covered.after.predictions)}</p></figcaption>"
        f'<div class="fer-plane">{plane}{_table(covered, looks)}</div></figure>'
    )


def _ends(change: Change) -> tuple[float, float, float, float]:
    before, after = change.before.prediction, change.after.prediction
    return *position(before.valence, before.arousal), *position(after.valence, after.arousal)


def _arrow(change: Change, look: Look) -> str:
    """A ring, and a line whose head touches the dot; what moves less than a dot's width has the ring only."""
    x, y, to_x, to_y = _ends(change)
    ring = f'<circle class="fer-start" cx="{x:.1f}" cy="{y:.1f}" r="4" stroke="{look.colour}"/>'
    length = hypot(to_x - x, to_y - y)
    if length < DOT + _HEAD:
        return ring
    along_x, along_y = (to_x - x) / length, (to_y - y) / length
    tip_x, tip_y = to_x - DOT * along_x, to_y - DOT * along_y
    back_x, back_y = tip_x - _HEAD * along_x, tip_y - _HEAD * along_y
    left = f"{back_x - _WING * along_y:.1f} {back_y + _WING * along_x:.1f}"
    right = f"{back_x + _WING * along_y:.1f} {back_y - _WING * along_x:.1f}"
    return (
        f'<path class="fer-arrow" d="M{x:.1f} {y:.1f}L{back_x:.1f} {back_y:.1f}" stroke="{look.colour}"/>'
        f'{ring}<path d="M{tip_x:.1f} {tip_y:.1f}L{left}L{right}Z" fill="{look.colour}"/>'
    )


def _dot(number: int, change: Change, look: Look) -> str:
    _, _, x, y = _ends(change)
    return dot_svg(number, x, y, look)


def _alternative(covered: Covered, looks: Mapping[str, Look]) -> str:
    moved = "; ".join(
        f"{looks[change.backbone].title} valence {_from_to(change, 'valence')}, "
        f"arousal {_from_to(change, 'arousal')}"
        for change in covered.changes
    )
    return f"Plane of valence and arousal with an arrow a model. {moved}."


def _from_to(change: Change, name: str, then: str = " to ") -> str:
    before, after = change.before.prediction, change.after.prediction
    return f"{signed(getattr(before, name))}{then}{signed(getattr(after, name))}"


def _table(covered: Covered, looks: Mapping[str, Look]) -> str:
    mixed = is_mixed(covered.after.predictions)
    rows = "".join(
        f"<tr>{model_html(number, change.after.prediction, looks[change.backbone], mixed)}"
        f"<td>{_from_to(change, 'valence', ' → ')}</td><td>{_from_to(change, 'arousal', ' → ')}</td></tr>"
        for number, change in enumerate(covered.changes, start=1)
    )
    return (
        '<table class="fer-va fer-moved"><thead><tr><th scope="col">Model</th><th scope="col">Valence</th>'
        f'<th scope="col">Arousal</th></tr></thead><tbody>{rows}</tbody></table>'
    )
