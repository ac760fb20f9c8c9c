"""Pixels: what is laid over a face, which map is shown how, and pictures as data URIs that leave no file."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import PREDICTED, Comparison
from fer_space.render.colours import DIFFERENCE_RGB, HEAT_RGB, OPACITY
from fer_space.types import Reading
from fer_space.vision.imaging import blend

Image = NDArray[np.uint8]
LEVELS = (0.25, 0.5, 0.75)
SHOWN_SIDE = 1280  # pixels of the longer side of a photo on the page
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_FINE = 4  # steps a pixel in which lines are followed
_FRACTION = 2  # the same in bits, as OpenCV wants it
_MARKED_FROM = 0.2  # a smaller difference gets no sign
_DIM = 0.3  # brightness of the cells that were not chosen

# Takes a heatmap, float32 (h, w) in [0, 1], and a number; returns bool (n, n) with so many cells true.
ChooseCells = Callable[[NDArray[np.float32], int], NDArray[np.bool_]]


@dataclass(frozen=True)
class MapView:
    """How attention maps are drawn.

    Attributes:
        target: "predicted" for each model's own answer, "consensus" for that of all together, or an emotion.
        versus: an emotion: the maps show what speaks for the target rather than for it; "" for none.
        manner: "heat", "contours" for people who do not see colour, or "cells" for the top of a 7x7 grid. A
            difference is always drawn in colour.
        opacity: opacity of the hottest part of a map, in [0, 1].
        cells: how many cells are marked.
        whole: the model whose maps are drawn on the whole photo, or "".
    """

    target: str = PREDICTED
    versus: str = ""
    manner: str = "heat"
    opacity: float = OPACITY
    cells: int = 6
    whole: str = ""


def draw_map(
    reading: Reading, comparison: Comparison, view: MapView, choose_cells: ChooseCells
) -> tuple[Image | None, str]:
    """Draw where a model looks.

    Args:
        reading: its answer and its maps.
        comparison: the face that the reading belongs to.
        view: what is drawn and how.
        choose_cells: picks the cells of a heatmap that count most.

    Returns:
        uint8 RGB (S, S, 3) and what it shows in words; None and the reason where there is no map.
    """
    wanted = comparison.explained(reading, view.target)
    name = wanted.capitalize()
    explanation = reading.explanations.get(wanted)
    if explanation is None:
        return None, f"no map for {name}"
    if view.versus:
        return _draw_difference(reading, wanted, view)
    crop, heatmap = reading.crop.image_rgb, explanation.heatmap
    if not heatmap.any():
        return None, f"nothing speaks for {name}"
    if view.manner == "cells":
        cells = choose_cells(heatmap, view.cells)
        return cells_overlay(crop, cells), f"the {view.cells} patches where it looks for {name}"
    if view.manner == "contours":
        return contour_overlay(crop, heatmap), f"where it looks for {name}, in lines of equal heat"
    return overlay(crop, heatmap, view.opacity), f"where it looks for {name}"


def data_uri(image_rgb: Image, quality: int = 84) -> str:
    """Encode a picture as a JPEG inside a data URI.

    Args:
        image_rgb: uint8 (H, W, 3) RGB.
        quality: of the JPEG, 1 to 100.
    """
    _, jpeg = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}"


def overlay(crop_rgb: Image, heatmap: NDArray[np.float32], opacity: float = OPACITY) -> Image:
    """Lay a heatmap over the crop that it belongs to.

    Args:
        crop_rgb: uint8 (H, W, 3).
        heatmap: float32 (h, w) in [0, 1], covering the whole crop whatever its h and w.
        opacity: opacity where the heat is 1; colder pixels are clearer, so the face stays visible.

    Returns:
        uint8 RGB (H, W, 3).
    """
    heat = _spread(heatmap, crop_rgb).clip(0.0, 1.0)
    return blend(crop_rgb, HEAT_RGB[(heat * 255).round().astype(np.uint8)], opacity * heat)


def difference_overlay(crop_rgb: Image, difference: NDArray[np.float32], opacity: float = OPACITY) -> Image:
    """Lay a difference over the crop, with a + where it is greatest and a − where it is least.

    Args:
        crop_rgb: uint8 (H, W, 3).
        difference: float32 (h, w) in [-1, 1], covering the whole crop; 0 is clear.
        opacity: opacity where the difference is 1 or -1.

    Returns:
        uint8 RGB (H, W, 3).
    """
    signed = _spread(difference, crop_rgb).clip(-1.0, 1.0)
    colours = DIFFERENCE_RGB[((signed + 1.0) * 127.5).round().astype(np.uint8)]
    blended = blend(crop_rgb, colours, opacity * np.abs(signed))
    return _with_signs(blended, signed) if opacity > 0.0 else blended


def contour_overlay(crop_rgb: Image, heatmap: NDArray[np.float32]) -> Image:
    """Draw lines of equal heat at .25, .5 and .75 over the crop, the hotter the thicker.

    Args:
        crop_rgb: uint8 (H, W, 3).
        heatmap: float32 (h, w) in [0, 1], covering the whole crop whatever its h and w.

    Returns:
        uint8 RGB (H, W, 3); the lines are white with a black edge, so that any skin shows them.
    """
    drawn = crop_rgb.copy()
    for number, level in enumerate(LEVELS, start=1):
        lines = _lines(heatmap, level, crop_rgb)
        thin = max(1, round(number * crop_rgb.shape[1] / 300))
        for colour, thickness in ((_BLACK, thin + 2), (_WHITE, thin)):
            cv2.polylines(drawn, lines, True, colour, thickness, cv2.LINE_AA, _FRACTION)
    return drawn


def cells_overlay(crop_rgb: Image, cells: NDArray[np.bool_]) -> Image:
    """Keep the chosen cells of a grid clear, each in a frame, and dim the rest.

    Args:
        crop_rgb: uint8 (H, W, 3).
        cells: bool (n, n), the cells over the whole crop; true where one is chosen.

    Returns:
        uint8 RGB (H, W, 3).
    """
    height, width = crop_rgb.shape[:2]
    rows, columns = _edges(height, cells.shape[0]), _edges(width, cells.shape[1])
    chosen = [(r, c) for i, r in enumerate(rows) for j, c in enumerate(columns) if cells[i, j]]
    grey = cv2.cvtColor(cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    drawn: Image = (grey * _DIM).round().astype(np.uint8)
    for (top, bottom), (left, right) in chosen:
        drawn[top:bottom, left:right] = crop_rgb[top:bottom, left:right]
    for (top, bottom), (left, right) in chosen:
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), _BLACK, 3)
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), _WHITE, 1)
    return drawn


def _draw_difference(reading: Reading, wanted: str, view: MapView) -> tuple[Image | None, str]:
    first, second = reading.explanations.get(wanted), reading.explanations.get(view.versus)
    if wanted == view.versus:
        return None, f"{wanted.capitalize()} against itself shows nothing"
    if first is None or second is None:
        missing = wanted if first is None else view.versus
        return None, f"no map for {missing.capitalize()}"
    drawn = difference_overlay(reading.crop.image_rgb, first.heatmap - second.heatmap, view.opacity)
    return drawn, f"where it looks for {wanted.capitalize()} rather than for {view.versus.capitalize()}"


def _spread(values: NDArray[np.float32], crop_rgb: Image) -> NDArray[np.float32]:
    height, width = crop_rgb.shape[:2]
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _lines(heatmap: NDArray[np.float32], level: float, crop_rgb: Image) -> list[NDArray[np.int32]]:
    """Closed lines in steps of 1 / `_FINE` pixel, open where the heat leaves the crop."""
    height, width = crop_rgb.shape[:2]
    size_wh = (width * _FINE, height * _FINE)
    fine = cv2.resize(heatmap, size_wh, interpolation=cv2.INTER_CUBIC)
    beyond = 8 * _FINE
    padded = cv2.copyMakeBorder(fine, beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)
    inside = (padded >= level).astype(np.uint8)
    found, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(line, np.int32) - beyond - _FINE // 2 for line in found]


def _edges(side: int, cells: int) -> list[tuple[int, int]]:
    return list(pairwise(round(side * edge / cells) for edge in range(cells + 1)))


def _with_signs(picture_rgb: Image, signed: NDArray[np.float32]) -> Image:
    drawn = picture_rgb.copy()
    for upright, values in ((True, signed), (False, -signed)):
        y, x = np.unravel_index(int(values.argmax()), values.shape)
        if values[y, x] >= _MARKED_FROM:
            _draw_sign(drawn, int(x), int(y), upright)
    return drawn


def _draw_sign(drawn_rgb: Image, x: int, y: int, upright: bool) -> None:
    height, width = drawn_rgb.shape[:2]
    arm = max(3, round(width / 32))
    x, y = min(max(x, arm + 2), width - arm - 3), min(max(y, arm + 2), height - arm - 3)
    strokes = [((x - arm, y), (x + arm, y))] + [((x, y - arm), (x, y + arm))] * upright
    for colour, thickness in ((_BLACK, max(3, arm // 2 + 2)), (_WHITE, max(1, arm // 2 - 1))):
        for start, end in strokes:
            cv2.line(drawn_rgb, start, end, colour, thickness, cv2.LINE_AA)
