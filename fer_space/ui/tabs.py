"""The shared column, the two tabs, and what leads to what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fer_space.ui.compare import compare_tab
from fer_space.ui.forms import Form
from fer_space.ui.handlers import Detect, Handlers
from fer_space.ui.hide_handlers import HideHandlers
from fer_space.ui.hiding import Slide
from fer_space.ui.intake import Example
from fer_space.ui.left import left_column
from fer_space.ui.occlude import occlude_tab
from fer_space.ui.shared import QUIET, model_event
from fer_space.ui.sitting import Compare
from fer_space.ui.views import Scene


@dataclass(frozen=True)
class Runs:
    """What runs models: `Engine.compare`, `.sensitivity` and `.detect`, or what stands in for them."""

    compare: Compare
    sensitivity: Slide
    detect: Detect


def tabs(page: gr.Blocks, runs: Runs, scene: Scene, examples: Sequence[Example]) -> None:
    """Lay the page's body out inside the current Blocks, which is `page`, and wire it."""
    form = lay_out(scene, examples)
    hide = HideHandlers(form, runs.compare, runs.sensitivity, scene)
    do = Handlers(form, runs.compare, runs.detect, scene, examples, hide)
    _wire_reading(form, do, hide)
    _wire_drawing(form, do)
    _wire_rescue(form, do, hide)
    _wire_hiding(form, hide)
    _wire_memory(page, form.left.backbones, tuple(scene.looks))


def lay_out(scene: Scene, examples: Sequence[Example]) -> Form:
    """Lay the page's body out inside the current Blocks."""
    with gr.Row(elem_classes="fer-page"):
        left, rescue = left_column(scene, examples)
        with gr.Column(scale=3, min_width=320, elem_classes="fer-right"), gr.Tabs():
            maps, hide = compare_tab(scene), occlude_tab(scene)
    return Form(left, rescue, maps, hide)


def _wire_reading(form: Form, do: Handlers, hide: HideHandlers) -> None:
    """Wire the events that read a picture: a new one, or the present one with other settings."""
    left, options = form.left, model_event(form.maps.results, form.hide.covered)
    slow = model_event(form.maps.results, bar=True)
    upload = left.picture.input(
        do.upload, {*form.inputs, left.picture}, form.outputs, preprocess=False, **options
    )
    example = left.examples.select(do.example, form.inputs, form.outputs, **options)
    present = (
        left.compare.click(do.again, form.inputs, form.outputs, **options),
        left.backbones.input(do.settings, form.inputs, form.outputs, **options),
        left.lift.input(do.settings, form.inputs, form.outputs, **options),
        left.detector.input(do.detector, form.inputs, form.outputs, **options),
        form.maps.method.input(do.settings, form.inputs, form.outputs, **slow),
    )
    for run in (upload, example):
        _then(run, form, do.lost, hide)
    for run in present:
        _then(run, form, do.failed, hide)


def _then(run: Any, form: Form, failed: Callable[..., Any], hide: HideHandlers) -> None:
    """After a reading: cover it too where that is shown; after an error show it."""
    run.failure(failed, form.inputs, form.outputs, **QUIET)
    cover = run.success(hide.follow, form.inputs, form.hidden, **model_event(form.hide.covered))
    cover.failure(hide.failed, form.inputs, form.hidden, **QUIET)


def _wire_drawing(form: Form, do: Handlers) -> None:
    left, maps = form.left, form.maps
    left.photo.select(do.choose, form.inputs, form.outputs, **QUIET)
    left.clear.click(do.clear, form.inputs, form.outputs, **QUIET)
    for control in maps.drawing:
        control.input(do.redraw, form.inputs, [left.photo, maps.results], trigger_mode="always_last", **QUIET)


def _wire_rescue(form: Form, do: Handlers, hide: HideHandlers) -> None:
    rescue, left = form.rescue, form.left
    sliders = [rescue.across, rescue.down, rescue.size]
    for slider in sliders:
        slider.input(do.aim, form.inputs, left.photo, trigger_mode="always_last", **QUIET)
    left.photo.click(do.point, form.inputs, [*sliders, left.photo], **QUIET)
    rescue.ask.click(do.ask, form.inputs, rescue.found, **model_event(rescue.found))
    place = rescue.place.click(do.place, form.inputs, form.outputs, **model_event(form.maps.results))
    _then(place, form, do.failed, hide)


def _wire_hiding(form: Form, do: HideHandlers) -> None:
    hide = form.hide
    form.maps.tab.select(lambda: False, None, hide.is_open, **QUIET)
    hide.where.input(do.turn, form.inputs, hide.easel, **QUIET)
    options, slow = model_event(hide.covered), model_event(hide.covered, bar=True)
    runs = (
        hide.tab.select(do.opened, form.inputs, [hide.is_open, *form.hidden], **options),
        hide.kind.input(do.cover, form.inputs, form.hidden, **options),
        hide.colour.input(do.cover, form.inputs, form.hidden, **options),
        hide.opacity.release(do.cover, form.inputs, form.hidden, **options),
        hide.easel.submit(do.painted, form.inputs, form.hidden, **options),
        hide.slide.click(do.slide, form.inputs, form.hidden, **slow),
    )
    for run in runs:
        run.failure(do.failed, form.inputs, form.hidden, **QUIET)


def _wire_memory(page: gr.Blocks, chosen: gr.CheckboxGroup, names: Sequence[str]) -> None:
    """Keep the choice of backbones in the visitor's own browser; it holds for the next visit."""
    kept = gr.BrowserState(None, storage_key="fer-space-models", secret="fer-space")

    def recall(remembered: object) -> Any:
        """The remembered names that still exist; all, where nothing usable is remembered."""
        if not isinstance(remembered, list):
            return gr.skip()
        return [name for name in names if name in remembered] or gr.skip()

    chosen.input(lambda names: names, chosen, kept, **QUIET)
    page.load(recall, kept, chosen, **QUIET)
