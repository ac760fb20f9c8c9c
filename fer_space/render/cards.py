"""Cards: one a backbone, with its map, its top emotion and eight bars in one fixed order."""

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison
from fer_space.render.bars import bars_html
from fer_space.render.legends import view_legend_html
from fer_space.render.look import Look, count, duration, percent
from fer_space.render.pictures import data_uri
from fer_space.render.view import ChooseCells, MapView, draw_map
from fer_space.types import Reading


def cards_html(
    comparison: Comparison, looks: Mapping[str, Look], view: MapView, choose_cells: ChooseCells
) -> str:
    """Build the grid of cards for one face, with the legend that their maps share.

    Args:
        comparison: the face.
        looks: how each of its backbones is shown.
        view: what the maps show and how.
        choose_cells: picks the cells of a heatmap that count most.
    """
    cards = "".join(
        _card(
            reading,
            looks[reading.prediction.backbone],
            map_html(reading, comparison, looks, view, choose_cells),
        )
        for reading in comparison.readings
    )
    shown = len(comparison.readings)
    return f'<div class="fer-cards" data-count="{shown}">{cards}</div>{view_legend_html(view)}'


def map_html(
    reading: Reading,
    comparison: Comparison,
    looks: Mapping[str, Look],
    view: MapView,
    choose_cells: ChooseCells,
    caption: str = "",
) -> str:
    """Build the figure of one map, or of the bare crop with the reason why there is none."""
    title = looks[reading.prediction.backbone].title
    drawn, words = draw_map(reading, comparison, view, choose_cells)
    if drawn is None:
        below = f"{caption}: {words}" if caption else words
        return figure_html(reading.crop.image_rgb, f"{title}: {words}", below)
    place = f" ({caption})" if caption else ""
    return figure_html(drawn, f"{title}{place}: {words}", caption)


def figure_html(image_rgb: NDArray[np.uint8], alternative: str, caption: str = "") -> str:
    """Build a figure.

    Args:
        image_rgb: uint8 (H, W, 3).
        alternative: what it shows, for people who do not see it.
        caption: what is written below it.
    """
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    picture = f'<img src="{data_uri(image_rgb)}" alt="{escape(alternative)}">'
    return f'<figure class="fer-map">{picture}{below}</figure>'


def _card(reading: Reading, look: Look, figure: str) -> str:
    prediction = reading.prediction
    return (
        f'<article class="fer-card" style="--mark:{look.colour}" aria-label="{escape(look.title)}">'
        f'<div class="fer-card-body">{figure}<div class="fer-answer">'
        f"<h3>{escape(look.title)}</h3>"
        f'<p class="fer-facts">{count(look.parameters)} parameters · {duration(prediction.ms)}</p>'
        f'<p class="fer-top"><strong>{prediction.label.capitalize()}</strong> '
        f"<span>{percent(prediction.confidence)}</span></p>"
        f"{bars_html(prediction)}</div></div></article>"
    )
