"""Legends: the one scale that all maps of a grid share."""

from html import escape

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import CONSENSUS, PREDICTED
from fer_space.render.palettes import DIFFERENCE_RGB, HEAT_RGB, OPACITY
from fer_space.render.view import MapView

_STOPS = 9
_SUBJECTS = {PREDICTED: "each model’s own answer", CONSENSUS: "the answer of their average"}


def legend_html(caption: str, opacity: float) -> str:
    """Build the one legend that all maps share; `caption` says what the maps show."""
    alphas = opacity * np.linspace(0.0, 1.0, _STOPS)
    return _scale(caption, "ignored", "decisive", HEAT_RGB, alphas)


def difference_legend_html(caption: str, low: str, high: str, opacity: float = OPACITY) -> str:
    """Build the one legend of diverging maps.

    Args:
        caption: what the maps show.
        low: what the lower end of the scale means; the sign − that the maps carry is put before it.
        high: what the upper end means, likewise with a +.
        opacity: opacity of the ends, in [0, 1].
    """
    alphas = opacity * np.abs(np.linspace(-1.0, 1.0, _STOPS))
    return _scale(caption, f"− {low}", f"+ {high}", DIFFERENCE_RGB, alphas)


def view_legend_html(view: MapView) -> str:
    """Build the legend of maps that `draw_map` drew."""
    subject = _SUBJECTS.get(view.target, view.target.capitalize())
    if view.cells:
        return _note(f"The {view.cells} clear cells of each map speak most for {subject}")
    if view.versus:
        versus = view.versus.capitalize()
        short = "own answer" if view.target == PREDICTED else subject
        caption = f"The maps show what speaks for {subject} rather than for {versus}"
        return difference_legend_html(caption, versus, short, view.opacity)
    if view.contour:
        return _note(
            f"The lines show what speaks for {subject}: a quarter, half and three quarters of full heat, "
            "the hotter the thicker"
        )
    return legend_html(f"The maps show what speaks for {subject}", view.opacity)


def _scale(
    caption: str, low: str, high: str, palette_rgb: NDArray[np.uint8], alphas: NDArray[np.float64]
) -> str:
    places = np.linspace(0, len(palette_rgb) - 1, len(alphas)).round().astype(int)
    stops = ", ".join(
        "rgb({} {} {} / {:.2f})".format(*palette_rgb[place], alpha)
        for place, alpha in zip(places, alphas, strict=True)
    )
    return (
        f'<p class="fer-legend"><b>{escape(caption)}</b><span class="fer-scale">{escape(low)} '
        f'<span class="fer-ramp" style="background-image:linear-gradient(to right, {stops})"></span>'
        f" {escape(high)}</span></p>"
    )


def _note(caption: str) -> str:
    return f'<p class="fer-legend"><b>{escape(caption)}</b></p>'
