"""The Video tab: a clip read frame by frame, then a timeline tied to the player.

The browser plays its own copy of the file. The server's copy lies in the swept folder of uploads until the
decoder has opened it, and is deleted then; readings are kept in memory until the page closes.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.errors import InputError
from fer_space.render import html
from fer_space.render.html import Drawing
from fer_space.render.overlays import data_uri
from fer_space.render.rows import Row, rows_csv, rows_parquet, watched_rows
from fer_space.render.timeline import FaceSpan, timeline_html
from fer_space.types import Face
from fer_space.ui.compare import taken
from fer_space.ui.events import CLICKS, MODELS, QUICK, given, sentence_of, uploaded_path
from fer_space.ui.live import fast_ones
from fer_space.ui.reading import Runs
from fer_space.ui.session import NO_MODEL_HERE, number_of
from fer_space.ui.sidebar import Sidebar
from fer_space.vision.imaging import resize
from fer_space.vision.video import Video
from fer_space.watch import Watched, Watcher

SECONDS = 60.0  # of a video that are read
RATE = 8  # frames a second that are read
MEGABYTES = 100
KEPT = 8  # pages whose readings are kept; of those that are read, the one unused for longest goes first
AT_ONCE = 2  # videos that are read at a time
FACES = 8  # in a frame, the largest
SHOWN_EVERY = 1.0  # seconds between two looks at the timeline while it grows
_THUMB = 64

CUT = f"The video is longer than {SECONDS:.0f} seconds: its beginning was read."
DAMAGED = "Some of it could not be decoded and was left out."
NO_FACES = "No face was found in any frame of this video."
STOPPED = "Reading was stopped."
FORGOTTEN = "What was read of this video is not kept any more. Please choose it again."
OPENING = "Opening the video…"
READING = "Reading the video"
Shown = dict[Any, Any]


@dataclass(frozen=True)
class Screen:
    """The tab's components."""

    tab: gr.Tab
    film: gr.HTML
    progress: gr.HTML
    timeline: gr.HTML
    taken: gr.HTML
    models: gr.CheckboxGroup


def lay_out_video(drawing: Drawing) -> Screen:
    """Lay the tab out inside the current Tabs."""
    with gr.Tab("Video", id="video", elem_classes="fer-tab") as tab:
        film = gr.HTML(
            html.render("video", seconds=int(SECONDS), megabytes=MEGABYTES, rate=RATE),
            js_on_load="fer.video(element, trigger, upload)",
            apply_default_css=False,
            elem_id="fer-video",
        )
        progress = gr.HTML("", js_on_load="fer.filming(element, watch, props)", apply_default_css=False)
        timeline = gr.HTML("", js_on_load="fer.timeline(element, trigger, watch)", apply_default_css=False)
        taken_file = gr.HTML("", js_on_load="fer.taken(element, watch)", apply_default_css=False)
        with gr.Row(elem_classes="fer-controls"):
            models = gr.CheckboxGroup(
                [(look.title, name) for name, look in drawing.looks.items()],
                value=fast_ones(drawing.looks),
                label="Models",
                info="For the next video. Each one that is added makes it slower.",
            )
    return Screen(tab, film, progress, timeline, taken_file, models)


@dataclass(eq=False)
class Reel:
    """What was read of one page's video.

    Attributes:
        name: of the file.
        rows: one a face, model and frame.
        thumbs: by track, a small picture of the face as a data URI.
        seen: by track, in how many frames the face was seen.
        frames: that were read, the last of them at `time` seconds.
        length: of the video in seconds, as far as it is known.
        shown: the track that is shown, or 0 for the one seen longest.
        note: what should be known, a sentence.
        stamp: number of the click that chose the video, or stopped it.
        clicked: number of the click that chose the face.
        reading: whether it is being read, or waits for that.
        stopped: whether it shall be read no further.
        replaced: whether the page shows another one now, or has gone.
    """

    name: str = "video"
    stamp: float = 0.0
    rows: list[Row] = field(default_factory=list)
    thumbs: dict[int, str] = field(default_factory=dict)
    seen: dict[int, int] = field(default_factory=dict)
    frames: int = 0
    time: float = 0.0
    length: float = 1.0
    shown: int = 0
    note: str = ""
    clicked: float = 0.0
    reading: bool = False
    stopped: bool = False
    replaced: bool = False

    def add(self, watched: Watched, image_rgb: NDArray[np.uint8]) -> None:
        """Add what was read in one frame."""
        self.rows += watched_rows(self.name, watched)
        self.frames, self.time = self.frames + 1, watched.time
        self.length = max(self.length, watched.time)
        for face in watched.faces:
            self.seen[face.track] = self.seen.get(face.track, 0) + 1
            if face.track not in self.thumbs:
                self.thumbs[face.track] = _thumb(image_rgb, face.comparison.face)

    @property
    def track(self) -> int:
        """Of the face that is shown; 0 where there is none."""
        longest = max(self.seen, key=self.seen.__getitem__, default=0)
        return self.shown if self.shown in self.seen else longest

    def html(self, drawing: Drawing) -> str:
        """Show the face's timeline; "" while no face was found."""
        if not self.rows:
            return ""
        faces = [
            FaceSpan(track, self.time * count / self.frames, self.thumbs[track])
            for track, count in sorted(self.seen.items(), key=lambda item: -item[1])[:12]
        ]
        return timeline_html(self.rows, faces, self.track, self.length, drawing.looks, self.note)


class Videos:
    """The tab's events, and the readings of the pages that are open.

    Args:
        screen: the tab's components.
        sidebar: the column, which holds the detector and the operating point.
        runs: what runs the models.
        drawing: what every drawing shares.
    """

    def __init__(self, screen: Screen, sidebar: Sidebar, runs: Runs, drawing: Drawing) -> None:
        self._screen, self._sidebar, self._runs, self._drawing = screen, sidebar, runs, drawing
        self._reels: OrderedDict[str, Reel] = OrderedDict()
        self._lock = Lock()

    def wire(self, page: gr.Blocks) -> None:
        """Wire the events."""
        screen, options = self._screen, self._sidebar.options
        inputs = [screen.models, options["detector"], options["boost_rare"], options["ensemble"]]
        reading = {**MODELS, "concurrency_id": "video", "concurrency_limit": AT_ONCE}
        screen.film.submit(self.read, inputs, [screen.progress, screen.timeline, screen.taken], **reading)
        screen.film.clear(self.stop, None, None, **QUICK)
        screen.timeline.select(self.choose, None, screen.timeline, **CLICKS)
        screen.timeline.download(self.take, None, screen.taken, **QUICK)
        page.unload(self.leave)

    def read(
        self,
        request: gr.Request,
        event: gr.EventData,
        models: Sequence[str],
        detector: str = DEFAULT_DETECTOR,
        boost_rare: bool = False,
        ensemble: str = "",
    ) -> Iterator[Shown]:
        """Read a video that was uploaded, showing how far it is, then its timeline.

        Nothing of it is shown once another one was chosen.
        """
        screen, file = self._screen, {"path": given(event, "path")}
        reel = self._begin(request, given(event, "name"), given(event, "stamp"))
        if reel is None:
            with suppress(InputError):
                uploaded_path(file).unlink(missing_ok=True)
            if self._of(request).stopped:
                yield {screen.progress: html.problem_html(STOPPED)}
            return
        try:
            yield {
                screen.progress: html.render("filming", stage=OPENING, share=0.0, spoken=OPENING),
                screen.timeline: "",
                screen.taken: "",
            }
            if not models:
                raise InputError(NO_MODEL_HERE)
            path = uploaded_path(file)
            chosen = detector if detector in DETECTORS else DEFAULT_DETECTOR
            watcher = Watcher(self._runs, detector=chosen, limit=FACES)
            with _opened(path) as video:
                how = {"backbones": tuple(models), "boost_rare": bool(boost_rare), "ensemble": ensemble}
                steps = self._steps(reel, video, watcher, how)
                for stage, share in steps:
                    yield self._show(reel, html.render("filming", stage=stage, share=share, spoken=READING))
                cut, damaged = video.cut, video.damaged > 0
            if reel.replaced:
                return
            notes = [STOPPED] * reel.stopped + [CUT] * cut + [DAMAGED] * damaged
            reel.note = " ".join(notes)
            spoken = "Reading has ended." if reel.stopped else "The video was read."
            ended = html.render("filming", stage="", number=time.time_ns(), spoken=spoken)
            problem = html.problem_html(STOPPED if reel.stopped else NO_FACES)
            yield self._show(reel, ended if reel.rows else problem)
        except Exception as error:
            if not reel.replaced:
                yield self._show(reel, html.problem_html(sentence_of(error)))
        finally:
            reel.reading = False

    def _show(self, reel: Reel, progress: str) -> Shown:
        return {self._screen.progress: progress, self._screen.timeline: reel.html(self._drawing)}

    def _steps(
        self, reel: Reel, video: Video, watcher: Watcher, how: dict[str, Any]
    ) -> Iterator[tuple[str, float]]:
        """Read frame by frame; yields from time to time how far that is, in words and as a share."""
        total = min(video.seconds or SECONDS, SECONDS)
        reel.length = max(total, 0.1)
        began = told = time.monotonic()
        for frame in video:
            if reel.stopped:
                return
            with self._runs.turns.turn():
                watched = watcher.look(frame, **how)
            reel.add(watched, frame.image_rgb)
            if (now := time.monotonic()) - told >= SHOWN_EVERY:
                told, share = now, min(frame.time / total, 1.0) if total else 1.0
                yield stage_of(frame.time, total, now - began), share

    def stop(self, request: gr.Request, event: gr.EventData) -> None:
        """Read the page's video no further, also one that is on its way or waits for its turn."""
        page, number = _name_of(request), _number(given(event, "stamp"))
        with self._lock:
            if page not in self._reels:
                self._keep(page, Reel())
            reel = self._reels[page]
            if number >= reel.stamp:  # else another video was chosen since
                reel.stopped, reel.stamp = True, number

    def choose(self, request: gr.Request, event: gr.EventData) -> Any:
        """Show another face."""
        reel, track = self._of(request), given(event, "track")
        number = _number(given(event, "stamp"))
        if number < reel.clicked:
            return gr.skip()
        reel.clicked = number
        if isinstance(track, int) and track in reel.seen:
            reel.shown = track
        return reel.html(self._drawing) or gr.skip()  # what is seen stays where nothing is known any more

    def take(self, request: gr.Request, event: gr.EventData) -> Any:
        """Write all rows as a file that the browser keeps; nothing is written here."""
        reel, kind = self._of(request), given(event, "kind")
        if not reel.rows:
            return html.problem_html(FORGOTTEN)
        if kind == "csv":
            return taken("expressions.csv", "text/csv", rows_csv(reel.rows).encode())
        if kind == "json":
            return taken("expressions.json", "application/json", json.dumps(reel.rows).encode())
        if kind == "parquet" and find_spec("pyarrow"):
            return taken("expressions.parquet", "application/octet-stream", rows_parquet(reel.rows))
        return gr.skip()

    def leave(self, request: gr.Request) -> None:
        """Forget the video of a page that was closed, and stop reading it."""
        with self._lock:
            _replace(self._reels.pop(_name_of(request), None))

    def _begin(self, request: gr.Request, name: object, stamp: object) -> Reel | None:
        """Start a new reading for a page and end its last; None where a newer one was chosen, or stopped."""
        page, number = _name_of(request), _number(stamp)
        with self._lock:
            last = self._reels.get(page)
            if last is not None and number < last.stamp:
                return None
            reel = Reel(str(name or "video")[:100], number, reading=True)
            self._keep(page, reel)
        return reel

    def _keep(self, page: str, reel: Reel) -> None:
        """Put a reel in the place of the page's last; the lock is held."""
        _replace(self._reels.pop(page, None))
        self._reels[page] = reel
        done = [name for name, kept in self._reels.items() if not kept.reading]
        for name in done[: max(len(self._reels) - KEPT, 0)]:
            _replace(self._reels.pop(name))

    def _of(self, request: gr.Request) -> Reel:
        with self._lock:
            reel = self._reels.get(_name_of(request), Reel())
            if _name_of(request) in self._reels:
                self._reels.move_to_end(_name_of(request))
            return reel


def stage_of(done: float, total: float, elapsed: float) -> str:
    """Say how far a reading is: "Read 12 of 43 seconds, about 20 s left".

    Args:
        done: seconds of the video that were read.
        total: seconds that will be.
        elapsed: seconds that it took so far.
    """
    left = elapsed * (total - done) / done if done > 0.0 else 0.0
    rest = f", about {max(left, 1.0):.0f} s left" if done > 0.0 else ""
    return f"Read {done:.0f} of {total:.0f} seconds{rest}"


def _replace(reel: Reel | None) -> None:
    """End the reading of a page that shows something else now, or nothing."""
    if reel is not None:
        reel.stopped = reel.replaced = True


def _number(stamp: object) -> float:
    """The number of a click; of a forged one, or of one without, that of the first."""
    return number_of(stamp) or 0.0


def _opened(path: Path) -> Video:
    """Open an upload, and delete the file: the decoder holds it open."""
    try:
        if path.stat().st_size > MEGABYTES * 1024**2:
            raise InputError(f"The video is too large: the limit is {MEGABYTES} MB.")
        return Video(path, step=1.0 / RATE, seconds=SECONDS)
    finally:
        path.unlink(missing_ok=True)


def _thumb(image_rgb: NDArray[np.uint8], face: Face) -> str:
    """A small picture of a face, as a data URI."""
    height, width = image_rgb.shape[:2]
    left, top, right, bottom = face.box_xyxy
    x, y = int(np.clip(left, 0, width - 2)), int(np.clip(top, 0, height - 2))
    to_x, to_y = int(np.clip(right, x + 1, width)), int(np.clip(bottom, y + 1, height))
    return data_uri(resize(np.ascontiguousarray(image_rgb[y:to_y, x:to_x]), (_THUMB, _THUMB)), 80)


def _name_of(request: gr.Request) -> str:
    return str(getattr(request, "session_hash", None) or "")
