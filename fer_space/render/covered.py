"""A covered face: one card a backbone, with its map and its answer before and after."""

from collections.abc import Mapping
from html import escape

from fer_space.comparison import Change, Covered
from fer_space.render.bars import bars_html
from fer_space.render.cards import map_html
from fer_space.render.legends import view_legend_html
from fer_space.render.look import Look, bits, percent
from fer_space.render.view import ChooseCells, MapView
from fer_space.render.words import movement_words

_THEN = ' <span class="fer-then" role="img" aria-label="when covered">→</span> '


def covered_html(
    covered: Covered, looks: Mapping[str, Look], view: MapView, choose_cells: ChooseCells
) -> str:
    """Build the grid of cards for one covered face, with the legend that their maps share.

    Args:
        covered: the face before and after.
        looks: how each of its backbones is shown.
        view: what the maps show and how.
        choose_cells: picks the cells of a heatmap that count most.
    """
    cards = "".join(
        _card(change, looks[change.backbone], _maps(covered, change, looks, view, choose_cells))
        for change in covered.changes
    )
    ticks = '<p class="fer-legend fer-tick-legend"><s></s> before it was covered</p>'
    return (
        f'<div class="fer-covered" data-count="{len(covered.changes)}">{cards}</div>'
        f'<div class="fer-legends">{ticks}{view_legend_html(view)}</div>'
    )


def _maps(
    covered: Covered, change: Change, looks: Mapping[str, Look], view: MapView, choose_cells: ChooseCells
) -> str:
    before = map_html(change.before, covered.before, looks, view, choose_cells, "Original")
    after = map_html(change.after, covered.after, looks, view, choose_cells, "Covered")
    return f'<div class="fer-pair">{before}{after}</div>'


def _card(change: Change, look: Look, maps: str) -> str:
    return (
        f'<article class="fer-card" style="--mark:{look.colour}" aria-label="{escape(look.title)}">'
        f'<div class="fer-covered-body">{maps}<div class="fer-answer">'
        f'<div class="fer-title"><h3>{escape(look.title)}</h3>{_mark(change)}</div>'
        f'<p class="fer-top">{_answers(change)}</p>'
        f"{bars_html(change.after.prediction, change.before.prediction)}"
        f'<p class="fer-facts">Shift {bits(change.shift)} · {movement_words(*change.movement)}</p>'
        "</div></div></article>"
    )


def _mark(change: Change) -> str:
    if change.kept:
        return '<span class="fer-mark fer-kept"><span aria-hidden="true">✓</span> kept</span>'
    return '<span class="fer-mark fer-changed"><span aria-hidden="true">≠</span> changed</span>'


def _answers(change: Change) -> str:
    before, after = change.before.prediction, change.after.prediction
    first = f"<strong>{before.label.capitalize()}</strong> <span>{escape(percent(before.confidence))}</span>"
    then = f"<span>{escape(percent(after.confidence))}</span>"
    if not change.kept:
        then = f"<strong>{after.label.capitalize()}</strong> {then}"
    return first + _THEN + then
