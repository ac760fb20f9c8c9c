"""The Compare tab: the verdict, the models side by side, and how their maps are drawn."""

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from fer_space.comparison import CONSENSUS, PREDICTED
from fer_space.emotions import EMOTIONS
from fer_space.render import html
from fer_space.render.album import album_csv
from fer_space.render.colours import OPACITY
from fer_space.render.html import Drawing
from fer_space.render.overlays import MapView
from fer_space.render.record import comparison_csv, comparison_record
from fer_space.render.report import report_png
from fer_space.render.texts import doubtful, for_masks
from fer_space.ui.album import read_album
from fer_space.ui.events import (
    CLICKS,
    MODELS,
    QUICK,
    QUIET,
    given,
    inline_bytes,
    named_files,
    per_cent,
    sentence_of,
)
from fer_space.ui.reading import Runs, read_picture, read_rest
from fer_space.ui.session import NO_FACE, Answer, Options, Picture, Session, Sessions
from fer_space.ui.sidebar import (
    START,
    Example,
    Sidebar,
    finds,
    finds_view,
    photo_view,
    placed_face,
    status_view,
)
from fer_space.vision.quality import MASKED

_CELLS = 20
_MANNERS = [("colour", "heat"), ("contours", "contours"), ("patches", "cells")]
Shown = dict[Any, Any]


@dataclass(frozen=True)
class Tab:
    """The tab's components.

    Attributes:
        view: one control for each field of `MapView`, by its name.
    """

    tab: gr.Tab
    status: gr.HTML
    answer: gr.HTML
    taken: gr.HTML
    view: Mapping[str, Any]

    @property
    def controls(self) -> list[Any]:
        """The controls of `MapView`, in the order of its fields."""
        return list(self.view.values())


def lay_out_status(opening: Session) -> gr.HTML:
    """Lay out the line that says how far a reading is, above the tabs."""
    return gr.HTML(
        status_view(opening),
        js_on_load="fer.live(element, watch)",
        apply_default_css=False,
        elem_id="fer-status",
    )


def lay_out_compare(opening: Session, drawing: Drawing, status: gr.HTML) -> Tab:
    """Lay the tab out inside the current Tabs."""
    with gr.Tab("Compare", id="compare", elem_classes="fer-tab") as tab:
        answer = gr.HTML(
            answer_view(opening, drawing),
            js_on_load="fer.answer(element, trigger, watch)",
            apply_default_css=False,
            elem_id="fer-answer",
        )
        taken = gr.HTML("", js_on_load="fer.taken(element, watch)", apply_default_css=False)
        with gr.Accordion("How maps are drawn", open=False, elem_id="fer-maps"):
            view = _view(drawing)
    assert list(view) == [field.name for field in fields(MapView)]
    return Tab(tab, status, answer, taken, view)


def _view(drawing: Drawing) -> dict[str, Any]:
    """One control for each field of `MapView`."""
    emotions = [(emotion.capitalize(), emotion) for emotion in EMOTIONS]
    targets = [("its own answer", PREDICTED), ("the answer of all together", CONSENSUS), *emotions]
    models = [(look.title, name) for name, look in drawing.looks.items()]
    note = (
        "A difference is always drawn in colour; on the whole photo there are no differences and no patches."
    )
    with gr.Row(elem_classes="fer-controls"):
        target = gr.Dropdown(
            targets, value=PREDICTED, label="What speaks for", min_width=200, filterable=False
        )
        versus = gr.Dropdown(
            [("nothing else", ""), *emotions], value="", label="Rather than", min_width=140, filterable=False
        )
        whole = gr.Dropdown(
            [("no model", ""), *models], value="", label="On the whole photo", min_width=200, filterable=False
        )
    with gr.Row(elem_classes="fer-controls"):
        manner = gr.Radio(_MANNERS, value="heat", label="Drawn as", info=note, min_width=240)
        opacity = gr.Slider(0.0, 1.0, value=OPACITY, step=0.05, label="Opacity of colour", min_width=170)
        cells = gr.Slider(1, _CELLS, value=6, step=1, label="Number of patches", min_width=170)
    return {
        "target": target,
        "versus": versus,
        "manner": manner,
        "opacity": opacity,
        "cells": cells,
        "whole": whole,
    }


def view_of(values: Sequence[Any]) -> MapView:
    """How maps are drawn, from the values of its controls."""
    target, versus, manner, opacity, cells, whole = values
    return MapView(target, versus, manner, float(opacity), int(cells), whole)


def page_of(sessions: Sessions, request: gr.Request, view: Sequence[Any]) -> Session:
    """The session of a request, which draws maps from now on as these controls say."""
    session = sessions.of(request)
    session.view = view_of(view)
    return session


def answer_view(session: Session, drawing: Drawing) -> str:
    """Show what was read so far of the selected face, or why nothing was."""
    answer, shown = session.answer, session.shown
    if answer.problem:
        return html.problem_html(answer.problem)
    if answer.album or (answer.picture is None and answer.stage):
        return html.render("album", album=answer.album, left_out=answer.left_out, done=not answer.stage)
    asked = len(answer.options.backbones) if answer.options else len(drawing.looks)
    if shown is not None:
        plain = answer.options is not None and answer.options.boost_rare < START.boost_rare
        chips = ["rare emotions not boosted"] if plain else []  # what is as the page starts needs no chip
        doubts = shown.face.doubts
        remarks = [
            doubtful(doubts),
            for_masks(drawing.looks, [p.backbone for p in shown.predictions]) if MASKED in doubts else "",
        ]
        return html.answer_html(
            shown, drawing, session.view, which=session.which, chips=chips, remarks=remarks
        )
    if answer.picture is not None:
        return html.waiting_html(asked)
    return html.welcome_html(drawing.looks)


def query_of(options: Options) -> str:
    """Write options as the query of a link to this page."""
    values = {
        **asdict(options),
        "backbones": ",".join(options.backbones),
        "boost_rare": int(options.boost_rare),
    }
    return urlencode(values)


def taken(name: str, kind: str, data: bytes) -> str:
    """Write a file as a link that the page presses itself; its number makes each one new."""
    return html.render(
        "taken", name=name, uri=f"data:{kind};base64,{b64encode(data).decode()}", number=time.time_ns()
    )


class Compare:
    """The events of the column and of this tab; they hold nothing of a visitor.

    Args:
        sidebar: the column's components.
        tab: this tab's.
        runs: what runs the models.
        sessions: the pages that are open.
        drawing: what every drawing shares.
        examples: pictures to choose from.
    """

    def __init__(
        self,
        sidebar: Sidebar,
        tab: Tab,
        runs: Runs,
        sessions: Sessions,
        drawing: Drawing,
        examples: Sequence[Example],
    ) -> None:
        self._sidebar, self._tab, self._runs = sidebar, tab, runs
        self._sessions, self._drawing, self._examples = sessions, drawing, examples
        self._pictures: dict[int, Picture] = {}

    def wire(self, page: gr.Blocks) -> list[Any]:
        """Wire the events; returns those after which something else may have been read."""
        sidebar, tab, rescue = self._sidebar, self._tab, self._sidebar.rescue
        shown, views = self.outputs, tab.controls
        reading = [*sidebar.controls, *views]
        choices = (
            sidebar.actions.upload(self.upload, views, shown, **QUICK),
            sidebar.actions.clear(self.clear, views, shown, **QUICK),
            sidebar.examples.select(self.example, views, shown, **QUICK),
            rescue.place.click(self.place, [*rescue.sliders, *reading], shown, **QUICK),
        )
        reads = [choice.then(self.read, reading, shown, **MODELS) for choice in choices]
        reads.append(sidebar.actions.submit(self.album, reading, shown, **MODELS))
        for control in sidebar.controls:
            reads.append(control.input(self.read, reading, shown, **MODELS))
            control.input(lambda *values: values, sidebar.controls, sidebar.kept, **QUIET)
        recalled = page.load(self.recall, sidebar.kept, sidebar.controls, **QUIET)
        reads.append(recalled.then(self.read, reading, shown, **MODELS))
        reads.append(sidebar.photo.expand(self.rest, views, shown, **MODELS))
        chosen = sidebar.photo.select(self.choose, views, shown, **CLICKS)
        for control in views:
            control.input(self.redraw, views, [sidebar.photo, tab.answer], **QUIET)
        tab.view["versus"].input(
            self.grey, tab.view["versus"], [tab.view["manner"], tab.view["cells"]], **QUIET
        )
        for slider in rescue.sliders:
            slider.input(self.aim, rescue.sliders, sidebar.photo, **QUIET)
        sidebar.photo.click(self.point, None, [*rescue.sliders, sidebar.photo], **CLICKS)
        rescue.ask.click(self.ask, None, rescue.found, **MODELS)
        tab.answer.download(self.take, None, tab.taken, **QUICK)
        page.unload(self.leave)
        return [*choices, *reads, chosen]

    @property
    def outputs(self) -> list[Any]:
        """Every component that another picture or face changes."""
        rescue = self._sidebar.rescue
        own = [self._tab.status, self._tab.answer, self._tab.taken]
        return [self._sidebar.photo, *own, rescue.group, rescue.found, *rescue.sliders]

    def upload(self, request: gr.Request, event: gr.EventData, *view: Any) -> Shown:
        """Take a picture that was uploaded, taken, dropped or pasted, and show it at once."""
        session = page_of(self._sessions, request, view)
        try:
            data = inline_bytes(given(event, "picture"))
            answer = Answer(Picture.open(data, self._runs.of(session.who).decode))
        except Exception as error:
            answer = Answer(problem=sentence_of(error))
        session.begin(answer, given(event, "stamp"))
        return self._show(session)

    def example(self, request: gr.Request, event: gr.EventData, *view: Any) -> Shown:
        """Take an example, and show it at once."""
        session, index = page_of(self._sessions, request, view), given(event, "index")
        if not (isinstance(index, int) and 0 <= index < len(self._examples)):
            index = 0
        if index not in self._pictures:
            self._pictures[index] = Picture.open(self._examples[index].file.read_bytes())
        session.begin(Answer(self._pictures[index]), given(event, "stamp"))
        return self._show(session)

    def album(self, request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[Shown]:
        """Read many photos into one table."""
        session, options = self._asked(request, values)
        if not session.begin(Answer(), given(event, "stamp")):
            return

        def steps() -> Iterator[Answer]:
            files = named_files(given(event, "files"))  # what is wrong with them is told as any other problem
            yield from read_album(self._runs, session, options, files)

        yield from self._follow(session, steps())

    def clear(self, request: gr.Request, event: gr.EventData, *view: Any) -> Shown:
        """Forget the picture."""
        session = page_of(self._sessions, request, view)
        session.begin(Answer(), given(event, "stamp"))
        return self._show(session)

    def read(self, request: gr.Request, *values: Any) -> Iterator[Shown]:
        """Read the picture with the present settings, showing each step."""
        session, options = self._asked(request, values)
        answer = session.answer
        changed = answer.options is not None and answer.options.detector != options.detector
        placed = None if changed else answer.placed  # another detector looks itself
        yield from self._follow(session, read_picture(self._runs, session, options, placed))

    def place(self, request: gr.Request, across: float, down: float, size: float, *values: Any) -> Shown:
        """Take the face that was placed by hand."""
        session, options = self._asked(request, values)
        picture = session.answer.picture
        if picture is not None:
            session.begin(Answer(picture, options, placed_face(picture.size_wh, across, down, size)))
        return self._show(session)

    def rest(self, request: gr.Request, *view: Any) -> Iterator[Shown]:
        """Read the smaller faces, too."""
        session = page_of(self._sessions, request, view)
        yield from self._follow(session, read_rest(self._runs, session))

    def choose(self, request: gr.Request, event: gr.EventData, *view: Any) -> Any:
        """Show another face."""
        session = page_of(self._sessions, request, view)
        if not session.select(given(event, "index"), given(event, "stamp")):
            return gr.skip()
        clicked = session.clicked
        shown = self._show(session)
        return shown if session.clicked == clicked else gr.skip()  # a newer click was faster

    def redraw(self, request: gr.Request, *view: Any) -> Shown:
        """Draw other maps of the same reading."""
        session = page_of(self._sessions, request, view)
        return {
            self._sidebar.photo: photo_view(session),
            self._tab.answer: answer_view(session, self._drawing),
        }

    def grey(self, versus: str) -> tuple[Any, Any]:
        """Grey the controls that say nothing about a difference of two emotions."""
        return gr.update(interactive=not versus), gr.update(interactive=not versus)

    def aim(self, request: gr.Request, across: float, down: float, size: float) -> str:
        """Show where the box by hand is."""
        session = self._sessions.of(request)
        session.box = across, down, size
        return photo_view(session)

    def point(self, request: gr.Request, event: gr.EventData) -> Any:
        """Move the box by hand to where the photo was clicked."""
        session = self._sessions.of(request)
        if session.answer.problem != NO_FACE:
            return gr.skip()
        session.box = per_cent(given(event, "across")), per_cent(given(event, "down")), session.box[2]
        return *session.box, photo_view(session)

    def ask(self, request: gr.Request) -> Any:
        """Say of every detector what it finds in the picture."""
        session = self._sessions.of(request)
        picture = session.answer.picture
        found = finds_view(finds(session, self._runs.of(session.who)))
        return found if session.answer.picture is picture else gr.skip()

    def recall(self, request: gr.Request, kept: object) -> Any:
        """Set the options of the link that led here, else those that the browser remembers."""
        names = [field.name for field in fields(Options)]
        query = dict(getattr(request, "query_params", None) or {})
        if "backbones" in query:
            linked = {
                **query,
                "backbones": query["backbones"].split(","),
                "boost_rare": query.get("boost_rare") == "1",
            }
        elif isinstance(kept, list) and len(kept) == len(names):
            linked = dict(zip(names, kept, strict=True))
        else:
            return gr.skip()
        controls = self._sidebar.options
        chosen = linked["backbones"] if isinstance(linked["backbones"], list) else []
        backbones = [name for name in self._drawing.looks if name in chosen]
        updates = {"backbones": backbones or gr.skip(), "boost_rare": linked.get("boost_rare") is True}
        for name in ("detector", "method", "ensemble"):
            known = [value for _, value in controls[name].choices]
            updates[name] = linked.get(name) if linked.get(name) in known else gr.skip()
        return [updates[name] for name in names]

    def take(self, request: gr.Request, event: gr.EventData) -> Any:
        """Write what the page shows as a file that the browser keeps; nothing is written here."""
        session, kind = self._sessions.of(request), given(event, "kind")
        answer, shown = session.answer, session.shown
        if kind == "csv" and answer.album:
            return taken("expressions.csv", "text/csv", album_csv(answer.album).encode())
        if shown is None or answer.picture is None:
            return gr.skip()
        if kind == "png":
            return taken("expression.png", "image/png", report_png(shown, self._drawing.looks, session.which))
        if kind == "csv":
            return taken("expressions.csv", "text/csv", comparison_csv("photo", answer.read).encode())
        if kind == "json":
            record = comparison_record("photo", answer.picture.size_wh, answer.read)
            return taken("expressions.json", "application/json", json.dumps(record, indent=1).encode())
        if kind == "link" and answer.options is not None:
            return html.render("link", query=query_of(answer.options), number=time.time_ns())
        return gr.skip()

    def leave(self, request: gr.Request) -> None:
        """Forget a page that was closed."""
        self._sessions.close(request)

    def _asked(self, request: gr.Request, values: Sequence[Any]) -> tuple[Session, Options]:
        """The session of a request, and what is asked of the engine."""
        count = len(fields(Options))
        return page_of(self._sessions, request, values[count:]), Options(*values[:count])

    def _follow(self, session: Session, steps: Iterator[Answer]) -> Iterator[Shown]:
        """Show each step of a reading, and at its end what the page has by then."""
        answer = session.answer
        try:
            for step in steps:
                answer = step
                yield self._show(session)
        except Exception as error:
            if session.answer is answer:  # else newer work is shown, and goes on
                session.begin(replace(answer, faces=(), comparisons=(), stage="", problem=sentence_of(error)))
        yield self._show(session)

    def _show(self, session: Session) -> Shown:
        rescue = self._sidebar.rescue
        return {
            self._sidebar.photo: photo_view(session),
            self._tab.status: status_view(session),
            self._tab.answer: answer_view(session, self._drawing),
            self._tab.taken: "",
            rescue.group: gr.update(visible=session.answer.problem == NO_FACE),
            rescue.found: "",
            **dict(zip(rescue.sliders, session.box, strict=True)),
        }
