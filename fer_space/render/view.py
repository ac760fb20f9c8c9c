"""How attention maps are drawn, and the one rule that turns a reading into a picture."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import PREDICTED, Comparison
from fer_space.render.overlays import cells_overlay, contour_overlay, difference_overlay, overlay
from fer_space.render.palettes import OPACITY
from fer_space.types import Reading

# Takes a heatmap, float32 (h, w) in [0, 1], and a number; returns bool (n, n) with so many cells true.
ChooseCells = Callable[[NDArray[np.float32], int], NDArray[np.bool_]]


@dataclass(frozen=True)
class MapView:
    """How attention maps are drawn.

    Attributes:
        target: "predicted" for each model's own answer, "consensus" for that of their average, or an emotion.
        versus: an emotion: the maps show what speaks for the target rather than for it; "" for none.
        opacity: opacity of the hottest part of a map, in [0, 1].
        contour: lines of equal heat instead of colour, for people who do not see colour.
        cells: above 0, the top cells of a 7x7 grid are marked instead of the heat.
    """

    target: str = PREDICTED
    versus: str = ""
    opacity: float = OPACITY
    contour: bool = False
    cells: int = 0


def draw_map(
    reading: Reading, comparison: Comparison, view: MapView, choose_cells: ChooseCells
) -> tuple[NDArray[np.uint8] | None, str]:
    """Draw where a backbone looks.

    Args:
        reading: its answer and its maps.
        comparison: the face that the reading belongs to.
        view: what is drawn and how; cells go before a difference, a difference before lines.
        choose_cells: picks the cells of a heatmap that count most.

    Returns:
        uint8 RGB (S, S, 3) and what it shows in words; None and the reason where there is no map.
    """
    wanted = comparison.explained(reading, view.target)
    if view.versus and not view.cells:
        return _difference(reading, wanted, view)
    explanation = reading.explanations.get(wanted)
    if explanation is None:
        return None, f"no map for {wanted.capitalize()}"
    crop, heatmap, looks = reading.crop.image_rgb, explanation.heatmap, f"looks for {wanted.capitalize()}"
    if view.cells:
        cells = choose_cells(heatmap, view.cells)
        return cells_overlay(crop, cells), f"the {view.cells} cells where it {looks}"
    if view.contour:
        return contour_overlay(crop, heatmap), f"where it {looks}, in lines of equal heat"
    return overlay(crop, heatmap, view.opacity), f"where it {looks}"


def _difference(reading: Reading, wanted: str, view: MapView) -> tuple[NDArray[np.uint8] | None, str]:
    first, second = reading.explanations.get(wanted), reading.explanations.get(view.versus)
    if wanted == view.versus:
        return None, f"{wanted.capitalize()} against itself shows nothing"
    if first is None or second is None:
        missing = wanted if first is None else view.versus
        return None, f"no map for {missing.capitalize()}"
    drawn = difference_overlay(reading.crop.image_rgb, first.heatmap - second.heatmap, view.opacity)
    return drawn, f"where it looks for {wanted.capitalize()} rather than for {view.versus.capitalize()}"
