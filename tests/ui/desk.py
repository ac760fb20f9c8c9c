"""The page without a server: its components' values in a dict, and the handlers that change them."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np

from fer_space.render import Look
from fer_space.ui.handlers import Handlers
from fer_space.ui.hide_handlers import HideHandlers
from fer_space.ui.hiding import Hiding
from fer_space.ui.intake import load_examples
from fer_space.ui.sitting import Sitting
from fer_space.ui.tabs import lay_out
from fer_space.ui.views import Scene
from tests.toys import TOY_SPECS, ToyEngine
from tests.ui.conftest import EXAMPLES

LOOKS = {spec.name: Look(spec.title, spec.colour, 1_000_000) for spec in TOY_SPECS}
TWO = [spec.name for spec in TOY_SPECS[:2]]


def click(**data: object) -> Any:
    return SimpleNamespace(**data)


class Desk:
    def __init__(self, uploads: Path, names: list[str] = TWO) -> None:
        self.engine, self.uploads = ToyEngine(names), uploads
        scene = Scene({name: LOOKS[name] for name in names}, {})
        examples = load_examples(EXAMPLES)
        with gr.Blocks():
            self.form = lay_out(scene, examples)
        self.hide = HideHandlers(self.form, self.engine.compare, self.engine.sensitivity, scene)
        engine = self.engine
        self.do = Handlers(self.form, engine.compare, engine.detect, scene, examples, self.hide)
        self.values: dict[Any, Any] = {part: part.value for part in self.form.inputs}

    def run(self, handler: Callable[..., Any], *event: Any) -> None:
        """Run an event and put its outputs where Gradio would."""
        self.values |= handler(self.values, *event)

    def set(self, part: Any, **values: Any) -> None:
        self.values |= {getattr(part, name): value for name, value in values.items()}

    def upload(self, data: bytes) -> None:
        (self.uploads / "upload").write_bytes(data)
        self.values[self.form.left.picture] = {"path": str(self.uploads / "upload")}
        self.run(self.do.upload)

    def example(self, index: int) -> Sitting:
        self.run(self.do.example, click(index=index))
        return self.sitting

    @property
    def sitting(self) -> Sitting:
        return self.form.sitting(self.values)

    @property
    def hiding(self) -> Hiding:
        return self.form.hiding(self.values)

    @property
    def photo(self) -> str:
        return self.values[self.form.left.photo]

    @property
    def verdict(self) -> str:
        return self.values[self.form.maps.verdict]

    @property
    def results(self) -> str:
        return self.values[self.form.maps.results]

    @property
    def outcome(self) -> str:
        return self.values[self.form.hide.outcome]


def strokes_uri(
    size_hw: tuple[int, int], where: tuple[slice, slice], colour_rgb: tuple[int, int, int]
) -> str:
    """What the easel sends: a clear PNG with a rectangle painted on it."""
    layer = np.zeros((*size_hw, 4), np.uint8)
    layer[where] = (*colour_rgb[::-1], 255)
    _, png = cv2.imencode(".png", layer)
    return f"data:image/png;base64,{b64encode(png.tobytes()).decode()}"
