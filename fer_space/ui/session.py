"""What one visitor's page remembers.

Everything is in memory, never on disk, never shared. A session's answer is replaced as a whole, never
changed, so that events of one page may overlap: each piece of work holds a ticket, and whoever finds that a
newer one was issued stops between two models.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison, Covered
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.explain.maps import DEFAULT
from fer_space.explain.sensitivity import Sensitivity
from fer_space.occlusion.cover import Cover
from fer_space.render.album import Entry
from fer_space.render.overlays import SHOWN_SIDE, MapView, data_uri
from fer_space.types import Face, Reading
from fer_space.ui.turns import NOBODY, Who
from fer_space.vision.imaging import decode_image, shrink

Image = NDArray[np.uint8]

SESSION_BYTES = 1_500_000_000  # what all pages together may remember; the one unused for longest goes first
UNUSED_S = 7200.0  # after which a page forgets its picture in any case
_CLOSED = 10_000  # names of closed pages that are remembered

NO_MODEL = "Choose at least one model in the settings."
NO_MODEL_HERE = "Choose at least one model below."
NOTHING_FOUND = "No face found."
NO_FACE = (
    f"{NOTHING_FOUND} A face should be turned towards the camera, well lit and at least about 40 pixels "
    "high; another detector may see what this one missed, or you can place the box by hand."
)
BOX = (50.0, 50.0, 40.0)  # where a box by hand starts: across, down, size, see `placed_face`
UNFORESEEN = "Something went wrong on the server. Please try again, or try another picture."
FORGOTTEN = (
    "This page was unused for so long that what it showed was forgotten. A picture that your browser still "
    "has is read again."
)


@dataclass(frozen=True)
class Options:
    """What a visitor asks of the engine; each field is one control of the settings.

    Attributes:
        backbones: names of the models that read.
        detector: name of the detector.
        method: how maps are made, a name in `fer_space.explain.library.METHODS`.
        boost_rare: whether rare emotions are boosted.
        ensemble: the fit by which the models become one answer, see `Engine.compare`.
    """

    backbones: tuple[str, ...]
    detector: str = DEFAULT_DETECTOR
    method: str = DEFAULT
    boost_rare: bool = True  # chosen on validation, see docs/results.md, "Two operating points"
    ensemble: str = ""

    def __post_init__(self) -> None:
        # A forged request may repeat a name or send what is no list.
        object.__setattr__(self, "backbones", tuple(dict.fromkeys(map(str, self.backbones))))
        object.__setattr__(self, "boost_rare", bool(self.boost_rare))
        object.__setattr__(self, "ensemble", str(self.ensemble or ""))


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture as it was handed in, and as it is displayed.

    Attributes:
        data: its file; the whole picture is decoded anew for each piece of work, too large to be kept.
        shown: uint8 RGB (h, w, 3), no side longer than 1280 pixels.
        uri: the same as a data URI.
        size_wh: width and height of the picture in pixels.
    """

    data: bytes
    shown: Image
    uri: str
    size_wh: tuple[int, int]

    @classmethod
    def open(cls, data: bytes, decode: Callable[[bytes], Image] = decode_image) -> "Picture":
        """Decode a picture, for visitors by `Runs.decode`. Raises ImageError when it cannot be read."""
        image = decode(data)
        shown = shrink(image, SHOWN_SIDE)
        return cls(data, shown, data_uri(shown), (image.shape[1], image.shape[0]))


@dataclass(frozen=True, eq=False)
class Answer:
    """What was read from a picture so far.

    Attributes:
        picture: None before there is one.
        options: by what it is read.
        placed: the only face, where a visitor placed it by hand.
        faces: from left to right.
        comparisons: one a face, with the models that have read it so far; None before the first.
        problem: a sentence that says why there is nothing to show, or "".
        stage: what is being done now, a sentence, or "" when all is done.
        share: how much of it is done, in [0, 1].
        rest: smaller faces that were found and not read, the largest first.
        album: what was read of many photos, where there are many instead of one picture.
        left_out: how many more of them there were.
        waiting: bytes of the files that have yet to be read.
    """

    picture: Picture | None = None
    options: Options | None = None
    placed: Face | None = None
    faces: tuple[Face, ...] = ()
    comparisons: tuple[Comparison | None, ...] = ()
    problem: str = ""
    stage: str = ""
    share: float = 0.0
    rest: tuple[Face, ...] = ()
    album: tuple[Entry, ...] = ()
    left_out: int = 0
    waiting: int = 0

    @property
    def done(self) -> bool:
        """Whether every face was read by every model."""
        return bool(self.faces) and not self.stage and not self.problem

    @property
    def read(self) -> tuple[Comparison, ...]:
        """The faces that were read, from left to right."""
        return tuple(comparison for comparison in self.comparisons if comparison is not None)

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory."""
        picture = self.picture
        own = len(picture.data) + picture.shown.nbytes + len(picture.uri) if picture else 0
        many = self.waiting + sum(entry.size for entry in self.album)
        return own + many + sum(_size(reading) for comparison in self.read for reading in comparison.readings)


@dataclass(frozen=True, eq=False)
class Coverage:
    """What was tried on the faces of one answer.

    Attributes:
        of: the answer whose faces are covered; with another one that says nothing.
        covered: one a face.
        photo_uri: the covered picture for display, or "" where only crops were covered.
        slid: what each region is worth, one a model.
        slid_over: the answer, and the index of its face, that the patch slid over.
    """

    of: Answer | None = None
    covered: tuple[Covered, ...] = ()
    photo_uri: str = ""
    slid: tuple[Sensitivity, ...] = ()
    slid_over: tuple[Answer, int] | None = None

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory, without the answer."""
        readings = (reading for covered in self.covered for reading in covered.after.readings)
        return len(self.photo_uri) + sum(map(_size, readings))


@dataclass(eq=False)
class Session:
    """One visitor's page.

    Attributes:
        answer: what it shows.
        selected: index of the face that is shown.
        chosen: the face of this picture that the visitor asked for last.
        clicked: number of the click that chose it; older ones come too late.
        view: how maps are drawn.
        box: where a face is placed by hand: across, down and size in per cent, see `placed_face`.
        coverage: what the Occlude tab shows.
        wanted: what covers faces, also those of the next picture; None after a visitor painted.
        ticket: of the newest piece of work; older ones stop.
        stamp: number of the newest click that chose a picture; older ones come too late.
        cover_job: what covers the faces now.
        slide_job: the newest slide of a patch; older ones stop.
        mix_job: the newest mixing in the laboratory; older ones stop.
        painting: the face that the easel shows.
        whole: whether the easel shows all of the photo and not the face alone.
        tab: the tab that is open, by its id.
        job: what the newest piece of work reads, so that equal values never run twice.
        seed: of what is random in the laboratory.
        used: when it was last used, in seconds.
        who: whose page it is.
    """

    answer: Answer
    selected: int = 0
    chosen: Face | None = None
    clicked: float = -1.0
    view: MapView = field(default_factory=MapView)
    box: tuple[float, float, float] = BOX
    wanted: Cover | None = None
    coverage: Coverage = field(default_factory=Coverage)
    ticket: int = 0
    stamp: float = -1.0
    job: object = None
    cover_job: object = None
    slide_job: object = None
    mix_job: object = None
    painting: object = None
    whole: bool = False
    tab: str = "compare"
    seed: int = 0
    used: float = field(default_factory=time.monotonic)
    who: Who = NOBODY
    lock: RLock = field(default_factory=RLock)

    def begin(self, answer: Answer, stamp: object = None) -> bool:
        """Show something else and let go of all that is being done.

        Args:
            answer: what is shown now.
            stamp: number of the click; an older one than the last changes nothing.

        Returns:
            Whether it was the newest click.
        """
        with self.lock:
            if (number := newest(stamp, self.stamp)) is None:
                return False
            self.stamp = number
            self.ticket += 1
            self.answer, self.selected, self.chosen, self.box = answer, 0, None, BOX
            self.job = self.cover_job = self.painting = None
            self.coverage = Coverage()
            return True

    def start(self, job: object) -> int | None:
        """Start a piece of work; None where the same is done or under way."""
        with self.lock:
            if self.job == job:
                return None
            self.ticket += 1
            self.job = job
            return self.ticket

    def put(self, ticket: int, answer: Answer, selected: int | None = None) -> bool:
        """Show how far a piece of work is, unless a newer one took over; returns whether it did not."""
        with self.lock:
            if self.ticket != ticket:
                return False
            self.answer = answer
            if selected is not None:
                self.selected = selected
            return True

    def drop(self, ticket: int) -> None:
        """Forget that a piece of work was started, where it was not finished."""
        with self.lock:
            if self.ticket == ticket:
                self.job = None

    def select(self, index: object, stamp: object = None) -> bool:
        """Show another face; an index that does not exist changes nothing.

        Args:
            index: of the face.
            stamp: number of the click; an older one than the last changes nothing.

        Returns:
            Whether it was the newest click.
        """
        with self.lock:
            if (number := newest(stamp, self.clicked)) is None:
                return False
            self.clicked = number
            if isinstance(index, int) and 0 <= index < len(self.answer.faces):
                self.selected, self.chosen = index, self.answer.faces[index]
            return True

    @property
    def shown(self) -> Comparison | None:
        """The selected face as far as it was read."""
        comparisons = self.answer.comparisons
        return comparisons[self.selected] if self.selected < len(comparisons) else None

    @property
    def which(self) -> str:
        """Which of several faces is shown."""
        faces = len(self.answer.faces)
        return f"Face {self.selected + 1} of {faces}" if faces > 1 else ""


class Sessions:
    """All pages that are open, by the name that Gradio gives them.

    Args:
        opening: what a new page shows; all of them share it.
        limit: bytes that all together may keep.
    """

    def __init__(self, opening: Answer, limit: int = SESSION_BYTES) -> None:
        self.limit = limit
        self._opening = opening
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._lock = RLock()

    def of(self, request: Any) -> Session:
        """The session of a request; the least used ones forget their pictures where memory runs short.

        A page whose connection broke counts as closed though somebody still looks at it: it is told.
        """
        name = str(getattr(request, "session_hash", None) or "")
        with self._lock:
            if name not in self._sessions:
                opening = Session(self._opening, job=_job(self._opening))
                known = name in self._closed
                self._sessions[name] = Session(Answer(problem=FORGOTTEN)) if known else opening
            session = self._sessions[name]
            self._sessions.move_to_end(name)
            session.used, session.who = time.monotonic(), Who.of(request)
            self._forget(session)
            return session

    def close(self, request: Any) -> None:
        """Forget a page that was closed, and stop what is being done for it."""
        name = str(getattr(request, "session_hash", None) or "")
        with self._lock:
            session = self._sessions.pop(name, None)
            if name:
                self._closed[name] = None
            while len(self._closed) > _CLOSED:
                self._closed.popitem(last=False)
        if session is not None:
            session.begin(Answer())

    def __len__(self) -> int:
        return len(self._sessions)

    def _forget(self, current: Session) -> None:
        kept = sum(map(self._size, self._sessions.values()))
        for session in self._sessions.values():  # the one unused for longest first
            if kept <= self.limit and current.used - session.used <= UNUSED_S:
                return
            if session is not current and (size := self._size(session)):
                kept -= size
                opens = session.answer is self._opening
                session.begin(self._opening if opens else Answer(problem=FORGOTTEN))

    def _size(self, session: Session) -> int:
        """About how many bytes a page keeps in memory; what all pages share is not its own."""
        own = 0 if session.answer is self._opening else session.answer.size
        return own + session.coverage.size


def number_of(stamp: object) -> float | None:
    """The number of a click; None of a forged one, or of one without."""
    if isinstance(stamp, bool) or not isinstance(stamp, int | float) or stamp != stamp:
        return None
    return float(stamp)


def newest(stamp: object, last: float) -> float | None:
    """The number of the newest click: of this one, or the last where it has none; None if it is older."""
    number = number_of(stamp)
    if number is None:
        return last
    return number if number >= last else None


def _size(reading: Reading) -> int:
    """About how many bytes a reading keeps in memory."""
    maps = (explanation.heatmap.nbytes for explanation in reading.explanations.values())
    return reading.crop.image_rgb.nbytes + sum(maps)


def _job(answer: Answer) -> object:
    return (answer.picture, answer.options, answer.placed)
