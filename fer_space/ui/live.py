"""The Live tab: a webcam read while it runs, frame by frame, by a few fast models.

Frames come through Gradio's own streaming: one long event a visitor, to which the browser posts frames and
which answers each with a few numbers; boxes, bars and strips are drawn by `static/live.js`. Nothing queues:
the browser sends a frame only while fewer than two are unanswered, and Gradio keeps the newest one alone.
See docs/live.md.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison
from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.distributions import row_of
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.render import html
from fer_space.render.circumplex import anchors_of
from fer_space.render.html import Drawing
from fer_space.render.texts import Looks
from fer_space.tracks import Smoother
from fer_space.ui.events import given, inline_bytes, sentence_of
from fer_space.ui.reading import Runs
from fer_space.ui.session import NO_MODEL_HERE
from fer_space.ui.sidebar import Sidebar
from fer_space.vision.imaging import shrink
from fer_space.vision.video import Frame
from fer_space.watch import Watched, Watcher

FAST = ("mobilenet_v1_faces", "efficientnet_lite0", "mobilenet_v2")
SECONDS = 300  # that one start of the camera lasts
PLACES = 4  # visitors who are read at once
SILENCE = 5.0  # seconds after which a place is free again
FRAME_BYTES = 600_000
FRAME_SIDE = 640  # pixels; larger frames are reduced
DETECTOR_SIDE = 320  # pixels to which a frame is reduced for the detector
DETECT_EVERY = 5  # frames; between, faces are followed by their landmarks
FACES = 4  # the largest, that are read
SMOOTHING = 0.5  # seconds

OVER = f"The camera stops after {SECONDS // 60} minutes. Start it again to go on."
FULL = (
    f"{PLACES} visitors use their cameras now, and this server reads no more at once. Try again in a minute."
)
TOO_LARGE = "The frame is too large."


@dataclass(frozen=True)
class Stage:
    """The tab's components."""

    tab: gr.Tab
    stage: gr.HTML
    reading: gr.HTML
    models: gr.CheckboxGroup
    smoothing: gr.Slider


def lay_out_live(drawing: Drawing) -> Stage:
    """Lay the tab out inside the current Tabs."""
    with gr.Tab("Live", id="live", elem_classes="fer-tab") as tab:
        stage = gr.HTML(
            html.render(
                "live",
                titles={name: (look.title, look.colour) for name, look in drawing.looks.items()},
                anchors=anchors_of(drawing.anchors),
                minutes=SECONDS // 60,
                over=OVER,
                faces=FACES,
            ),
            js_on_load="fer.stage(element, trigger)",
            apply_default_css=False,
            elem_id="fer-live",
        )
        reading = gr.HTML(
            {}, html_template="", js_on_load="fer.reading(watch, props)", apply_default_css=False
        )
        with gr.Row(elem_classes="fer-controls"):
            models = gr.CheckboxGroup(
                [(look.title, name) for name, look in drawing.looks.items()],
                value=fast_ones(drawing.looks),
                label="Models",
                info="Each one that is added makes it slower.",
                min_width=320,
            )
            smoothing = gr.Slider(
                0.0,
                3.0,
                value=SMOOTHING,
                step=0.1,
                label="Smoothing, seconds",
                info="Moving average; 0 shows every answer as it came.",
                min_width=220,
            )
    return Stage(tab, stage, reading, models, smoothing)


def fast_ones(looks: Looks) -> list[str]:
    """The models that a camera is read with at first: the fast ones; where those are not here, the first."""
    return [name for name in FAST if name in looks] or list(looks)[: len(FAST)]


@dataclass(eq=False)
class Visitor:
    """One camera that is on.

    Attributes:
        watcher: reads its frames.
        began, used: when it was started and when its last frame came, in seconds.
        smoother: averages its answers.
        busy: held while a frame is read; another one that comes meanwhile is dropped.
    """

    watcher: Watcher
    began: float
    used: float
    smoother: Smoother = field(default_factory=Smoother)
    busy: Any = field(default_factory=Lock)


class Live:
    """The tab's events. Of a visitor they keep where faces were and averages of answers, and no picture.

    Args:
        stage: the tab's components.
        sidebar: the column, which holds the detector and the operating point.
        runs: what runs the models.
        clock: tells the time in seconds.
    """

    def __init__(
        self, stage: Stage, sidebar: Sidebar, runs: Runs, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage, self._sidebar, self._runs, self._clock = stage, sidebar, runs, clock
        self._visitors: dict[str, Visitor] = {}
        self._lock = Lock()

    def wire(self, page: gr.Blocks) -> None:
        """Wire the events."""
        options = self._sidebar.options
        self._stage.stage.stream(
            self.look,
            [
                *(self._stage.models, self._stage.smoothing),
                *(options["detector"], options["boost_rare"], options["ensemble"]),
            ],
            self._stage.reading,
            api_visibility="private",
            show_progress="hidden",
            concurrency_id="live",
            concurrency_limit=2 * PLACES,  # so that those for whom there is no place hear of it
            time_limit=SECONDS + 10,
        )
        page.unload(self.leave)

    def look(
        self,
        request: gr.Request,
        event: gr.EventData,
        models: Sequence[str],
        smoothing: float,
        detector: str = DEFAULT_DETECTOR,
        boost_rare: bool = False,
        ensemble: str = "",
    ) -> Any:
        """Read one frame, and answer with numbers; or say why the camera has to stop."""
        number = given(event, "number")
        try:
            visitor = self._visitor(request, detector, fresh=number == 0)
            if visitor is None:
                return {"number": number, "stop": FULL}
            if visitor.used - visitor.began > SECONDS:
                return {"number": number, "stop": OVER}
            if not visitor.busy.acquire(blocking=False):
                return {"number": number, "dropped": True}
            try:
                started = self._clock()
                if not models:
                    raise InputError(NO_MODEL_HERE)
                frame = Frame(0, visitor.used - visitor.began, self._picture(given(event, "frame")))
                with self._runs.turns.turn():
                    watched = visitor.watcher.look(
                        frame, backbones=tuple(models), boost_rare=bool(boost_rare), ensemble=ensemble
                    )
                seconds = min(max(float(smoothing or 0.0), 0.0), 10.0)
                faces = reading_of(watched, visitor.smoother, seconds)
                return {"number": number, "ms": 1000 * (self._clock() - started), "faces": faces}
            finally:
                visitor.busy.release()
        except Exception as error:
            return {"number": number, "stop": sentence_of(error)}

    def leave(self, request: gr.Request) -> None:
        """Forget the camera of a page that was closed."""
        with self._lock:
            self._visitors.pop(_name_of(request), None)

    def _picture(self, uri: object) -> NDArray[np.uint8]:
        """Decode a frame that came as a data URI, in a child process as every picture of strangers."""
        if isinstance(uri, str) and len(uri) > FRAME_BYTES:
            raise InputError(TOO_LARGE)
        return shrink(self._runs.decode(inline_bytes(uri)), FRAME_SIDE)

    def _visitor(self, request: gr.Request, detector: str, fresh: bool) -> Visitor | None:
        """The camera of a request; None where all places are taken. The first frame starts a new one."""
        name, now = _name_of(request), self._clock()
        with self._lock:
            self._visitors = {
                key: one for key, one in self._visitors.items() if now - one.used <= SILENCE or key == name
            }
            if fresh or name not in self._visitors:
                if len(self._visitors.keys() - {name}) >= PLACES:
                    return None
                chosen = detector if detector in DETECTORS else DEFAULT_DETECTOR
                watcher = Watcher(
                    self._runs, detector=chosen, side=DETECTOR_SIDE, every=DETECT_EVERY, limit=FACES
                )
                self._visitors[name] = Visitor(watcher, began=now, used=now)
            visitor = self._visitors[name]
            visitor.used = now
            return visitor


def reading_of(watched: Watched, smoother: Smoother, seconds: float) -> list[dict[str, Any]]:
    """Write what was read in a frame as what the browser draws.

    Args:
        watched: the frame.
        smoother: has the answers of the frames before.
        seconds: how long answers count; 0 gives them as they came.

    Returns:
        One object a face: its track, its box in per cent of the picture, the answer of all together, whether
        all models name the same emotion, and each model's probabilities in per cent (None where it lacks an
        emotion) with valence and arousal.
    """
    faces = []
    for seen in watched.faces:
        key, comparison = seen.track, seen.comparison

        def average(of: str, values: NDArray[np.float64], key: int = key) -> NDArray[np.float64]:
            return smoother.add((key, of), watched.time, values, seconds)

        models = [
            _model(
                p.backbone, average(p.backbone, np.append(row_of(p.probabilities), (p.valence, p.arousal)))
            )
            for p in comparison.predictions
        ]
        together = average("", row_of(comparison.together))
        faces.append(
            {
                "track": seen.track,
                "box": _box(comparison, watched.size_wh),
                "label": EMOTIONS[int(np.nanargmax(together))],
                "share": round(100 * float(np.nanmax(together))),
                "agree": len({model["label"] for model in models}) == 1,
                "models": models,
            }
        )
    smoother.forget(watched.time - SILENCE)
    return faces


def _model(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """One model's answer; `values` is float64 (10,): probabilities, valence, arousal."""
    row = values[: len(EMOTIONS)]
    return {
        "name": name,
        "label": EMOTIONS[int(np.nanargmax(row))],
        "p": [None if np.isnan(p) else round(100 * float(p), 1) for p in row],
        "valence": round(float(values[-2]), 3),
        "arousal": round(float(values[-1]), 3),
    }


def _box(comparison: Comparison, size_wh: tuple[int, int]) -> list[float]:
    """Left, top, width, height in per cent of the picture."""
    left, top, right, bottom = comparison.face.box_xyxy
    width, height = size_wh
    return [
        round(100 * part, 2)
        for part in (left / width, top / height, (right - left) / width, (bottom - top) / height)
    ]


def _name_of(request: gr.Request) -> str:
    return str(getattr(request, "session_hash", None) or "")
