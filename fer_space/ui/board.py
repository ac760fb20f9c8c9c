"""The Leaderboard tab: what was measured of all models and ensembles, to sort and to compare."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import mean

import gradio as gr

from fer_space.card import FERPLUS_TEST, Card, Measurement
from fer_space.occlusion import OCCLUSIONS
from fer_space.render import html
from fer_space.render.html import BoardPoint, BoardRow
from fer_space.render.texts import Looks

_ENSEMBLES = {"ensemble": "All, plain average", "weighted": "All, fitted average"}
_GREY = "#64748b"
_WORDS, _LINE = 150.0, 13.0  # width and height of a name in the plot


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
        gr.HTML(html.board_html(rows, list(_points(rows))), apply_default_css=False, elem_id="fer-board")
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
                colour=_GREY,
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
    """Mean accuracy on data sets other than FERPlus, faces as they are."""
    others = [m.scores.accuracy for m in card.measurements if _is_elsewhere(m)]
    return mean(others) if others else None


def _is_elsewhere(measurement: Measurement) -> bool:
    setting = measurement.setting
    plain = setting.occlusion is None and setting.detector is None and not setting.boost_rare
    return plain and setting.data not in ("ferplus", "fer2013")


def _points(rows: list[BoardRow]) -> Iterator[BoardPoint]:
    """Place the rows on a plane: time for a face to the right on a logarithmic scale, accuracy upwards."""
    timed = [row for row in rows if row.time]
    if not timed:
        return
    low, high = min(row.accuracy for row in timed) - 0.005, max(row.accuracy for row in timed) + 0.005
    written: list[tuple[float, float]] = []  # where words start and on which line
    for row in sorted(timed, key=lambda row: -row.accuracy):
        assert row.time is not None
        x = 60 + 500 * (log2(row.time) + 1) / 5.5
        y = 250 - 220 * (row.accuracy - low) / (high - low)
        line = y
        while any(abs(x - other) < _WORDS and abs(line - above) < _LINE for other, above in written):
            line += 1.0
        written.append((x, line))
        yield BoardPoint(row, x, y, line)
