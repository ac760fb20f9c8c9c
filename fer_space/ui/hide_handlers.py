"""What happens on the Occlude tab: its results are computed when it is open, never before."""

from typing import Any

import gradio as gr

from fer_space.errors import FerSpaceError
from fer_space.ui.forms import Form, Values
from fer_space.ui.hide_views import covered_view, easel_view, outcome_view, pair_view, slid_view
from fer_space.ui.hiding import Hiding, Slide, cover_faces, read_painted, slide_patch, window_of
from fer_space.ui.intake import painted_strokes
from fer_space.ui.shared import counting, given
from fer_space.ui.sitting import NO_PICTURE, UNFORESEEN, Compare, Sitting
from fer_space.ui.views import Scene

Shown = dict[Any, Any]
WHOLE = "the whole photo"
FACE = "the face"


class HideHandlers:
    """The tab's events over one engine; they hold nothing of a visitor."""

    def __init__(self, form: Form, compare: Compare, slide: Slide, scene: Scene) -> None:
        self._form, self._compare, self._slide, self._scene = form, compare, slide, scene

    def opened(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Compute what the tab shows, unless it is known already."""
        return {self._form.hide.is_open: True, **self._follow(values, progress)}

    def follow(self, values: Values, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008
        """After another reading: cover it too, if the tab is open."""
        return self._follow(values, progress) if values[self._form.hide.is_open] else gr.skip()

    def cover(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Cover the faces by something else."""
        sitting, hiding = self._known(values)
        if sitting.comparisons:
            cover = self._form.hide.cover(values)
            hiding = cover_faces(self._compare, sitting, hiding, cover, counting(progress))
        return self._draw(sitting, hiding, values)

    def painted(
        self,
        values: Values,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Shown:
        """Read the picture with what was painted on it."""
        sitting, hiding = self._known(values)
        if not sitting.comparisons:
            return self._draw(sitting, hiding, values)
        try:
            strokes = painted_strokes(given(event, "strokes"))
        except FerSpaceError as error:
            return self._draw(sitting, Hiding(sitting.comparisons, problem=str(error)), values)
        window = window_of(sitting, values[self._form.hide.where] == WHOLE)
        hiding = read_painted(self._compare, sitting, hiding, strokes, window, counting(progress))
        return self._draw(sitting, hiding, values)

    def slide(self, values: Values, progress: gr.Progress = gr.Progress()) -> Shown:  # noqa: B008
        """Slide a patch over the selected face."""
        sitting, hiding = self._known(values)
        if not sitting.comparisons:
            return self._draw(sitting, Hiding(sitting.comparisons, problem=NO_PICTURE), values)
        return self._draw(sitting, slide_patch(self._slide, sitting, hiding, counting(progress)), values)

    def turn(self, values: Values) -> str:
        """Show another part of the picture to paint on."""
        return easel_view(self._form.sitting(values), values[self._form.hide.where] == WHOLE)

    def failed(self, values: Values) -> Shown:
        """After an error that nobody foresaw, drop what was covered."""
        sitting = self._form.sitting(values)
        return self._draw(sitting, Hiding(sitting.comparisons, problem=UNFORESEEN), values)

    def show(self, sitting: Sitting, values: Values) -> Shown:
        """The whole tab, for a sitting that may be new."""
        hiding = self._form.hiding(values).for_sitting(sitting)
        easel = easel_view(sitting, values[self._form.hide.where] == WHOLE)
        return {**self._draw(sitting, hiding, values), self._form.hide.easel: easel}

    def _follow(self, values: Values, progress: gr.Progress) -> Shown:
        sitting, hiding = self._known(values)
        if sitting.comparisons and not hiding.covered:
            return self.cover(values, progress)
        return self._draw(sitting, hiding, values)

    def _known(self, values: Values) -> tuple[Sitting, Hiding]:
        sitting = self._form.sitting(values)
        return sitting, self._form.hiding(values).for_sitting(sitting)

    def _draw(self, sitting: Sitting, hiding: Hiding, values: Values) -> Shown:
        hide = self._form.hide
        return {
            hide.hiding: hiding,
            hide.outcome: outcome_view(sitting, hiding, self._scene),
            hide.pair: pair_view(sitting, hiding),
            hide.covered: covered_view(sitting, hiding, self._scene, self._form.maps.view(values)),
            hide.slid: slid_view(sitting, hiding, self._scene),
        }
