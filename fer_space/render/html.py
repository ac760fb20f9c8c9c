"""What the core returns, as HTML: templates of jinja2 that escape every value.

Each function gathers what one template needs; no HTML is written in Python. Pictures are data URIs, so
nothing that is drawn here becomes a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from fer_space.comparison import CONSENSUS, PREDICTED, Comparison, Covered
from fer_space.emotions import EMOTIONS
from fer_space.explain.sensitivity import Sensitivity
from fer_space.render import texts
from fer_space.render.circumplex import anchors_of, arrow_path, spot_of
from fer_space.render.colours import DIFFERENCE_RGB, EMOTION_COLOURS, HEAT_RGB, OPACITY, ramp_css
from fer_space.render.overlays import ChooseCells, MapView, data_uri, difference_overlay, draw_map
from fer_space.render.texts import Looks, verdict_of
from fer_space.types import Face, Prediction, Reading
from fer_space.vision.imaging import shrink

Image = NDArray[np.uint8]
Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two excluded

_THUMB = 96  # pixels of a face in the strip
SHEET = 640  # longer side of the canvas to paint on, in pixels
_STOPS = 9
_LEAST_SCALE = 0.5  # bits: where nothing matters, noise is not blown up
_SUBJECTS = {PREDICTED: "each model’s own answer", CONSENSUS: "the answer of all together"}

_ENVIRONMENT = Environment(
    loader=PackageLoader("fer_space.render"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
for _filter in (
    texts.percent,
    texts.percent_exact,
    texts.signed,
    texts.signed_points,
    texts.count,
    texts.duration,
    texts.bits,
    texts.fold,
    texts.number,
):
    _ENVIRONMENT.filters[_filter.__name__] = _filter
_ENVIRONMENT.globals |= {"emotions": EMOTIONS, "movement_words": texts.movement_words}


@dataclass(frozen=True)
class Drawing:
    """What every drawing of a page shares.

    Attributes:
        looks: how each model is named and coloured.
        anchors: mean valence and arousal of each emotion.
        choose_cells: picks the cells of a heatmap that count most.
    """

    looks: Looks
    anchors: Mapping[str, tuple[float, float]]
    choose_cells: ChooseCells


@dataclass(frozen=True)
class Legend:
    """What maps show, and where colour counts, its scale from low to high as a CSS gradient."""

    caption: str
    low: str = ""
    high: str = ""
    ramp: str = ""


def render(template: str, **values: Any) -> str:
    """Fill a template of `render/templates`.

    Args:
        template: its name without the ending.
        values: what it needs; a value that is missing is an error.
    """
    return _ENVIRONMENT.get_template(f"{template}.html").render(**values).strip()


def emotion_css() -> str:
    """Write the colours of the emotions as CSS variables, for light grounds and dark ones."""
    light, dark = (
        "".join(f"--fer-{emotion}:{colours[side]};" for emotion, colours in EMOTION_COLOURS.items())
        for side in (0, 1)
    )
    return f":root{{{light}}}.dark{{{dark}}}"


def problem_html(sentence: str) -> str:
    """Show what went wrong, in a sentence."""
    return render("problem", sentence=sentence)


def photo_html(
    photo_uri: str,
    size_wh: tuple[int, int],
    faces: Sequence[Face],
    comparisons: Sequence[Comparison | None],
    selected: int,
    *,
    thumbs: Sequence[Image] = (),
    placing: Face | None = None,
    beyond: int = 0,
) -> str:
    """Show the photo with a box on every face, and a strip of faces to choose from.

    Args:
        photo_uri: data URI of the whole picture, at any scale.
        size_wh: width and height of the picture that the boxes are measured in.
        faces: where they are, in the order of their numbers.
        comparisons: what was read of each so far.
        selected: index of the face that is shown.
        thumbs: uint8 RGB (h, w, 3), a picture of each face for the strip; none, no strip.
        placing: a box that is being placed by hand.
        beyond: how many more faces there are that were not read.
    """
    width, height = size_wh
    chips = [
        {
            "uri": data_uri(shrink(np.ascontiguousarray(thumb), _THUMB), 78),
            "verdict": verdict_of(comparison) if comparison else None,
        }
        for thumb, comparison in zip(thumbs, comparisons if thumbs else (), strict=True)
    ]
    return render(
        "photo",
        uri=photo_uri,
        width=width,
        height=height,
        boxes=[_percentages(face, size_wh) for face in faces],
        sides=[_side(face) for face in faces],
        selected=selected,
        chips=chips,
        placing=_percentages(placing, size_wh) if placing else None,
        beyond=beyond,
    )


def answer_html(
    comparison: Comparison,
    drawing: Drawing,
    view: MapView,
    *,
    which: str = "",
    chips: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> str:
    """Show what the models say of one face: verdict, matrix of models and emotions, maps, circumplex, cards.

    Args:
        comparison: the face, with the models that have read it so far.
        drawing: what every drawing shares.
        view: what the maps show and how.
        which: which of several faces it is, "Face 2 of 7".
        chips: settings that differ from the start and change the answer, as "rare emotions not boosted".
        remarks: what should be known about the picture, a sentence each; "" is none.
    """
    crops = [reading.crop.image_rgb for reading in comparison.readings]
    return render(
        "answer",
        comparison=comparison,
        verdict=verdict_of(comparison),
        together=comparison.together,
        looks=drawing.looks,
        tiles=[
            map_tile(reading, comparison, drawing, view) | {"face": data_uri(crop)}
            for reading, crop in zip(comparison.readings, crops, strict=True)
        ],
        face=data_uri(crops[0]),
        which=which,
        chips=chips,
        remarks=[remark for remark in remarks if remark],
        legend=view_legend(view),
        distances=_distances(comparison),
        **_plane(comparison.predictions, drawing),
    )


def waiting_html(asked: int) -> str:
    """Show the place of an answer that is on its way.

    Args:
        asked: how many models were asked.
    """
    return render("waiting", asked=asked)


def welcome_html(looks: Looks) -> str:
    """Say what is here before there is a picture."""
    return render("welcome", looks=looks)


def map_tile(reading: Reading, comparison: Comparison, drawing: Drawing, view: MapView) -> dict[str, str]:
    """Draw one map, or the bare face with the reason why there is none."""
    title = drawing.looks[reading.prediction.backbone].title
    drawn, words = draw_map(reading, comparison, view, drawing.choose_cells)
    picture = reading.crop.image_rgb if drawn is None else drawn
    note = words.capitalize() if drawn is None else ""
    return {"uri": data_uri(picture), "alternative": f"{title}: {words}", "note": note}


def view_legend(view: MapView) -> Legend:
    """Say what the maps of a view show: a caption and, where colour counts, its scale."""
    subject = _SUBJECTS.get(view.target, view.target.capitalize())
    if view.versus:
        versus = view.versus.capitalize()
        short = "own answer" if view.target == PREDICTED else subject
        caption = f"What speaks for {subject} rather than for {versus}"
        return difference_legend(caption, versus, short, view.opacity)
    if view.manner == "cells":
        return Legend(f"The {view.cells} clear patches speak most for {subject}")
    if view.manner == "contours":
        lines = "a quarter, half and three quarters of full heat, the hotter the thicker"
        return Legend(f"The lines show what speaks for {subject}: {lines}")
    ramp = ramp_css(HEAT_RGB, view.opacity * np.linspace(0.0, 1.0, _STOPS))
    return Legend(f"What speaks for {subject}", "ignored", "decisive", ramp)


def difference_legend(caption: str, low: str, high: str, opacity: float = OPACITY) -> Legend:
    """Say what diverging maps show.

    Args:
        caption: what the maps show.
        low: what the lower end of the scale means; the sign − that the maps carry is put before it.
        high: what the upper end means, likewise with a +.
        opacity: opacity of the ends, in [0, 1].
    """
    ramp = ramp_css(DIFFERENCE_RGB, opacity * np.abs(np.linspace(-1.0, 1.0, _STOPS)))
    return Legend(caption, f"− {low}", f"+ {high}", ramp)


def covered_html(covered: Covered, drawing: Drawing, view: MapView) -> str:
    """Show a covered face: one card a model with its map and its answer before and after, and the movement.

    Args:
        covered: the face before and after.
        drawing: what every drawing shares.
        view: what the maps show and how.
    """
    before, after = (spot_of(side.predictions) for side in (covered.before, covered.after))
    return render(
        "covered",
        cards=[
            {
                "change": change,
                "before": map_tile(change.before, covered.before, drawing, view),
                "after": map_tile(change.after, covered.after, drawing, view),
            }
            for change in covered.changes
        ],
        looks=drawing.looks,
        legend=view_legend(view),
        before=before,
        spot=after,
        arrow=arrow_path(before, after),
        anchors=anchors_of(drawing.anchors),
        sources=texts.affect_sources(covered.after.predictions),
    )


def covered_verdict_html(covered: Covered, drawing: Drawing, *, which: str = "", note: str = "") -> str:
    """Say in one line what a cover changed.

    Args:
        covered: the face before and after.
        drawing: what every drawing shares.
        which: which of several faces it is.
        note: what should be known about how it was covered.
    """
    strong, rest = texts.covered_sentence(covered, drawing.looks)
    return render("covered_verdict", strong=strong, rest=rest, which=which, note=note)


def sensitivity_html(
    sensitivities: Sequence[Sensitivity], crops: Mapping[str, Image], drawing: Drawing
) -> str:
    """Show what each region of a face is worth to each model, all on one scale.

    Args:
        sensitivities: what was measured.
        crops: by model, the crop that it saw, uint8 RGB (S, S, 3).
        drawing: what every drawing shares.
    """
    scale = max([_LEAST_SCALE, *(float(np.abs(s.worth).max(initial=0.0)) for s in sensitivities)])
    caption = "Odds of each model’s answer while a part of the face is covered"
    cards = [
        {
            "backbone": s.backbone,
            "target": s.target,
            "uri": data_uri(
                difference_overlay(crops[s.backbone], (s.worth / scale).astype(np.float32), OPACITY)
            ),
            "most": _most_worth(s),
        }
        for s in sensitivities
    ]
    legend = difference_legend(caption, f"rise {texts.fold(scale)}", f"fall {texts.fold(scale)}")
    return render("sensitivity", cards=cards, looks=drawing.looks, legend=legend)


def robustness_html(rows: Sequence[tuple[str, Mapping[str, float]]], looks: Looks) -> str:
    """Show how often models are right on covered test faces.

    Args:
        rows: each model with its accuracy in [0, 1] by condition, the free face first; what was not measured
            may be missing and gets a dash. No rows give "".
        looks: how each model is named and coloured.
    """
    conditions = list(dict.fromkeys(name for _, measured in rows for name in measured))
    return render("robustness", rows=rows, conditions=conditions, looks=looks) if rows else ""


@dataclass(frozen=True)
class BoardRow:
    """What was measured of one model or ensemble; rates in [0, 1], None where nothing was.

    Attributes:
        name, title, colour: of the model.
        accuracy, interval, balanced, ece: on FERPlus test.
        covered: mean accuracy on the same faces under all covers.
        elsewhere: mean accuracy on other sets of faces, the same for all, from which it did not learn.
        parameters: how many numbers it learned.
        time: for one face, as a multiple of a reference model's.
    """

    name: str
    title: str
    colour: str
    accuracy: float
    interval: tuple[float, float]
    balanced: float
    ece: float
    covered: float | None
    elsewhere: float | None
    parameters: int
    time: float | None


@dataclass(frozen=True)
class BoardPoint:
    """A row on the plane of time and accuracy, in units of the drawing (1000 x 400).

    Attributes:
        row: what is placed.
        x, y: where its dot is.
        words: its name and accuracy.
        words_x, words_y: where they begin, or end where `anchor` is "end"; no words and no dots lie there.
        anchor: "start" or "end".
    """

    row: BoardRow
    x: float
    y: float
    words: str
    words_x: float
    words_y: float
    anchor: str

    @property
    def apart(self) -> bool:
        """Whether the words are so far away that a line leads to them."""
        return abs(self.words_y - self.y) > 10.0


@dataclass(frozen=True)
class BoardPlot:
    """The plane of time and accuracy.

    Attributes:
        points: the rows of which the time is known.
        times, accuracies: lines of the grid, each a place in units of the drawing and its word.
    """

    points: Sequence[BoardPoint]
    times: Sequence[tuple[float, str]]
    accuracies: Sequence[tuple[float, str]]


def board_html(rows: Sequence[BoardRow], plot: BoardPlot) -> str:
    """Show what was measured of all models and ensembles.

    Args:
        rows: one a model.
        plot: where they lie in time and accuracy.
    """
    return render("board", rows=rows, plot=plot)


def lab_html(
    faces: Sequence[tuple[str, str, Mapping[str, float]]],
    predictions: Sequence[Prediction],
    looks: Looks,
    words: str,
    *,
    done: bool,
) -> str:
    """Show two faces, their mixture with its label, and what the models say of it.

    Args:
        faces: title, data URI and shares by emotion of the two and of the mixture.
        predictions: of the mixture, as many as are known so far.
        looks: how each model is named and coloured.
        words: how they are mixed, in a sentence.
        done: whether all models have read it.
    """
    return render("lab", faces=faces, predictions=predictions, looks=looks, words=words, done=done)


def slider_html(
    original_uri: str, covered_uri: str, size_wh: tuple[int, int], window: Window, subject: str
) -> str:
    """Lay two pictures on top of each other with a border between them that can be moved.

    Args:
        original_uri: data URI of the free picture.
        covered_uri: data URI of the covered one, which has the same sides.
        size_wh: their width and height, at any scale.
        window: left, top, right, bottom of what is shown, at the same scale.
        subject: what they show, as "photo".
    """
    frame = window_style(size_wh, window)
    return render("slider", original=original_uri, covered=covered_uri, frame=frame, subject=subject)


def easel_html(photo_uri: str, size_wh: tuple[int, int], window: Window) -> str:
    """Lay a clear canvas over a part of the photo, with a brush.

    Args:
        photo_uri: data URI of the whole picture at any scale.
        size_wh: width and height of the picture in pixels.
        window: left, top, right, bottom of what is shown, in pixels of the picture.
    """
    width, height = window[2] - window[0], window[3] - window[1]
    scale = SHEET / max(width, height)
    sheet = (max(1, round(width * scale)), max(1, round(height * scale)))
    return render("easel", uri=photo_uri, frame=window_style(size_wh, window), sheet=sheet)


def window_style(size_wh: tuple[int, int], window: Window) -> dict[str, str]:
    """Frame a part of a picture.

    Args:
        size_wh: width and height of the whole picture, at any scale.
        window: left, top, right, bottom of what is shown, at the same scale.

    Returns:
        The style of the frame under "shape" and that of the picture in it under "place".
    """
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    return {
        "shape": f"aspect-ratio:{width}/{height};--ratio:{width / height:.4f}",
        "place": f"width:{100 * size_wh[0] / width:.3f}%;left:{-100 * left / width:.3f}%;"
        f"top:{-100 * top / height:.3f}%",
    }


def _plane(predictions: Sequence[Prediction], drawing: Drawing) -> dict[str, Any]:
    return {
        "spot": spot_of(predictions),
        "anchors": anchors_of(drawing.anchors),
        "sources": texts.affect_sources(predictions),
    }


def _distances(comparison: Comparison) -> dict[str, float]:
    """By model, how far its answer is from that of all together: half the sum of absolute differences."""
    shares = comparison.together
    return {
        p.backbone: sum(abs(p.probabilities.get(e, 0.0) - shares.get(e, 0.0)) for e in EMOTIONS) / 2
        for p in comparison.predictions
    }


def _percentages(face: Face, size_wh: tuple[int, int]) -> str:
    """The place of a box as a style, in parts of the picture's sides."""
    width, height = size_wh
    left, top, right, bottom = face.box_xyxy
    return (
        f"left:{100 * left / width:.2f}%;top:{100 * top / height:.2f}%;"
        f"width:{100 * (right - left) / width:.2f}%;height:{100 * (bottom - top) / height:.2f}%"
    )


def _side(face: Face) -> float:
    left, top, right, bottom = face.box_xyxy
    return max(right - left, bottom - top)


def _most_worth(sensitivity: Sensitivity) -> str:
    largest = float(sensitivity.worth.max(initial=0.0))
    if largest < _LEAST_SCALE / 5:
        return "No covered part lowers its odds"
    return f"Its odds fall up to {texts.fold(largest)}"
