"""What happens on the Compare tab. A picture is read once; the other events only redraw the result.

Every event gives the sitting and what the page shows of it: picture, photo, verdict, results.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from fer_space.errors import FerSpaceError
from fer_space.ui.intake import Example, uploaded_bytes
from fer_space.ui.sitting import UNFORESEEN, Compare, Sitting, read_picture
from fer_space.ui.views import Scene, photo_view, results_view, verdict_view


class Handlers:
    """The tab's events over one engine; they hold nothing of a visitor."""

    def __init__(self, compare: Compare, scene: Scene, examples: Sequence[Example]) -> None:
        self._compare, self._scene, self._examples = compare, scene, examples

    def upload(
        self,
        payload: Mapping[str, Any] | None,
        backbones: list[str],
        detector: str,
        target: str,
        opacity: float,
    ) -> Any:
        """Read a picture that was uploaded, taken or pasted (raw, undecoded payload).

        Opening the camera or the clipboard also fires the event, with nothing in it.
        """
        if not payload:
            return gr.skip()
        try:
            data = uploaded_bytes(payload)
        except FerSpaceError as error:
            return self._show(Sitting(problem=str(error)), target, opacity)
        return self._read(data, backbones, detector, target, opacity)

    def example(
        self, backbones: list[str], detector: str, target: str, opacity: float, event: gr.EventData
    ) -> tuple[Any, ...]:
        """Read an example."""
        data = self._examples[event.index % len(self._examples)].file.read_bytes()
        return self._read(data, backbones, detector, target, opacity)

    def again(
        self, sitting: Sitting, backbones: list[str], detector: str, target: str, opacity: float
    ) -> tuple[Any, ...]:
        """Read the present picture with the present settings."""
        return self._read(sitting.data, backbones, detector, target, opacity)

    def settings(
        self, sitting: Sitting, backbones: list[str], detector: str, target: str, opacity: float
    ) -> tuple[Any, ...]:
        """Follow a change of models or detector; without a picture there is nothing to do."""
        if not sitting.data:
            return self._show(sitting, target, opacity)
        return self._read(sitting.data, backbones, detector, target, opacity)

    def choose(self, sitting: Sitting, target: str, opacity: float, event: gr.EventData) -> tuple[Any, ...]:
        """Show another face."""
        return self._show(sitting.select(event.index), target, opacity)

    def redraw(self, sitting: Sitting, target: str, opacity: float) -> str:
        """Draw other maps of the same reading."""
        return results_view(sitting, self._scene, target, opacity)

    def clear(self, target: str, opacity: float) -> tuple[Any, ...]:
        """Forget the picture."""
        return self._show(Sitting(), target, opacity)

    def failed(self, sitting: Sitting, target: str, opacity: float) -> tuple[Any, ...]:
        """After an error that nobody foresaw, keep the picture and drop what was read from it."""
        return self._show(replace(sitting, comparisons=(), problem=UNFORESEEN), target, opacity)

    def lost(self, target: str, opacity: float) -> tuple[Any, ...]:
        """After such an error with a new picture, leave nothing of the old one on the page."""
        return self._show(Sitting(problem=UNFORESEEN), target, opacity)

    def _read(
        self, data: bytes, backbones: list[str], detector: str, target: str, opacity: float
    ) -> tuple[Any, ...]:
        return self._show(read_picture(self._compare, data, backbones, detector), target, opacity)

    def _show(self, sitting: Sitting, target: str, opacity: float) -> tuple[Any, ...]:
        return (
            sitting,
            gr.update(value=None, visible=not sitting.photo_uri),
            photo_view(sitting),
            verdict_view(sitting, self._scene),
            results_view(sitting, self._scene, target, opacity),
        )
