"""The page as a whole: header, column, tabs, the endpoint for programs, and how it is served."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_space.card import FERPLUS_TEST, Card
from fer_space.comparison import Comparison
from fer_space.detectors.specs import DETECTORS
from fer_space.distributions import CIRCUMPLEX
from fer_space.errors import MissingDependencyError
from fer_space.explain.library import attentive_cells
from fer_space.registry import ModelSource
from fer_space.render import html
from fer_space.render.html import Drawing
from fer_space.render.texts import Look
from fer_space.ui.api import predict_endpoint
from fer_space.ui.board import lay_out_board
from fer_space.ui.compare import Compare, lay_out_compare, lay_out_status
from fer_space.ui.doors import WAITING, Doors, path_of
from fer_space.ui.events import QUIET, THREADS, not_usable
from fer_space.ui.folders import swept
from fer_space.ui.lab import Lab, largest_face, lay_out_lab
from fer_space.ui.lending import Lend, lent, seconds_to_answer, seconds_to_read, seconds_to_slide
from fer_space.ui.live import Live, lay_out_live
from fer_space.ui.occlude import Occlude, lay_out_occlude, robustness_rows, swatches_of
from fer_space.ui.reading import Runs, read_picture
from fer_space.ui.session import Answer, Options, Picture, Session, Sessions
from fer_space.ui.sidebar import Example, lay_out_sidebar, load_examples
from fer_space.ui.video import MEGABYTES, Videos, lay_out_video

if TYPE_CHECKING:
    from fer_space.engine import Engine

GRADIO_SESSIONS = 100  # copies of its layout that Gradio keeps, .2 MB each; the page keeps nothing in them
PARTS = ("page", "live", "video")  # of what the browser gets, each a style sheet and a script

TITLE = "FER Space"
LEAD = "What does a face show? Several expression models side by side, and where each of them looked."
_PREVIEW = {
    b'property="og:title" content="Gradio"': f'property="og:title" content="{TITLE}"'.encode(),
    b'name="twitter:title" content="Gradio"': f'name="twitter:title" content="{TITLE}"'.encode(),
    b'content="Click to try out the app!"': f'content="{LEAD}"'.encode(),
    b'name="twitter:creator" content="@Gradio"': b'name="twitter:creator" content=""',
    b"https://raw.githubusercontent.com/gradio-app/gradio/main/js/_website/src/lib/assets/img/"
    b"header-image.jpg": b"",
}


def build_page(
    engine: "Engine",
    *,
    lend: Lend | None = None,
    opener: "Engine | None" = None,
    examples: Path | None = None,
    results: Path | None = None,
) -> gr.Blocks:
    """Build the page over an engine; the first example is read now, so that the page opens on an answer.

    Args:
        engine: what reads the faces.
        lend: lends a GPU for each piece of work (`fer_space.ui.lending`); None where models just run.
        opener: reads the examples before the page is served, as nothing is lent by then, and the frames of
            cameras and videos; None takes `engine`.
        examples: folder of example pictures with a manifest.json.
        results: docs/results.json, for the leaderboard.
    """
    runs = runs_of(engine, lend)
    sources = {name: engine.registry.source(name) for name in engine.backbones}
    cards = {name: source.card() for name, source in sources.items()}
    looks = {name: look_of(source) for name, source in sources.items()}
    drawing = Drawing(looks, CIRCUMPLEX, attentive_cells)
    pictures = load_examples(examples) if examples else ()
    opening = open_session(runs_of(opener or engine), pictures, tuple(cards))
    partners = {} if lend is None else read_partners(runs_of(opener or engine), pictures, tuple(cards))
    sessions = Sessions(opening.answer)
    swatches = swatches_of(opening.answer)
    robustness = html.robustness_html(robustness_rows(cards), drawing.looks)
    page = gr.Blocks(title=TITLE, analytics_enabled=False)
    with page:
        gr.HTML(html.render("header", models=len(cards)), apply_default_css=False)
        with gr.Row(elem_classes="fer-page"):
            sidebar = lay_out_sidebar(
                opening,
                drawing.looks,
                pictures,
                _missing_detectors(),
                not_usable(engine.problems),
                [fit.name for fit in engine.fits],
            )
            with gr.Column(scale=3, min_width=320, elem_classes="fer-right"):
                status = lay_out_status(opening)
                with gr.Tabs(overflow_behavior="wrap"):
                    tab = lay_out_compare(opening, drawing, status)
                    hide = lay_out_occlude(swatches, robustness)
                    camera = lay_out_live(drawing)
                    screen = lay_out_video(drawing)
                    bench = lay_out_lab(pictures)
                    board = lay_out_board(cards, drawing.looks, results)
        reads = Compare(sidebar, tab, runs, sessions, drawing, pictures).wire(page)
        for other in (tab.tab, hide.tab, camera.tab, screen.tab, bench.tab, board):
            _remember(other, sessions)
        Occlude(hide, tab, runs, sessions, drawing, swatches).wire(reads)
        frames = runs_of_frames(runs, opener or engine)
        Live(camera, sidebar, frames).wire(page)
        Videos(screen, sidebar, frames, drawing).wire(page)
        Lab(bench, runs, sessions, drawing, pictures, partners).wire(reads)
        predict_endpoint(runs, list(cards))
        page.load(lambda: offered(engine, looks), None, sidebar.options["backbones"], **QUIET)
        gr.HTML(html.render("footnote"), apply_default_css=False)
    page.queue(max_size=WAITING, default_concurrency_limit=8, api_open=True)  # `Doors` limits what is open
    return page


def _remember(tab: gr.Tab, sessions: Sessions) -> None:
    """Keep in the session that a tab is open."""

    def opened(request: gr.Request) -> None:
        sessions.of(request).tab = str(tab.id)

    tab.select(opened, None, None, **QUIET)


def runs_of(engine: "Engine", lend: Lend | None = None) -> Runs:
    """What runs the models of an engine, on a lent GPU where there is a lender."""
    if lend is None:
        stream, sensitivity, answers = engine.stream, engine.sensitivity, engine.answers
    else:
        stream = lent(lend, engine.stream, seconds_to_read)
        sensitivity = lent(lend, engine.sensitivity, seconds_to_slide)
        answers = lent(lend, engine.answers, seconds_to_answer)
    return Runs(
        stream,
        engine.detect,
        sensitivity,
        engine.together,
        answers,
        engine.follow,
        lent=lend is not None,
    )


def runs_of_frames(runs: Runs, reader: "Engine") -> Runs:
    """What reads the frames of cameras and videos: `reader` where a GPU is lent, in the turns of `runs`.

    A lease takes seconds, and one a frame would use up any quota.
    """
    if not runs.lent:
        return runs
    return replace(runs_of(reader), turns=runs.turns, room=runs.room)


def offered(engine: "Engine", looks: dict[str, Look]) -> Any:
    """Offer the models that are here now; one that was fetched since the page was built becomes known.

    Args:
        engine: knows which models are here.
        looks: how each is named and coloured; newcomers are added.

    Returns:
        An update of the choice of models.
    """
    for name in engine.backbones:
        if name not in looks:
            looks[name] = look_of(engine.registry.source(name))
    choices = [(looks[name].title, name) for name in engine.backbones]
    return gr.CheckboxGroup(choices=choices, info=not_usable(engine.problems) or None)


def open_session(runs: Runs, examples: Sequence[Example], backbones: tuple[str, ...]) -> Session:
    """Read the first example to the end; without examples, and without models, there is nothing to show."""
    if not (examples and backbones):
        return Session(Answer())
    session = Session(Answer(Picture.open(examples[0].file.read_bytes())))
    for _ in read_picture(runs, session, Options(backbones)):
        pass
    return session


def read_partners(
    runs: Runs, examples: Sequence[Example], backbones: tuple[str, ...]
) -> dict[int, Comparison]:
    """Read the faces that the laboratory mixes with, so that a mixture takes one lease and not two."""
    if not backbones:
        return {}
    return {
        number: largest_face(runs, example, Options(backbones)) for number, example in enumerate(examples)
    }


def serving_options(folder: Path | None = None) -> dict[str, Any]:
    """Return what `launch` needs so that the page looks right and records nothing.

    Args:
        folder: of this process alone, swept as long as the page is served (`fer_space.ui.folders`).
    """

    @asynccontextmanager
    async def serve(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Doors(app.middleware_stack)  # outside Gradio's own, which allow credentials
        with swept(folder) if folder else nullcontext():
            yield

    static = files("fer_space.ui").joinpath("static")
    style, script = (
        "\n".join(static.joinpath(part + ending).read_text(encoding="utf-8") for part in PARTS)
        for ending in (".css", ".js")
    )
    return {
        "theme": _theme(),
        "head": f"<style>{html.emotion_css()}{style}</style><script>{script}</script>",
        "favicon_path": str(static.joinpath("favicon.png")),
        "run_history": False,
        "enable_monitoring": False,
        "_frontend": False,  # else Gradio ends the page when it does not answer itself within three seconds
        "footer_links": ["api"],
        "app_kwargs": {"middleware": [Middleware(Preview)], "lifespan": serve},
        "max_file_size": MEGABYTES * 1024**2,
        "max_threads": THREADS,
        "state_session_capacity": GRADIO_SESSIONS,
        "mcp_server": find_spec("mcp") is not None,  # the endpoint as a tool for assistants
    }


class Preview:
    """Puts the page's own title where Gradio's template says “Gradio” to those who preview a link.

    Args:
        app: what serves the page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; only the page itself is changed."""
        if scope["type"] != "http" or path_of(scope) != "/":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def rewritten(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                for old, new in _PREVIEW.items():
                    body = body.replace(old, new)
                headers = MutableHeaders(raw=start["headers"])
                headers["content-length"] = str(len(body))
                await send(start)
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, rewritten)


def look_of(source: ModelSource) -> Look:
    """How a model is shown, and how often it is right at its two operating points."""
    card = source.card()
    return Look(
        title=source.title,
        colour=source.colour,
        parameters=card.parameters,
        accuracy=_accuracy(card),
        boosted=_accuracy(card, boost_rare=True),
        masked=_accuracy(card, occlusion="surgical"),
        licence=card.licence,
        data=card.data,
    )


def _accuracy(card: Card, **otherwise: bool | str) -> float | None:
    measured = card.measured(FERPLUS_TEST.model_copy(update=otherwise))
    return None if measured is None else measured.scores.accuracy


def _missing_detectors() -> dict[str, str]:
    """Detectors that cannot work here, and why."""
    missing = {}
    for name, spec in DETECTORS.items():
        if spec.opt_in:
            try:
                spec.build()
            except MissingDependencyError as error:
                missing[name] = str(error)
    return missing


def _theme() -> gr.themes.Base:
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )
    return theme.set(
        body_background_fill="#f6f8fb",
        body_background_fill_dark="#0b1120",
        block_background_fill_dark="#172033",
        block_info_text_color="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
