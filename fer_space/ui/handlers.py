"""What happens on the left and on the Compare tab. A picture is read once; other events only redraw.

Every event takes the values of the page's components and gives new values of some of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import gradio as gr

from fer_space.detectors.specs import DETECTORS
from fer_space.errors import FerSpaceError
from fer_space.types import Face
from fer_space.ui.forms import Form, Values
from fer_space.ui.hide_handlers import HideHandlers
from fer_space.ui.intake import Example, uploaded_bytes
from fer_space.ui.shared import counting, given
from fer_space.ui.sitting import NO_FACE, UNFORESEEN, Compare, Sitting, read_picture
from fer_space.ui.views import Scene, photo_view, placing_view, results_view, verdict_view

Detect = Callable[..., Sequence[Face]]
Shown = dict[Any, Any]


class Handlers:
    """The events over one engine; they hold nothing of a visitor."""

    def __init__(
        self,
        form: Form,
        compare: Compare,
        detect: Detect,
        scene: Scene,
        examples: Sequence[Example],
        hide: HideHandlers,
    ) -> None:
        self._form, self._compare, self._detect = form, compare, detect
        self._scene, self._examples, self._hide = scene, examples, hide

    def upload(self, values: Values, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008
        """Read a picture that was uploaded, taken or pasted (raw, undecoded payload).

        Opening the camera or the clipboard also fires the event, with nothing in it.
        """
        payload = values[self._form.left.picture]
        if not payload:
            return gr.skip()
        try:
            data = uploaded_bytes(payload)
        except FerSpaceError as error:
            return self._show(Sitting(problem=str(error)), values)
        return self._read(data, values, None, progress)

    def example(
        self,
        values: Values,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Shown:
        """Read an example."""
        data = self._examples[_index(event) % len(self._examples)].file.read_bytes()
        return self._read(data, values, None, progress)

    def again(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Read the present picture with the present settings."""
        sitting = self._form.sitting(values)
        return self._read(sitting.data, values, sitting.placed, progress)

    def settings(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Follow a change of models or of the maps' method; without a picture there is nothing to do."""
        sitting = self._form.sitting(values)
        return self.again(values, progress) if sitting.data else self._show(sitting, values)

    def detector(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Follow a change of the detector, which looks itself where a box was placed by hand before."""
        sitting = self._form.sitting(values)
        if not sitting.data:
            return self._show(sitting, values)
        return self._read(sitting.data, values, None, progress)

    def place(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Read the face that was placed by hand."""
        sitting = self._form.sitting(values)
        face = self._form.rescue.face(values, sitting.size_wh) if sitting.data else None
        return self._read(sitting.data, values, face, progress)

    def choose(self, values: Values, event: gr.EventData) -> Shown:
        """Show another face."""
        return self._show(self._form.sitting(values).select(given(event, "index")), values)

    def redraw(self, values: Values) -> Shown:
        """Draw other maps of the same reading."""
        sitting, maps = self._form.sitting(values), self._form.maps
        view, whole = maps.view(values), values[maps.whole]
        return {
            self._form.left.photo: photo_view(sitting, view, whole),
            maps.results: results_view(sitting, self._scene, view),
        }

    def aim(self, values: Values) -> str:
        """Show where the box by hand is."""
        sitting = self._form.sitting(values)
        if sitting.problem != NO_FACE:
            return photo_view(sitting)
        return placing_view(sitting, self._form.rescue.face(values, sitting.size_wh))

    def point(self, values: Values, event: gr.EventData) -> Any:
        """Move the box by hand to where the photo was clicked."""
        sitting, rescue = self._form.sitting(values), self._form.rescue
        if sitting.problem != NO_FACE:
            return gr.skip()
        middle = {
            rescue.across: _per_cent(given(event, "across")),
            rescue.down: _per_cent(given(event, "down")),
        }
        face = rescue.face({**values, **middle}, sitting.size_wh)
        return {**middle, self._form.left.photo: placing_view(sitting, face)}

    def ask(self, values: Values) -> str:
        """Say of every detector what it finds in the picture."""
        sitting = self._form.sitting(values)
        if not sitting.data:
            return ""
        lines = "".join(
            f"<li><b>{spec.title}</b>: {self._finds(sitting, name)}</li>" for name, spec in DETECTORS.items()
        )
        return f'<ul class="fer-finds" role="status">{lines}</ul>'

    def clear(self, values: Values) -> Shown:
        """Forget the picture."""
        return self._show(Sitting(), values)

    def failed(self, values: Values) -> Shown:
        """After an error that nobody foresaw, keep the picture and drop what was read from it."""
        sitting = self._form.sitting(values)
        return self._show(replace(sitting, comparisons=(), selected=0, problem=UNFORESEEN), values)

    def lost(self, values: Values) -> Shown:
        """After such an error with a new picture, leave nothing of the old one on the page."""
        return self._show(Sitting(problem=UNFORESEEN), values)

    def _read(self, data: bytes, values: Values, placed: Face | None, progress: gr.Progress) -> Shown:
        asked, each = self._form.asked(values), counting(progress)
        return self._show(read_picture(self._compare, data, asked, placed, each), values)

    def _show(self, sitting: Sitting, values: Values) -> Shown:
        form = self._form
        view = form.maps.view(values)
        return {
            form.left.sitting: sitting,
            form.left.picture: gr.update(value=None, visible=not sitting.photo_uri),
            form.left.photo: photo_view(sitting, view, values[form.maps.whole]),
            form.rescue.group: gr.update(visible=sitting.problem == NO_FACE),
            form.rescue.found: "",
            form.maps.verdict: verdict_view(sitting, self._scene),
            form.maps.results: results_view(sitting, self._scene, view),
            **self._hide.show(sitting, values),
        }

    def _finds(self, sitting: Sitting, detector: str) -> str:
        try:
            number = len(self._detect(sitting.image, detector=detector))
        except FerSpaceError as error:
            return str(error)
        except Exception:  # a detector that breaks must not hide what the others find
            return "it broke on this picture."
        found = "one face" if number == 1 else f"{number} faces" if number else "no face"
        return f"{found}. Choose it in the settings." if number else f"{found}."


def _index(event: gr.EventData) -> int:
    index = given(event, "index")
    return index if isinstance(index, int) else 0


def _per_cent(share: object) -> float:
    """A share of a side, from the page, as a slider's value."""
    if not (isinstance(share, int | float) and isfinite(share)):
        return 50.0
    return round(min(max(float(share), 0.0), 1.0) * 100, 1)
