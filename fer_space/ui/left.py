"""The left column: the picture, Compare and Clear, the examples, the settings, and help without a face."""

from collections.abc import Sequence

import gradio as gr

from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.ui.forms import Left, Rescue
from fer_space.ui.intake import Example, examples_html
from fer_space.ui.shared import LIVE_JS, PICK_JS, REMEMBER_S
from fer_space.ui.sitting import Sitting
from fer_space.ui.views import Scene

LIFT = (
    "More disgust, fear and contempt, for about a point of accuracy; how far was fitted on validation faces."
)


def left_column(scene: Scene, examples: Sequence[Example]) -> tuple[Left, Rescue]:
    """Lay it out inside the current Blocks."""
    with gr.Column(scale=1, min_width=300, elem_classes="fer-left"):
        picture, photo = _picture()
        with gr.Row(elem_classes="fer-actions"):
            compare = gr.Button("Compare", variant="primary", min_width=80)
            clear = gr.Button("Clear", min_width=80)
        rescue = _rescue()
        row = gr.HTML(
            examples_html(examples), js_on_load=PICK_JS, apply_default_css=False, visible=bool(examples)
        )
        with gr.Accordion("Settings", open=False, elem_id="fer-settings"):
            backbones, detector, lift = _settings(scene)
    sitting = gr.State(Sitting(), time_to_live=REMEMBER_S)
    return Left(sitting, picture, photo, compare, clear, row, backbones, detector, lift), rescue


def _picture() -> tuple[gr.Image, gr.HTML]:
    """The place for the picture: first a component that takes one, then the photo with its faces."""
    picture = gr.Image(
        label="Picture",
        sources=["upload", "webcam", "clipboard"],
        type="filepath",
        height=300,
        buttons=[],
        elem_id="fer-picture",
    )
    photo = gr.HTML("", js_on_load=PICK_JS, apply_default_css=False, elem_id="fer-photo")
    return picture, photo


def _rescue() -> Rescue:
    """What is offered when no face was found."""
    with gr.Column(visible=False, elem_classes="fer-rescue") as group:
        ask = gr.Button("Which detector finds it?")
        found = gr.HTML("", js_on_load=LIVE_JS, apply_default_css=False)
        gr.HTML(
            '<p class="fer-note">Or place the box by hand: click the middle of the face in the picture, '
            "then make the box as large as the face.</p>",
            apply_default_css=False,
        )
        across = gr.Slider(0, 100, value=50, step=0.5, label="Across", info="middle, % of the width")
        down = gr.Slider(0, 100, value=50, step=0.5, label="Down", info="middle, % of the height")
        size = gr.Slider(2, 100, value=40, step=0.5, label="Size", info="side, % of the shorter side")
        place = gr.Button("Read this box")
    return Rescue(group, ask, found, across, down, size, place)


def _settings(scene: Scene) -> tuple[gr.CheckboxGroup, gr.Radio, gr.Checkbox]:
    models = [(look.title, name) for name, look in scene.looks.items()]
    detectors = [
        (spec.title + (" (opt-in)" if spec.opt_in else ""), spec.name) for spec in DETECTORS.values()
    ]
    return (
        gr.CheckboxGroup(models, value=list(scene.looks), label="Models"),
        gr.Radio(detectors, value=DEFAULT_DETECTOR, label="Face detector"),
        gr.Checkbox(label="Lift rare emotions", info=LIFT),
    )
