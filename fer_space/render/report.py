"""The page's answer as one picture that a visitor can keep or send: verdict, matrix and the caveat on it."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.render.colours import EMOTION_COLOURS
from fer_space.render.texts import NARROW_SPACE, Looks, percent, verdict_of

CAVEAT = "A model reads what a face shows, not what a person feels. Do not use this to judge people."

_WIDTH, _EDGE, _FACE, _ROW = 1200, 48, 220, 40
_NAMES = 260  # width of the column of models
_INK, _QUIET, _LINE = "#0f172a", "#52607a", "#dfe5ee"
_FULL = 0.55  # how much of a cell's colour a probability of 1 has; the words on it stay readable


def report_png(comparison: Comparison, looks: Looks, which: str = "") -> bytes:
    """Draw what the models say of one face.

    Args:
        comparison: the face.
        looks: how each model is named and coloured.
        which: which of several faces it is, or "".

    Returns:
        A PNG, 1200 pixels wide.
    """
    verdict = verdict_of(comparison)
    rows = [("All together", "", comparison.together)] if len(comparison.readings) > 1 else []
    rows += [
        (looks[p.backbone].title, looks[p.backbone].colour, dict(p.probabilities))
        for p in comparison.predictions
    ]
    top = _EDGE + _FACE + 40
    sheet = Image.new("RGB", (_WIDTH, top + _ROW * (len(rows) + 1) + 90), "white")
    pen = ImageDraw.Draw(sheet)
    sheet.paste(_face(comparison.readings[0].crop.image_rgb), (_EDGE, _EDGE))

    left = _EDGE + _FACE + 36
    colour = _INK if not verdict.plain else EMOTION_COLOURS[verdict.emotion][0]
    _write(pen, (left, _EDGE + 10), which, 22, _QUIET)
    _write(pen, (left, _EDGE + 46), verdict.headline, 52 if len(verdict.headline) < 24 else 34, colour)
    said = f"{verdict.sentence}, {percent(verdict.confidence)}"
    _write(pen, (left, _EDGE + 118), said, 26, _INK)
    _write(pen, (left, _EDGE + 162), f"One answer by {verdict.rule}.", 18, _QUIET)

    step = (_WIDTH - 2 * _EDGE - _NAMES) / len(EMOTIONS)
    for column, emotion in enumerate(EMOTIONS):
        middle = _EDGE + _NAMES + (column + 0.5) * step
        _write(pen, (middle, top + 8), emotion.capitalize(), 17, EMOTION_COLOURS[emotion][0], anchor="ma")
    for number, (title, mark, shares) in enumerate(rows, start=1):
        y = top + _ROW * number
        pen.line((_EDGE, y, _WIDTH - _EDGE, y), fill=_LINE)
        if mark:
            pen.rounded_rectangle((_EDGE, y + 14, _EDGE + 12, y + 26), 3, fill=mark)
        _write(pen, (_EDGE + 22, y + 9), title, 19, _INK)
        for column, emotion in enumerate(EMOTIONS):
            x = _EDGE + _NAMES + column * step
            _cell(pen, (x + 2, y + 3, x + step - 2, y + _ROW - 3), emotion, shares.get(emotion))
    _write(pen, (_EDGE, sheet.height - 56), f"FER Space. {CAVEAT}", 18, _QUIET)

    buffer = BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _face(crop_rgb: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(crop_rgb).resize((_FACE, _FACE), Image.Resampling.LANCZOS)


def _cell(
    pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], emotion: str, share: float | None
) -> None:
    """A cell whose colour grows with its probability; a dash where a model does not know the emotion."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if share is None:
        _write(pen, middle, "–", 17, _QUIET, anchor="mm")
        return
    colour = EMOTION_COLOURS[emotion][0]
    channels = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    mixed = tuple(round(255 + (channel - 255) * _FULL * share) for channel in channels)
    pen.rounded_rectangle(box, 5, fill=mixed)
    _write(pen, middle, f"{100 * share:.0f}", 18, _INK if share >= 0.05 else _QUIET, anchor="mm")


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: str,
    *,
    anchor: str = "la",
) -> None:
    font = ImageFont.load_default(size)
    pen.text(place, text.replace(NARROW_SPACE, " "), fill=colour, font=font, anchor=anchor)
