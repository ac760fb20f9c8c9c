"""The Occlude tab: cover the faces, paint on one, or slide a patch over it, and see which answers stay.

Its results are computed when it is open, never before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from fer_space.card import Card
from fer_space.comparison import Comparison, Covered, pair
from fer_space.errors import ImageError
from fer_space.occlusion import CROP_ONLY, OCCLUSIONS
from fer_space.occlusion.cover import Cover
from fer_space.render import html
from fer_space.render.html import Drawing, Window
from fer_space.render.overlays import SHOWN_SIDE, data_uri
from fer_space.types import Reading
from fer_space.ui.compare import Tab, page_of
from fer_space.ui.events import MODELS, QUIET, given, inline_bytes, sentence_of
from fer_space.ui.reading import Runs
from fer_space.ui.session import Answer, Coverage, Image, Session, Sessions
from fer_space.ui.sidebar import status_view
from fer_space.vision.imaging import decode_image, resize, shrink

PAINTED = "painted"
OWN_COLOUR = "own"
COLOURS = {
    "its own": OWN_COLOUR,
    "black": "#111827",
    "white": "#f8fafc",
    "blue": "#2563eb",
    "green": "#15803d",
    "pink": "#db2777",
    "red": "#b91c1c",
}
FACE, WHOLE = "the face", "the whole photo"
NOTHING_PAINTED = "Nothing is painted yet: paint over a part of the face, then have it read."
FIRST = "Show a face first; then cover it here and see which models keep their answer."
_FREE = "Free face"
_AVERAGE = (
    "No landmarks are known for this face, so the cover is drawn on its crop as on an average face, "
    "and may not fit."
)
_AROUND = 0.45  # of a face's longer side, shown on every side of it while it is painted
_STROKES_BYTES = 2_000_000  # more than a full sheet has, without any compression
_SWATCH = 84  # pixels of a small picture of a cover
Shown = dict[Any, Any]


@dataclass(frozen=True)
class Controls:
    """The tab's components."""

    tab: gr.Tab
    palette: gr.HTML
    colour: gr.Dropdown
    opacity: gr.Slider
    pair: gr.HTML
    where: gr.Radio
    easel: gr.HTML
    slide: gr.Button
    outcome: gr.HTML
    covered: gr.HTML
    slid: gr.HTML


@dataclass(frozen=True)
class Swatch:
    """A cover as a small picture."""

    name: str
    title: str
    uri: str


def swatches_of(opening: Answer) -> list[Swatch]:
    """Draw every cover on the opening example's face; without one, on plain grey."""
    face = opening.read[0] if opening.read else None
    swatches = []
    for name, spec in OCCLUSIONS.items():
        image = np.full((_SWATCH, _SWATCH, 3), 150, np.uint8)
        if face is not None:
            image = _covered_crop(Cover(name), face)
        swatches.append(Swatch(name, spec.title, data_uri(shrink(image, _SWATCH), 76)))
    return swatches


def lay_out_occlude(swatches: Sequence[Swatch], robustness: str) -> Controls:
    """Lay the tab out inside the current Tabs.

    Args:
        swatches: the covers.
        robustness: what was measured on covered test sets, as HTML.
    """
    with gr.Tab("Occlude", id="occlude", elem_classes="fer-tab") as tab:
        outcome = gr.HTML(
            html.render("first", sentence=""), js_on_load="fer.live(element, watch)", apply_default_css=False
        )
        with gr.Row(elem_classes="fer-hide"):
            with gr.Column(scale=2, min_width=270, elem_classes="fer-tools"):
                palette = gr.HTML(
                    html.render("palette", covers=swatches, chosen=""),
                    js_on_load="fer.palette(element, trigger)",
                    apply_default_css=False,
                )
                with gr.Row(elem_classes="fer-controls"):
                    colour = gr.Dropdown(
                        list(COLOURS.items()),
                        value=OWN_COLOUR,
                        label="Colour",
                        min_width=110,
                        filterable=False,
                    )
                    opacity = gr.Slider(0.0, 1.0, value=1.0, step=0.05, label="Cover opacity", min_width=130)
                pair = gr.HTML(
                    "", js_on_load="fer.slider(element, watch)", apply_default_css=False, elem_id="fer-pair"
                )
                with gr.Accordion("Paint your own", open=False, elem_id="fer-paint"):
                    where = gr.Radio(
                        [FACE, WHOLE], value=FACE, show_label=False, container=False, label="Paint on"
                    )
                    easel = gr.HTML(
                        "", js_on_load="fer.easel(element, trigger, watch)", apply_default_css=False
                    )
                slide = gr.Button("Slide a patch over the face", elem_id="fer-slide")
            with gr.Column(scale=5, min_width=320, elem_classes="fer-outcomes"):
                slid = gr.HTML("", apply_default_css=False, elem_id="fer-slid")
                covered = gr.HTML("", apply_default_css=False)
        gr.HTML(robustness, apply_default_css=False)
    return Controls(tab, palette, colour, opacity, pair, where, easel, slide, outcome, covered, slid)


def cover_of(kind: str, colour: str, opacity: float) -> Cover:
    """What covers the faces, from the values of its controls."""
    if colour not in COLOURS.values() or colour == OWN_COLOUR:
        return Cover(kind, None, float(opacity))
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return Cover(kind, (red, green, blue), float(opacity))


def robustness_rows(cards: Mapping[str, Card]) -> list[tuple[str, dict[str, float]]]:
    """What the cards say of covered FERPlus test faces: accuracy by condition, the free face first.

    A model that was not measured both free and covered is left out.
    """
    titles = {None: _FREE} | {name: occlusion.title for name, occlusion in OCCLUSIONS.items()}
    rows = []
    for name, card in cards.items():
        measured = card.under_occlusion(list(OCCLUSIONS))
        if None in measured and len(measured) > 1:
            rows.append((name, {titles[cover]: scores.accuracy for cover, scores in measured.items()}))
    return rows


class Occlude:
    """The tab's events; they hold nothing of a visitor.

    Args:
        controls: the tab's components.
        compare: the Compare tab's, whose map controls hold here too.
        runs: what runs the models.
        sessions: the pages that are open.
        drawing: what every drawing shares.
        swatches: the covers.
    """

    def __init__(
        self,
        controls: Controls,
        compare: Tab,
        runs: Runs,
        sessions: Sessions,
        drawing: Drawing,
        swatches: Sequence[Swatch],
    ) -> None:
        self._controls, self._compare, self._runs = controls, compare, runs
        self._sessions, self._drawing = sessions, drawing
        self._swatches = swatches

    def wire(self, changes: Sequence[Any]) -> None:
        """Wire the events.

        Args:
            changes: events after which something else may be shown, which is then covered if the tab is open.
        """
        controls, views = self._controls, self._compare.controls
        how = [controls.colour, controls.opacity]
        shown = self.outputs
        for event in changes:
            event.then(self.follow, [*how, *views], shown, **MODELS)
        controls.tab.select(self.open, [*how, *views], shown, **MODELS)
        controls.palette.select(self.cover, [*how, *views], shown, **MODELS)
        controls.colour.input(self.recolour, [*how, *views], shown, **MODELS)
        controls.opacity.release(self.recolour, [*how, *views], shown, **MODELS)
        controls.easel.submit(self.paint, views, shown, **MODELS)
        controls.slide.click(self.slide, views, shown, **MODELS)
        controls.where.input(self.turn, controls.where, controls.easel, **QUIET)
        for control in views:
            control.input(self.redraw, views, shown, **QUIET)

    @property
    def outputs(self) -> list[Any]:
        """Every component that another cover changes."""
        c = self._controls
        return [self._compare.status, c.outcome, c.palette, c.pair, c.covered, c.slid, c.where, c.easel]

    def open(self, request: gr.Request, colour: str, opacity: float, *view: Any) -> Iterator[Shown]:
        """When the tab opens: cover what is shown."""
        yield from self._current(page_of(self._sessions, request, view), colour, opacity)

    def follow(self, request: gr.Request, colour: str, opacity: float, *view: Any) -> Iterator[Shown]:
        """After another picture, face or reading: cover what is shown, if the tab is open."""
        session = page_of(self._sessions, request, view)
        if not session.answer.done:  # how far that is, the events that read it say
            yield {part: value for part, value in self._show(session).items() if part != self._compare.status}
        elif session.tab == self._controls.tab.id:
            yield from self._current(session, colour, opacity)

    def _current(self, session: Session, colour: str, opacity: float) -> Iterator[Shown]:
        if session.answer.done and session.coverage.of is not session.answer:
            kind = session.wanted.kind if session.wanted else self._swatches[0].name
            yield from self._cover(session, cover_of(kind, colour, opacity))
        else:
            yield self._show(session)

    def cover(
        self, request: gr.Request, event: gr.EventData, colour: str, opacity: float, *view: Any
    ) -> Iterator[Shown]:
        """Cover the faces by something else."""
        kind = given(event, "kind")
        if isinstance(kind, str) and kind in OCCLUSIONS:
            yield from self._cover(page_of(self._sessions, request, view), cover_of(kind, colour, opacity))

    def recolour(self, request: gr.Request, colour: str, opacity: float, *view: Any) -> Iterator[Shown]:
        """Cover the faces by the same in another colour; what was painted stays."""
        session = page_of(self._sessions, request, view)
        if session.wanted is not None:
            yield from self._cover(session, cover_of(session.wanted.kind, colour, opacity))

    def paint(self, request: gr.Request, event: gr.EventData, *view: Any) -> Iterator[Shown]:
        """Read the picture with what was painted on it; where nothing was, all stays as it is."""
        session = page_of(self._sessions, request, view)
        answer, picture = session.answer, session.answer.picture
        if not answer.done or picture is None:
            yield self._show(session)
            return
        try:
            strokes = _strokes(given(event, "strokes"))
            if not strokes[..., 3].any():
                yield self._show(session, note=NOTHING_PAINTED)
                return
            window = window_of(answer, session.selected, whole=session.whole)
            painted = self._runs.of(session.who).decode(
                picture.data, partial(lay_over, strokes_rgba=strokes, window=window), beside=2
            )
        except Exception as error:
            yield self._show(session, note=sentence_of(error))
            return
        session.wanted = None
        photo = data_uri(shrink(painted, SHOWN_SIDE))
        yield from self._read(session, answer, painted, None, photo, object())

    def slide(self, request: gr.Request, *view: Any) -> Iterator[Shown]:
        """Slide a patch over the selected face, model by model; a newer slide or picture ends it."""
        session = page_of(self._sessions, request, view)
        answer, picture, selected = session.answer, session.answer.picture, session.selected
        if not answer.done or picture is None or answer.options is None:
            yield self._show(session)
            return
        over, job = (answer, selected), object()
        session.slide_job = job
        try:
            runs = self._runs.of(session.who)
            image = runs.decode(picture.data)
            slides = runs.sensitivity(image, answer.faces[selected], backbones=answer.options.backbones)
            for found in runs.in_turns(slides):
                if session.answer is not answer or session.slide_job is not job:
                    return
                kept = session.coverage.slid if session.coverage.slid_over == over else ()
                known = tuple(s for s in kept if s.backbone != found.backbone)
                session.coverage = replace(session.coverage, slid=(*known, found), slid_over=over)
                yield self._show(session)
        except Exception as error:
            yield self._show(session, note=sentence_of(error))

    def turn(self, request: gr.Request, where: str) -> str:
        """Show another part of the picture to paint on."""
        return self._easel(self._sessions.of(request), where == WHOLE)

    def redraw(self, request: gr.Request, *view: Any) -> Shown:
        """Draw other maps of the same covered faces."""
        return self._show(page_of(self._sessions, request, view))

    def _cover(self, session: Session, cover: Cover) -> Iterator[Shown]:
        session.wanted = cover
        answer, picture = session.answer, session.answer.picture
        if not answer.done or picture is None:
            yield self._show(session)
            return
        job = (answer, cover)
        if session.cover_job == job:
            yield self._show(session)
            return
        photo = ""

        def draw(image: Image) -> None:
            nonlocal photo
            photo = data_uri(shrink(cover.on_photo(image, answer.faces), SHOWN_SIDE))

        drawn = cover.kind not in CROP_ONLY
        try:
            image = self._runs.of(session.who).decode(picture.data, draw if drawn else None, beside=2 * drawn)
        except Exception as error:
            yield self._show(session, note=sentence_of(error))
            return
        yield from self._read(session, answer, image, cover, photo, job)

    def _read(
        self, session: Session, answer: Answer, image: Image, cover: Cover | None, photo: str, job: object
    ) -> Iterator[Shown]:
        """Read the faces of an answer covered; a newer cover or picture ends it."""
        if session.answer is not answer or answer.options is None:  # a new one came while this was decoded
            return
        session.cover_job = job
        try:
            columns: list[Sequence[Reading]] = []
            total = len(answer.options.backbones)
            yield self._progress(session, 0, total)
            runs = self._runs.of(session.who)
            for _, readings in runs.steps(image, answer.options, answer.faces, [cover]):
                columns.append(readings)
                if session.cover_job is not job or session.answer is not answer:
                    return
                yield self._progress(session, len(columns), total)
            after = self._runs.together(answer.faces, columns, answer.options.ensemble)
        except Exception as error:
            session.cover_job = None
            yield self._show(session, note=sentence_of(error))
            return
        kind = cover.kind if cover else PAINTED
        covered = tuple(pair(answer.read, after, kind))
        session.coverage = replace(session.coverage, of=answer, covered=covered, photo_uri=photo)
        yield self._show(session)

    def _progress(self, session: Session, models: int, total: int) -> Shown:
        """Say how far the covered faces are; at the start the rest is shown as it is."""
        stage = f"Reading what is covered: {models} of {total} models"
        status = {self._compare.status: html.render("status", stage=stage, share=models / total)}
        return status if models else {**self._show(session), **status}

    def _show(self, session: Session, *, note: str = "") -> Shown:
        answer, coverage, c = session.answer, session.coverage, self._controls
        current = coverage.of is answer and session.selected < len(coverage.covered)
        covered = coverage.covered[session.selected] if current else None
        slid = bool(coverage.slid) and coverage.slid_over == (answer, session.selected)
        shown = session.shown
        cards = html.covered_html(covered, self._drawing, session.view) if covered else ""
        painting = (answer, session.selected)
        kept = session.painting == painting  # what is being painted stays until another face is shown
        session.painting = painting
        return {
            self._compare.status: status_view(session),
            c.outcome: _outcome(session, covered, self._drawing, note),
            c.palette: html.render("palette", covers=self._swatches, chosen=covered.kind if covered else ""),
            c.pair: _pair(answer, coverage, covered, session.selected) if covered else "",
            c.covered: cards,
            c.slid: html.sensitivity_html(coverage.slid, _crops(shown), self._drawing)
            if slid and shown
            else "",
            c.where: gr.skip() if kept else FACE,
            c.easel: gr.skip() if kept else self._easel(session, whole=False),
        }

    def _easel(self, session: Session, whole: bool) -> str:
        answer, session.whole = session.answer, whole
        if not answer.done or answer.picture is None:
            return ""
        return html.easel_html(
            answer.picture.uri, answer.picture.size_wh, window_of(answer, session.selected, whole=whole)
        )


def window_of(answer: Answer, selected: int, *, whole: bool = False) -> Window:
    """The part of the picture that is painted on: a face and what is around it, or all of it."""
    assert answer.picture is not None
    width, height = answer.picture.size_wh
    if whole:
        return 0, 0, width, height
    left, top, right, bottom = answer.faces[selected].box_xyxy
    side = max(right - left, bottom - top) * (0.5 + _AROUND)
    x, y = (left + right) / 2, (top + bottom) / 2
    first_x, first_y = int(np.clip(x - side, 0, width - 1)), int(np.clip(y - side, 0, height - 1))
    last_x, last_y = np.clip(x + side, first_x + 1, width), np.clip(y + side, first_y + 1, height)
    return first_x, first_y, int(last_x), int(last_y)


def lay_over(image_rgb: Image, strokes_rgba: NDArray[np.uint8], window: Window) -> None:
    """Lay strokes over a part of a picture, in place.

    Args:
        image_rgb: uint8 (H, W, 3).
        strokes_rgba: uint8 (h, w, 4) of any size.
        window: the part of the picture that they cover.
    """
    left, top, right, bottom = window
    size_hw = bottom - top, right - left
    alpha = resize(np.ascontiguousarray(strokes_rgba[..., 3]), size_hw)
    colours = resize(np.ascontiguousarray(strokes_rgba[..., :3]), size_hw)
    under = image_rgb[top:bottom, left:right]
    for row in np.flatnonzero(alpha.any(axis=1)):  # row by row: a large photo has no room for copies in float
        share = alpha[row, :, None].astype(np.float32) / 255.0
        under[row] = (under[row] * (1 - share) + colours[row] * share).round().astype(np.uint8)


def _strokes(strokes: object) -> NDArray[np.uint8]:
    """Decode what was painted, a PNG in a data URI, to uint8 RGBA (h, w, 4).

    Raises:
        InputError: it is no data URI.
        ImageError: its picture cannot be read, see `decode_image`, or is larger than the easel's sheet.
    """
    data = inline_bytes(strokes)
    if len(data) > _STROKES_BYTES or max(decode_image(data).shape) > html.SHEET:
        raise ImageError(f"What was painted is too large: a sheet has {html.SHEET} pixels a side.")
    with Pillow.open(BytesIO(data)) as layer:  # a child process has decoded it: it costs little
        return np.array(layer.convert("RGBA"), dtype=np.uint8)


def _outcome(session: Session, covered: Covered | None, drawing: Drawing, note: str) -> str:
    said = html.problem_html(note) if note else ""
    if session.answer.problem:
        return html.problem_html(session.answer.problem)
    if covered is None:
        return said or html.render("first", sentence="" if session.answer.picture else FIRST)
    average = _AVERAGE if covered.kind != PAINTED and covered.before.face.all_68 is None else ""
    return said + html.covered_verdict_html(covered, drawing, which=session.which, note=average)


def _pair(answer: Answer, coverage: Coverage, covered: Covered, selected: int) -> str:
    """The picture around the face, free and covered, or the crop where only that was covered."""
    picture, photo = answer.picture, coverage.photo_uri
    if picture and photo and (covered.kind == PAINTED or covered.before.face.all_68 is not None):
        return html.slider_html(picture.uri, photo, picture.size_wh, window_of(answer, selected), "photo")
    before, after = (side.readings[0].crop.image_rgb for side in (covered.before, covered.after))
    side = before.shape[0]
    return html.slider_html(data_uri(before), data_uri(after), (side, side), (0, 0, side, side), "face")


def _crops(comparison: Comparison | None) -> dict[str, Image]:
    if comparison is None:
        return {}
    return {reading.prediction.backbone: reading.crop.image_rgb for reading in comparison.readings}


def _covered_crop(cover: Cover, comparison: Comparison) -> Image:
    """The crop of a face as the first model gets it when it is covered."""
    return cover.on_crop(comparison.readings[0].crop, comparison.face).image_rgb
