"""The column that all tabs share: actions, photo and faces, help without a face, examples, settings."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import gradio as gr

from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.errors import FerSpaceError
from fer_space.explain.library import METHODS
from fer_space.render import html
from fer_space.render.overlays import MapView, contour_overlay, data_uri, overlay
from fer_space.render.texts import Looks, fit_title, verdict_of
from fer_space.types import Face, FaceCrop
from fer_space.ui.events import not_usable
from fer_space.ui.reading import Runs
from fer_space.ui.session import BOX, FORGOTTEN, NO_FACE, Answer, Image, Options, Picture, Session
from fer_space.vision.alignment import maps_to_photo
from fer_space.vision.imaging import decode_image, scaling, shrink

_THUMB = 160
START = Options(())  # by which a page starts to read
BOOST = (
    "Takes back a part of the habit, learned from everyday photos, that disgust, fear and contempt are rare: "
    "posed faces are read better, everyday ones up to a point worse."
)
TOGETHER = "Which faces the common answer was fitted for; it needs all models that were weighed."


@dataclass(frozen=True)
class Example:
    """A picture that may be shown to everyone, with where it comes from.

    Attributes:
        file: the picture.
        title: a word or two under its thumbnail.
        alt: what is to be seen on it.
        source: where it was taken from.
        licence: why it may be used here.
    """

    file: Path
    title: str
    alt: str
    source: str
    licence: str

    @property
    def thumb(self) -> str:
        """A small picture as a data URI."""
        return data_uri(shrink(decode_image(self.file.read_bytes()), _THUMB))


def load_examples(folder: Path) -> tuple[Example, ...]:
    """Read the examples that `manifest.json` of a folder lists."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return tuple(Example(**{**entry, "file": folder / entry["file"]}) for entry in entries)


@dataclass(frozen=True)
class Rescue:
    """What helps when no face was found."""

    group: gr.Column
    ask: gr.Button
    found: gr.HTML
    across: gr.Slider
    down: gr.Slider
    size: gr.Slider
    place: gr.Button

    @property
    def sliders(self) -> list[gr.Slider]:
        """Where the box by hand is."""
        return [self.across, self.down, self.size]


@dataclass(frozen=True)
class Sidebar:
    """The column's components.

    Attributes:
        options: one control for each field of `Options`, by its name.
    """

    actions: gr.HTML
    photo: gr.HTML
    examples: gr.HTML
    options: Mapping[str, Any]
    kept: gr.BrowserState
    rescue: Rescue

    @property
    def controls(self) -> list[Any]:
        """The controls of `Options`, in the order of its fields."""
        return list(self.options.values())


def lay_out_sidebar(
    opening: Session,
    looks: Looks,
    examples: Sequence[Example],
    missing: Mapping[str, str],
    broken: str = "",
    fits: Sequence[str] = (),
) -> Sidebar:
    """Lay the column out inside the current Blocks.

    Args:
        opening: what a new page shows.
        looks: the models.
        examples: pictures to choose from.
        missing: detectors that cannot work here, and why; they are named below the others.
        broken: which models cannot be used, and why.
        fits: names of the fitted ensembles.
    """
    with gr.Column(scale=1, min_width=300, elem_classes="fer-left"):
        actions = gr.HTML(
            html.render("actions"), js_on_load="fer.actions(element, trigger)", apply_default_css=False
        )
        photo = gr.HTML(
            photo_view(opening),
            js_on_load="fer.photo(element, trigger, watch)",
            apply_default_css=False,
            elem_id="fer-photo",
        )
        rescue = _rescue()
        row = gr.HTML(
            html.render("examples", examples=examples),
            js_on_load="fer.examples(element, trigger)",
            apply_default_css=False,
            visible=bool(examples),
            elem_classes="fer-later",
        )
        with gr.Accordion("Settings", open=False, elem_id="fer-settings", elem_classes="fer-later"):
            options = _options(looks, missing, broken, fits)
    kept = gr.BrowserState(None, storage_key="fer-space-options", secret="fer-space")
    assert list(options) == [field.name for field in fields(Options)]
    return Sidebar(actions, photo, row, options, kept, rescue)


def _options(looks: Looks, missing: Mapping[str, str], broken: str, fits: Sequence[str]) -> dict[str, Any]:
    """One control for each field of `Options`."""
    models = [(look.title, name) for name, look in looks.items()]
    detectors = [(spec.title, name) for name, spec in DETECTORS.items() if name not in missing]
    absent = not_usable({DETECTORS[name].title: reason for name, reason in missing.items()})
    methods = [(method.title, name) for name, method in METHODS.items()]
    return {
        "backbones": gr.CheckboxGroup(models, value=list(looks), label="Models", info=broken or None),
        "detector": gr.Radio(detectors, value=DEFAULT_DETECTOR, label="Face detector", info=absent or None),
        "method": gr.Dropdown(methods, value=methods[0][1], label="How maps are made", filterable=False),
        "boost_rare": gr.Checkbox(value=START.boost_rare, label="Boost rare emotions", info=BOOST),
        "ensemble": gr.Radio(
            [(fit_title(name), name if place else "") for place, name in enumerate(fits)],
            value=START.ensemble,
            label="All models together",
            info=TOGETHER,
            visible=len(fits) > 1,
        ),
    }


def _rescue() -> Rescue:
    with gr.Column(visible=False, elem_classes="fer-rescue") as group:
        ask = gr.Button("Which detector finds it?")
        found = gr.HTML("", js_on_load="fer.live(element, watch)", apply_default_css=False)
        gr.HTML(html.render("by_hand"), apply_default_css=False)
        across = gr.Slider(0, 100, value=BOX[0], step=0.5, label="Across", info="middle, % of the width")
        down = gr.Slider(0, 100, value=BOX[1], step=0.5, label="Down", info="middle, % of the height")
        size = gr.Slider(2, 100, value=BOX[2], step=0.5, label="Size", info="side, % of the shorter side")
        place = gr.Button("Read this box", variant="primary")
    return Rescue(group, ask, found, across, down, size, place)


def placed_face(size_wh: tuple[int, int], across: float, down: float, size: float) -> Face:
    """The face of a box by hand: a square, its middle and side in per cent of the picture."""
    width, height = size_wh
    x, y = across / 100 * width, down / 100 * height
    half = max(size / 200 * min(width, height), 0.5)
    return Face((x - half, y - half, x + half, y + half), 1.0, None)


def photo_view(session: Session) -> str:
    """Show the session's picture with its faces, or nothing before there is one."""
    answer, view = session.answer, session.view
    picture = answer.picture
    if picture is None:
        return ""
    return html.photo_html(
        (_mapped_uri(answer, view) if view.whole else "") or picture.uri,
        picture.size_wh,
        answer.faces,
        answer.comparisons,
        session.selected,
        thumbs=[_thumb(picture, face) for face in answer.faces] if len(answer.faces) > 1 else [],
        placing=placed_face(picture.size_wh, *session.box) if answer.problem == NO_FACE else None,
        beyond=len(answer.rest) if answer.done else 0,
    )


def _thumb(picture: Picture, face: Face) -> Image:
    """A face cut out of the displayed photo, a square."""
    shown = picture.shown
    scale = shown.shape[1] / picture.size_wh[0]
    left, top, right, bottom = (edge * scale for edge in face.box_xyxy)
    side = max(right - left, bottom - top) * 1.2
    first_x, first_y = max(0, round((left + right - side) / 2)), max(0, round((top + bottom - side) / 2))
    return shown[first_y : first_y + max(1, round(side)), first_x : first_x + max(1, round(side))]


def status_view(session: Session) -> str:
    """Say how far the reading is, and once it is done, to screen readers, what came out.

    Of a page that was forgotten it asks the browser for its picture.
    """
    answer, shown = session.answer, session.shown
    spoken = f"{session.which} {verdict_of(shown).text}".strip() if shown and answer.done else ""
    again = answer.problem == FORGOTTEN
    return html.render("status", stage=answer.stage, share=answer.share, spoken=spoken, again=again)


def finds_view(lines: Sequence[tuple[str, str]]) -> str:
    """Say of every detector what it finds."""
    return html.render("finds", lines=lines)


def _mapped_uri(answer: Answer, view: MapView) -> str:
    """The photo with the maps of one model on all faces; "" where it did not read them."""
    assert answer.picture is not None
    photo = answer.picture.shown
    factor = photo.shape[1] / answer.picture.size_wh[0]
    chosen = [
        (explanation.heatmap, _scaled(reading.crop, factor))
        for comparison in answer.read
        for reading in comparison.readings
        if reading.prediction.backbone == view.whole
        and (explanation := reading.explanations.get(comparison.explained(reading, view.target)))
    ]
    if not chosen:
        return ""
    heat = maps_to_photo(chosen, (photo.shape[0], photo.shape[1]))
    contours = view.manner == "contours"
    return data_uri(contour_overlay(photo, heat) if contours else overlay(photo, heat, view.opacity))


def _scaled(crop: FaceCrop, factor: float) -> FaceCrop:
    """The crop as cut from the photo at another scale."""
    return replace(crop, photo_to_crop=crop.photo_to_crop @ scaling(1 / factor, 1 / factor))


def finds(session: Session, runs: Runs) -> list[tuple[str, str]]:
    """Ask every detector for faces: its title, and what it finds in words."""
    picture = session.answer.picture
    if picture is None:
        return []
    image, lines = runs.decode(picture.data), []
    for name, spec in DETECTORS.items():
        try:
            number = len(runs.find(image, name))
        except FerSpaceError:
            said = "not available here."
        except Exception:  # a detector that breaks must not hide what the others find
            said = "it broke on this picture."
        else:
            found = "one face" if number == 1 else f"{number} faces" if number else "no face"
            said = f"{found}. Choose it in the settings." if number else f"{found}."
        lines.append((spec.title, said))
    return lines
