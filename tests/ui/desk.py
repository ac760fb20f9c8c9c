"""The page without a server: its components' values in a dict, and the events that change them."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np

from fer_space.render.html import Drawing
from fer_space.render.texts import Look
from fer_space.ui.compare import Compare, lay_out_compare, lay_out_status
from fer_space.ui.lab import Lab, lay_out_lab
from fer_space.ui.lending import Lend
from fer_space.ui.occlude import Occlude, lay_out_occlude, swatches_of
from fer_space.ui.page import open_session, read_partners, runs_of, runs_of_frames
from fer_space.ui.session import Session, Sessions
from fer_space.ui.sidebar import lay_out_sidebar, load_examples
from tests.toys import TOY_SPECS, ToyEngine, first_cells
from tests.ui.conftest import EXAMPLES

LOOKS = {spec.name: Look(spec.title, spec.colour, 1_000_000) for spec in TOY_SPECS}
TWO = [spec.name for spec in TOY_SPECS[:2]]
REQUEST = SimpleNamespace(session_hash="a page")


def click(**data: object) -> Any:
    return SimpleNamespace(**data)


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def strokes_uri(
    size_hw: tuple[int, int], where: tuple[slice, slice], colour_rgb: tuple[int, int, int]
) -> str:
    """What the easel sends: a clear PNG with a rectangle painted on it."""
    layer = np.zeros((*size_hw, 4), np.uint8)
    layer[where] = (*colour_rgb[::-1], 255)
    return data_url(cv2.imencode(".png", layer)[1].tobytes())


class Desk:
    """Opens on the first example, read by the toy models of these names."""

    def __init__(
        self,
        names: list[str] = TWO,
        limit: int = 10**9,
        engine: ToyEngine | None = None,
        lend: Lend | None = None,
    ) -> None:
        self.engine = engine = engine or ToyEngine(names)
        self.runs = runs_of(engine, lend)
        self.frames = runs_of_frames(self.runs, engine)
        drawing = Drawing({name: LOOKS[name] for name in names}, {}, first_cells)
        examples = load_examples(EXAMPLES)
        opening = open_session(runs_of(engine), examples, tuple(names))
        partners = read_partners(runs_of(engine), examples, tuple(names)) if lend else {}
        self.sessions = Sessions(opening.answer, limit)
        swatches = swatches_of(opening.answer)
        with gr.Blocks():
            self.sidebar = lay_out_sidebar(
                opening, drawing.looks, examples, {}, fits=[fit.name for fit in self.engine.fits]
            )
            self.tab = lay_out_compare(opening, drawing, lay_out_status(opening))
            self.hide = lay_out_occlude(swatches, "")
            self.bench = lay_out_lab(examples)
        self.do = Compare(self.sidebar, self.tab, self.runs, self.sessions, drawing, examples)
        self.cover = Occlude(self.hide, self.tab, self.runs, self.sessions, drawing, swatches)
        self.lab = Lab(self.bench, self.runs, self.sessions, drawing, examples, partners)
        parts = [*self.sidebar.controls, *self.tab.controls, *self.sidebar.rescue.sliders]
        parts += [self.hide.colour, self.hide.opacity, self.hide.where, self.sidebar.photo, self.tab.answer]
        self.values: dict[Any, Any] = {part: part.value for part in parts}
        self.engine.calls = 0

    @property
    def session(self) -> Session:
        return self.sessions.of(REQUEST)

    def options(self) -> list[Any]:
        return [self.values[part] for part in self.sidebar.controls]

    def view(self) -> list[Any]:
        return [self.values[part] for part in self.tab.controls]

    def set(self, controls: Mapping[str, Any], **values: Any) -> None:
        self.values |= {controls[name]: value for name, value in values.items()}

    def steps(self, handler: Callable[..., Any], *inputs: Any) -> Iterator[None]:
        """Run an event step by step and put its outputs where Gradio would."""
        outcome = handler(REQUEST, *inputs)
        for shown in [outcome] if isinstance(outcome, dict) else outcome:
            self.values |= {part: value for part, value in shown.items() if value != gr.skip()}
            yield

    def run(self, handler: Callable[..., Any], *inputs: Any) -> None:
        """Run an event to its end."""
        for _ in self.steps(handler, *inputs):
            pass

    def read(self) -> None:
        self.run(self.do.read, *self.options(), *self.view())

    def upload(self, data: bytes) -> None:
        self.run(self.do.upload, click(picture=data_url(data), stamp=1), *self.view())
        self.read()

    def example(self, index: int) -> None:
        self.run(self.do.example, click(index=index, stamp=1), *self.view())
        self.read()

    def choose(self, index: object) -> None:
        self.run(self.do.choose, click(index=index), *self.view())

    def follow(self) -> None:
        self.session.tab = "occlude"
        self.run(self.cover.follow, *self.how(), *self.view())

    def how(self) -> list[Any]:
        return [self.values[self.hide.colour], self.values[self.hide.opacity]]

    @property
    def photo(self) -> str:
        return self.values[self.sidebar.photo]

    @property
    def answer(self) -> str:
        return self.values[self.tab.answer]

    @property
    def outcome(self) -> str:
        return self.values[self.hide.outcome]
