"""The page's components, and what a visitor has chosen on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fer_space.occlusion.cover import Cover
from fer_space.render import MapView
from fer_space.types import Face
from fer_space.ui.hiding import Hiding
from fer_space.ui.sitting import Asked, Sitting

Values = Mapping[Any, Any]  # what Gradio hands over: the value of each component
OWN = "own"
COLOURS = {
    OWN: "its own",
    "#111827": "black",
    "#f8fafc": "white",
    "#2563eb": "blue",
    "#15803d": "green",
    "#db2777": "pink",
    "#b91c1c": "red",
}


@dataclass(frozen=True)
class Left:
    """The column that both tabs share."""

    sitting: gr.State
    picture: gr.Image
    photo: gr.HTML
    compare: gr.Button
    clear: gr.Button
    examples: gr.HTML
    backbones: gr.CheckboxGroup
    detector: gr.Radio
    lift: gr.Checkbox


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

    def face(self, values: Values, size_wh: tuple[int, int]) -> Face:
        """The face that was placed by hand: a square, its middle and side in per cent of the picture."""
        width, height = size_wh
        x, y = values[self.across] / 100 * width, values[self.down] / 100 * height
        half = max(values[self.size] / 200 * min(width, height), 0.5)
        return Face((x - half, y - half, x + half, y + half), 1.0, None)


@dataclass(frozen=True)
class Maps:
    """The Compare tab."""

    tab: gr.Tab
    target: gr.Dropdown
    versus: gr.Dropdown
    method: gr.Dropdown
    whole: gr.Dropdown
    opacity: gr.Slider
    cells: gr.Slider
    contour: gr.Checkbox
    verdict: gr.HTML
    results: gr.HTML

    @property
    def drawing(self) -> tuple[Any, ...]:
        """The controls that draw the same maps otherwise."""
        return self.target, self.versus, self.opacity, self.contour, self.cells, self.whole

    def view(self, values: Values) -> MapView:
        """How maps are drawn."""
        target, versus, opacity, contour, cells = (values[control] for control in self.drawing[:5])
        return MapView(target, versus, float(opacity), bool(contour), int(cells))


@dataclass(frozen=True)
class Hide:
    """The Occlude tab."""

    tab: gr.Tab
    is_open: gr.State
    hiding: gr.State
    kind: gr.Dropdown
    colour: gr.Dropdown
    opacity: gr.Slider
    pair: gr.HTML
    where: gr.Radio
    easel: gr.HTML
    slide: gr.Button
    outcome: gr.HTML
    covered: gr.HTML
    slid: gr.HTML

    def cover(self, values: Values) -> Cover:
        """What covers the faces."""
        colour = values[self.colour]
        rgb = None if colour == OWN else tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return Cover(values[self.kind], rgb, float(values[self.opacity]))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Form:
    """All of them."""

    left: Left
    rescue: Rescue
    maps: Maps
    hide: Hide

    @property
    def inputs(self) -> set[Any]:
        """Every component whose value an event may need."""
        left, rescue, maps, hide = self.left, self.rescue, self.maps, self.hide
        chosen = {
            left.sitting,
            left.backbones,
            left.detector,
            left.lift,
            rescue.across,
            rescue.down,
            rescue.size,
        }
        return {
            *chosen,
            *maps.drawing,
            maps.method,
            hide.is_open,
            hide.hiding,
            hide.kind,
            hide.colour,
            hide.opacity,
            hide.where,
        }

    @property
    def outputs(self) -> list[Any]:
        """Every component that a new reading changes."""
        left, maps, hide = self.left, self.maps, self.hide
        return [
            *(left.sitting, left.picture, left.photo),
            *(self.rescue.group, self.rescue.found, maps.verdict, maps.results),
            *self.hidden,
            hide.easel,
        ]

    @property
    def hidden(self) -> list[Any]:
        """Every component that another cover changes."""
        hide = self.hide
        return [hide.hiding, hide.outcome, hide.pair, hide.covered, hide.slid]

    def sitting(self, values: Values) -> Sitting:
        """What the visitor's page remembers of the picture."""
        sitting: Sitting = values[self.left.sitting]
        return sitting

    def hiding(self, values: Values) -> Hiding:
        """What it remembers of the covers."""
        hiding: Hiding = values[self.hide.hiding]
        return hiding

    def asked(self, values: Values) -> Asked:
        """By what a picture is to be read."""
        chosen = tuple(dict.fromkeys(values[self.left.backbones]))  # a forged list may repeat itself
        return Asked(
            chosen, values[self.left.detector], values[self.maps.method], bool(values[self.left.lift])
        )
