"""The Leaderboard tab: what was measured of all models and ensembles, to sort and to compare."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import ceil, floor, log2
from pathlib import Path
from statistics import mean

import gradio as gr

from fer_space.card import FERPLUS_TEST, Card, Setting
from fer_space.occlusion import OCCLUSIONS
from fer_space.render import html
from fer_space.render.html import BoardPlot, BoardPoint, BoardRow
from fer_space.render.texts import Looks

_ENSEMBLES = {"ensemble": "All, plain average", "weighted": "All, fitted average"}
_INK = "currentColor"  # of the words, dark on light and light on dark, which no model has
# What is measured as “other data”, by the set from which a model may have learned.
_ELSEWHERE = {
    "ckplus": Setting(data="ckplus-peaks", split="test"),
    "diffusionfer": Setting(data="diffusionfer", split="test"),
}
# The plot, in its own units: its frame, a letter of its words, their height, and the radius of a dot.
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 980.0, 14.0, 352.0
_LETTER, _LINE, _DOT = 6.3, 13.0, 7.0
_STEPS = [0.0, *(sign * step for step in (14.0, 28.0, 42.0, 56.0, 70.0) for sign in (-1.0, 1.0))]

Box = tuple[float, float, float, float]


def lay_out_board(cards: Mapping[str, Card], looks: Looks, results: Path | None) -> gr.Tab:
    """Lay the tab out inside the current Tabs.

    Args:
        cards: of the models.
        looks: how each is named and coloured.
        results: docs/results.json, which knows cost and ensembles, or None without it.
    """
    stored = read_results(results)
    rows = list(rows_of(cards, looks, stored))
    tab: gr.Tab
    with gr.Tab("Leaderboard", id="board", elem_classes="fer-tab") as tab:
        gr.HTML(html.board_html(rows, plot_of(rows)), apply_default_css=False, elem_id="fer-board")
    return tab


@dataclass(frozen=True)
class Stored:
    """What docs/results.json says of one model or ensemble that its card does not."""

    accuracy: float
    interval: tuple[float, float]
    balanced: float
    ece: float
    parameters: int
    time: float | None


def read_results(path: Path | None) -> dict[str, Stored]:
    """Read docs/results.json; a file that is not there gives nothing."""
    if path is None or not path.is_file():
        return {}
    models = json.loads(path.read_text(encoding="utf-8"))["models"]
    return {
        name: Stored(
            model["accuracy"],
            tuple(model["accuracy_interval"]),
            model["balanced_accuracy"],
            model["ece"],
            model["parameters"],
            model.get("time"),
        )
        for name, model in models.items()
    }


def rows_of(cards: Mapping[str, Card], looks: Looks, stored: Mapping[str, Stored]) -> Iterator[BoardRow]:
    """Gather one row a model that was measured on FERPlus test, and one an ensemble."""
    for name, card in cards.items():
        measured = card.measured(FERPLUS_TEST)
        if measured is None:
            continue
        scores, known = measured.scores, stored.get(name)
        covered = card.under_occlusion(list(OCCLUSIONS))
        occluded = [rates.accuracy for kind, rates in covered.items() if kind is not None]
        yield BoardRow(
            name=name,
            title=looks[name].title,
            colour=looks[name].colour,
            accuracy=scores.accuracy,
            interval=scores.accuracy_interval,
            balanced=scores.balanced_accuracy,
            ece=scores.ece,
            covered=mean(occluded) if occluded else None,
            elsewhere=_elsewhere(card),
            parameters=card.parameters,
            time=known.time if known else None,
        )
    for name, title in _ENSEMBLES.items():
        if name in stored:
            known = stored[name]
            yield BoardRow(
                name=name,
                title=title,
                colour=_INK,
                accuracy=known.accuracy,
                interval=known.interval,
                balanced=known.balanced,
                ece=known.ece,
                covered=None,
                elsewhere=None,
                parameters=known.parameters,
                time=known.time,
            )


def _elsewhere(card: Card) -> float | None:
    """Mean accuracy on all of `_ELSEWHERE`; None where the model learned from one of them."""
    if not _ELSEWHERE.keys().isdisjoint(card.data.split("+")):
        return None
    measured = [card.measured(setting) for setting in _ELSEWHERE.values()]
    rates = [one.scores.accuracy for one in measured if one is not None]
    return mean(rates) if len(rates) == len(measured) else None


def plot_of(rows: list[BoardRow]) -> BoardPlot:
    """Place rows on a plane: time for a face to the right on a logarithmic scale, accuracy upwards."""
    timed = sorted((row for row in rows if row.time), key=lambda row: -row.accuracy)
    if not timed:
        return BoardPlot((), (), ())
    logs = [log2(row.time or 1.0) for row in timed]
    first, last = floor(min(logs)), ceil(max(logs) + 0.01)
    low, high = floor(20 * timed[-1].accuracy) / 20, timed[0].accuracy + 0.01

    def across(log: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (log - first) / (last - first)

    def upwards(accuracy: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * (accuracy - low) / (high - low)

    dots = [(across(log), upwards(row.accuracy)) for row, log in zip(timed, logs, strict=True)]
    taken = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in dots]
    points = []
    for row, (x, y) in zip(timed, dots, strict=True):
        words = f"{row.title} {100 * row.accuracy:.1f}"
        point = BoardPoint(row, x, y, words, *_free_place(x, y, _LETTER * len(words), taken))
        taken.append(box_of(point))
        points.append(point)
    percents = range(round(100 * low), ceil(100 * high), 5)
    return BoardPlot(
        points,
        [(across(log), f"{2.0**log:g} ×") for log in range(first, last + 1)],
        [(upwards(percent / 100), f"{percent} %") for percent in percents],
    )


def box_of(point: BoardPoint) -> Box:
    """Where the words of a point lie: left, top, right, bottom in units of the drawing."""
    width = _LETTER * len(point.words)
    left = point.words_x if point.anchor == "start" else point.words_x - width
    return left, point.words_y - _LINE / 2, left + width, point.words_y + _LINE / 2


def _free_place(x: float, y: float, width: float, taken: list[Box]) -> tuple[float, float, str]:
    """Find where words beside a dot cover no other words, no dots, and stay in the frame."""
    places = []
    for (side, aside), step in product(((1, 11.0), (-1, 11.0), (1, 40.0), (-1, 40.0)), _STEPS):
        start = x + aside if side > 0 else x - aside - width
        box = (start, y + step - _LINE / 2, start + width, y + step + _LINE / 2)
        inside = box[0] >= _LEFT and box[2] <= _RIGHT and box[1] >= 0.0 and box[3] <= _BOTTOM
        covered = sum(_overlap(box, other) for other in taken)
        places.append((covered, not inside, abs(step) + aside + (side < 0), side, box))
    *_, side, box = min(places)
    return box[0] if side > 0 else box[2], (box[1] + box[3]) / 2, "start" if side > 0 else "end"


def _overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
