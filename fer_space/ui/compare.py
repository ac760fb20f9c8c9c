"""The Compare tab: a picture in, every face read by the chosen backbones side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fer_space.labels import EMOTIONS
from fer_space.registry import DEFAULT_DETECTOR, DETECTORS
from fer_space.render import OPACITY, PREDICTED
from fer_space.ui.handlers import Handlers
from fer_space.ui.intake import Example, examples_html
from fer_space.ui.sitting import Compare, Sitting
from fer_space.ui.views import Scene, results_view, verdict_view

MODELS = "models"  # one queue for every event that runs a model
REMEMBER_S = 1800
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

# Hands over the index of the clicked button; after a redraw the keyboard is put back where it was.
_PICK_JS = """
let picked = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (!button) return;
  picked = button.dataset.index;
  trigger('select', {index: Number(picked)});
});
watch('value', () => {
  if (picked !== null) element.querySelector(`[aria-pressed][data-index="${picked}"]`)?.focus();
  picked = null;
});
"""
_LIVE_JS = "element.setAttribute('aria-live', 'polite');"


@dataclass(frozen=True)
class Parts:
    """The tab's components."""

    sitting: gr.State
    picture: gr.Image
    photo: gr.HTML
    compare: gr.Button
    clear: gr.Button
    examples: gr.HTML
    backbones: gr.CheckboxGroup
    detector: gr.Radio
    target: gr.Dropdown
    opacity: gr.Slider
    verdict: gr.HTML
    results: gr.HTML


def compare_tab(compare: Compare, scene: Scene, examples: Sequence[Example]) -> None:
    """Lay the tab out inside the current Blocks and wire it."""
    handlers = Handlers(compare, scene, examples)
    with gr.Row(elem_classes="fer-page"):
        with gr.Column(scale=1, min_width=300, elem_classes="fer-left"):
            picture, photo = _picture()
            with gr.Row(elem_classes="fer-actions"):
                compare_button = gr.Button("Compare", variant="primary", min_width=80)
                clear_button = gr.Button("Clear", min_width=80)
            example_row = gr.HTML(
                examples_html(examples), js_on_load=_PICK_JS, apply_default_css=False, visible=bool(examples)
            )
            with gr.Accordion("Settings", open=False, elem_id="fer-settings"):
                settings = _settings(scene)
        with gr.Column(scale=3, min_width=320, elem_classes="fer-right"):
            verdict = gr.HTML(verdict_view(Sitting(), scene), js_on_load=_LIVE_JS, apply_default_css=False)
            results = gr.HTML(results_view(Sitting(), scene, PREDICTED, OPACITY), apply_default_css=False)
    sitting = gr.State(Sitting(), time_to_live=REMEMBER_S)
    _wire(
        Parts(
            sitting, picture, photo, compare_button, clear_button, example_row, *settings, verdict, results
        ),
        handlers,
    )


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
    photo = gr.HTML("", js_on_load=_PICK_JS, apply_default_css=False, elem_id="fer-photo")
    return picture, photo


def _settings(scene: Scene) -> tuple[gr.CheckboxGroup, gr.Radio, gr.Dropdown, gr.Slider]:
    models = [(look.title, name) for name, look in scene.looks.items()]
    detectors = [
        (spec.title + (" (opt-in)" if spec.opt_in else ""), spec.name) for spec in DETECTORS.values()
    ]
    targets = [("each model's own answer", PREDICTED), *((e.capitalize(), e) for e in EMOTIONS)]
    return (
        gr.CheckboxGroup(models, value=list(scene.looks), label="Models"),
        gr.Radio(detectors, value=DEFAULT_DETECTOR, label="Face detector"),
        gr.Dropdown(targets, value=PREDICTED, label="Maps show what speaks for"),
        gr.Slider(0.0, 1.0, value=OPACITY, step=0.05, label="Opacity of the maps"),
    )


def _wire(parts: Parts, do: Handlers) -> None:
    shown = [parts.sitting, parts.picture, parts.photo, parts.verdict, parts.results]
    drawing = [parts.sitting, parts.target, parts.opacity]
    _wire_models(parts, do, shown)
    parts.photo.select(do.choose, drawing, shown, **_QUIET)
    parts.clear.click(do.clear, drawing[1:], shown, **_QUIET)
    for control in (parts.target, parts.opacity):
        control.input(do.redraw, drawing, parts.results, trigger_mode="always_last", **_QUIET)


def _wire_models(parts: Parts, do: Handlers, shown: list[Any]) -> None:
    """Wire the events that read a picture: a new one, or the present one with other settings."""
    options: dict[str, Any] = {
        "outputs": shown,
        "api_visibility": "private",
        "concurrency_id": MODELS,
        "concurrency_limit": 1,
        "trigger_mode": "always_last",
        "show_progress": "minimal",
        "show_progress_on": [parts.results],
    }
    drawing = [parts.sitting, parts.target, parts.opacity]
    reading = [parts.backbones, parts.detector, parts.target, parts.opacity]
    upload = parts.picture.input(do.upload, [parts.picture, *reading], preprocess=False, **options)
    example = parts.examples.select(do.example, reading, **options)
    for run in (upload, example):
        run.failure(do.lost, drawing[1:], shown, **_QUIET)
    compare = parts.compare.click(do.again, [parts.sitting, *reading], **options)
    changes = [
        control.input(do.settings, [parts.sitting, *reading], **options)
        for control in (parts.backbones, parts.detector)
    ]
    for run in (compare, *changes):
        run.failure(do.failed, drawing, shown, **_QUIET)
