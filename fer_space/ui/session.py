"""What one visitor's page remembers, and the reading of a picture step by step.

Everything is in memory, never on disk, never shared. A session's answer is replaced as a whole, never
changed, so that events of one page may overlap: each piece of work holds a ticket, and whoever finds that a
newer one was issued stops between two models.
"""

import gc
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count, islice
from threading import Condition, RLock
from typing import Any, TypeVar
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison, Covered
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.distributions import Distributions
from fer_space.errors import FerSpaceError
from fer_space.explain.gradcam import METHOD
from fer_space.explain.sensitivity import Sensitivity
from fer_space.occlusion.cover import Cover
from fer_space.render.album import Entry
from fer_space.render.overlays import SHOWN_SIDE, data_uri
from fer_space.types import Face, Reading
from fer_space.vision.imaging import MAX_PIXELS, decode_image, shrink
from fer_space.vision.quality import with_doubts

Image = NDArray[np.uint8]
T = TypeVar("T")

FACES = 32  # that are read at once; the smaller ones wait for a click
CROWD = 200  # that are looked for at all
SLICE = 8  # faces that one model reads before somebody else has a turn
SESSION_BYTES = 1_500_000_000  # what all pages together may remember; the one unused for longest goes first
PICTURES_BYTES = 480_000_000  # whole pictures that are decoded at once; four of the largest
REMEMBERED = 10_000  # addresses and pages of which it is known when they had their last turn
_UNUSED_S = 10.0
_JOBS = count(1)

NO_PICTURE = "There is no picture yet: use your camera, upload one, drop or paste one, or try an example."
NO_MODEL = "Choose at least one model in the settings."
NO_FACE = (
    "No face found. A face should be turned towards the camera, well lit and at least about 40 pixels "
    "high; another detector may see what this one missed, or you can place the box by hand."
)
UNFORESEEN = "Something went wrong on the server. Please try again, or try another picture."
FORGOTTEN = "This page was unused for so long that its picture was forgotten. It is read again."


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
    method: str = METHOD
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
        return own + sum(_size(reading) for comparison in self.read for reading in comparison.readings)


@dataclass(frozen=True, eq=False)
class Coverage:
    """What was tried on the faces of one answer.

    Attributes:
        of: the answer; with another one this says nothing.
        cover: what covers the faces, or None where a visitor painted.
        covered: one a face.
        photo_uri: the covered picture for display, or "" where only crops were covered.
        slid: what each region is worth, one a model, for the face `slid_face`.
        slid_face: index of the face that the patch slid over.
    """

    of: Answer | None = None
    cover: Cover | None = None
    covered: tuple[Covered, ...] = ()
    photo_uri: str = ""
    slid: tuple[Sensitivity, ...] = ()
    slid_face: int = 0

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory, without the answer."""
        readings = (reading for covered in self.covered for reading in covered.after.readings)
        return len(self.photo_uri) + sum(map(_size, readings))


@dataclass(frozen=True, order=True)
class Who:
    """Whose work something is.

    Attributes:
        address: of the visitor, or of a proxy before many of them.
        page: name of the visitor's page.
        job: number of the piece of work; an older one is finished first.
    """

    address: str = ""
    page: str = ""
    job: int = 0

    @classmethod
    def of(cls, request: Any) -> "Who":
        """Read it from a request of Gradio's."""
        client = getattr(request, "client", None)
        return cls(str(getattr(client, "host", "")), str(getattr(request, "session_hash", None) or ""))


NOBODY = Who()


@dataclass(eq=False)
class Session:
    """One visitor's page.

    Attributes:
        answer: what it shows.
        selected: index of the face that is shown.
        coverage: what the Occlude tab shows.
        ticket: of the newest piece of work; older ones stop.
        stamp: number of the newest click that chose a picture; older ones come too late.
        cover_job: what covers the faces now.
        painting: the face that the easel shows.
        job: what the newest piece of work reads, so that equal values never run twice.
        seed: of what is random in the laboratory.
        used: when it was last used, in seconds.
        who: whose page it is.
    """

    answer: Answer
    selected: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    ticket: int = 0
    stamp: float = -1.0
    job: object = None
    cover_job: object = None
    painting: object = None
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
            if isinstance(stamp, int | float) and not isinstance(stamp, bool):
                if stamp < self.stamp:
                    return False
                self.stamp = float(stamp)
            self.ticket += 1
            self.answer, self.selected = answer, 0
            self.job = self.cover_job = None
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

    def select(self, index: object) -> None:
        """Show another face; an index that does not exist changes nothing."""
        if isinstance(index, int) and 0 <= index < len(self.answer.faces):
            self.selected = index

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
        self._lock = RLock()

    def of(self, request: Any) -> Session:
        """The session of a request; the least used ones forget their pictures where memory runs short."""
        name = str(getattr(request, "session_hash", None) or "")
        with self._lock:
            session = self._sessions.setdefault(name, Session(self._opening, job=_job(self._opening)))
            self._sessions.move_to_end(name)
            session.used, session.who = time.monotonic(), Who.of(request)
            self._forget(session)
            return session

    def close(self, request: Any) -> None:
        """Forget a page that was closed, and stop what is being done for it."""
        with self._lock:
            session = self._sessions.pop(str(getattr(request, "session_hash", None) or ""), None)
        if session is not None:
            session.begin(Answer())

    def __len__(self) -> int:
        return len(self._sessions)

    def _forget(self, current: Session) -> None:
        kept = sum(map(self._size, self._sessions.values()))
        for session in self._sessions.values():
            if kept <= self.limit:
                return
            if session is not current and (size := self._size(session)):
                kept -= size
                opens = session.answer is self._opening
                session.begin(self._opening if opens else Answer(problem=FORGOTTEN))

    def _size(self, session: Session) -> int:
        """About how many bytes a page keeps in memory; what all pages share is not its own."""
        own = 0 if session.answer is self._opening else session.answer.size
        return own + session.coverage.size


class Turns:
    """Lets pieces of work have their share of something, each for a step at a time.

    A photo of one face waits for one step of somebody else's group photo, not for all of it; and however much
    one visitor asks for, another one's next step comes after one of theirs: of all who wait, the address that
    was served longest ago is next, of its pages the same, and of a page's pieces of work the oldest.

    Args:
        capacity: how much there is; by default one at a time runs models.
    """

    def __init__(self, capacity: int = 1) -> None:
        self._free = capacity
        self._changed = Condition()
        self._line: deque[tuple[int, Who]] = deque()  # who waits, with the number of the waiting
        self._running = 0
        self._numbers = count(1)
        self._served: dict[tuple[str, ...], int] = {}  # by address, and by address and page: when last

    @property
    def line(self) -> int:
        """How many wait or run."""
        return len(self._line) + self._running

    @contextmanager
    def turn(self, who: Who = NOBODY) -> Iterator[None]:
        """Wait until it is one's turn, and keep the others waiting as long as this lasts."""
        self.enter(who)
        try:
            yield
        finally:
            self.leave()

    def enter(self, who: Who = NOBODY, weight: int = 1, timeout: float | None = None) -> bool:
        """Wait until it is one's turn and so much is free; returns False where that takes too long."""
        with self._changed:
            me = (next(self._numbers), who)
            self._line.append(me)
            came = self._changed.wait_for(lambda: self._free >= weight and self._next() == me, timeout)
            self._line.remove(me)
            if came:
                self._free -= weight
                self._running += 1
                self._serve(who)
            self._changed.notify_all()
            return came

    def leave(self, weight: int = 1, *, ended: bool = True) -> None:
        """Give back so much; `ended` is False where a rest is kept."""
        with self._changed:
            self._free += weight
            self._running -= ended
            self._changed.notify_all()

    def _next(self) -> tuple[int, Who]:
        def rank(waiting: tuple[int, Who]) -> tuple[int, int, int, int]:
            number, who = waiting
            address, page = self._served.get((who.address,), 0), self._served.get((who.address, who.page), 0)
            return address, page, who.job, number

        return min(self._line, key=rank)

    def _serve(self, who: Who) -> None:
        if len(self._served) > REMEMBERED:
            self._served.clear()
        self._served[(who.address,)] = self._served[(who.address, who.page)] = next(self._numbers)


@dataclass(frozen=True)
class Runs:
    """What runs models, each behind a turn.

    Attributes:
        stream: `Engine.stream`.
        detect: `Engine.detect`.
        sensitivity: `Engine.sensitivity`.
        together: `Engine.together`.
        answers: `Engine.answers`.
        follow: `Engine.follow`.
        turns: who may run now.
        room: bytes for whole pictures that are decoded at once.
        who: whose work this runs.
        lent: whether models run on a GPU that is lent to each piece of work, whose lender knows whose turn
            it is.
    """

    stream: Callable[..., Iterator[tuple[str, Sequence[Reading]]]]
    detect: Callable[..., list[Face]]
    sensitivity: Callable[..., Iterator[Sensitivity]]
    together: Callable[[Sequence[Face], Sequence[Sequence[Reading]], str], list[Comparison]]
    answers: Callable[..., Iterator[tuple[str, Distributions]]]
    follow: Callable[..., list[Face] | None]
    turns: Turns = field(default_factory=Turns)
    room: Turns = field(default_factory=lambda: Turns(PICTURES_BYTES))
    who: Who = NOBODY
    lent: bool = False

    def of(self, who: Who) -> "Runs":
        """The same for a new piece of a visitor's work."""
        return replace(self, who=replace(who, job=next(_JOBS)))

    def turn(self) -> AbstractContextManager[None]:
        """Wait for a turn at the models."""
        return self.turns.turn(self.who)

    def decode(self, data: bytes, first: Callable[[Image], None] | None = None, beside: int = 0) -> Image:
        """Decode a whole picture once there is room for it, which is given back when nothing refers to it.

        Must not be called in a turn. Raises ImageError when it cannot be read.

        Args:
            data: its file.
            first: what is done with it, or to it, before it is returned.
            beside: for how many more pictures of its size that needs room meanwhile.
        """
        most = (1 + beside) * 3 * MAX_PIXELS
        while not self.room.enter(self.who, most, timeout=_UNUSED_S):
            gc.collect()  # a picture may be left in an error's traceback
        try:
            image = decode_image(data)
            if first:
                first(image)
        except BaseException:
            self.room.leave(most)
            raise
        self.room.leave(most - image.nbytes, ended=False)
        finalize(image, self.room.leave, image.nbytes)
        return image

    def find(self, image: Image, detector: str) -> list[Face]:
        """Find faces, the largest first, in a turn."""
        with self.turn():
            return self.detect(image, detector=detector, limit=CROWD)

    def steps(
        self,
        image: Image,
        options: Options,
        faces: Sequence[Face],
        covers: Sequence[Cover | None] = (None,),
        at_once: int | None = None,
        maps: bool = True,
    ) -> Generator[tuple[str, Sequence[Reading]]]:
        """Read faces as `Engine.stream` does, each step in its turn: yields (name, readings)."""
        return self.in_turns(
            self.stream(
                image,
                faces,
                backbones=options.backbones,
                covers=covers,
                at_once=at_once,
                method=options.method if maps else None,
                boost_rare=options.boost_rare,
            )
        )

    def in_turns(self, work: Iterator[T]) -> Generator[T]:
        """Do work step by step, each in its turn; leaving off in between ends it."""
        try:
            while True:
                with nullcontext() if self.lent else self.turn():
                    step = next(work, None)
                if step is None:
                    return
                yield step
        finally:
            if isinstance(work, Generator):
                work.close()


def read_picture(
    runs: Runs, session: Session, options: Options, placed: Face | None = None
) -> Iterator[Answer]:
    """Read the session's picture with some options, and say after each step how far that is.

    Nothing happens where the same was read or is being read; and where a newer piece of work takes over,
    this one ends.

    Yields:
        Answers, the last of them complete or with a problem.
    """
    picture = session.answer.picture
    ticket = session.start((picture, options, placed))
    if ticket is None or picture is None:
        return
    steps = _find_and_read(runs.of(session.who), session, options, placed)
    yield from working(session, ticket, Answer(picture, options, placed), steps)


def read_rest(runs: Runs, session: Session) -> Iterator[Answer]:
    """Read the smaller faces, too, that were left out at first; yields like `read_picture`."""
    known = session.answer
    if not known.rest or not known.done or known.picture is None:
        return
    ticket = session.start((known.picture, known.options, known.placed, len(known.rest)))
    if ticket is None:
        return
    faces = _left_to_right([*known.faces, *known.rest])
    of = dict(zip(known.faces, known.comparisons, strict=True))
    answer = replace(known, faces=faces, comparisons=tuple(of.get(face) for face in faces), rest=())
    selected = faces.index(known.faces[session.selected])
    yield from working(session, ticket, known, _read_more(runs.of(session.who), answer, known.rest, selected))


def working(
    session: Session, ticket: int, bare: Answer, steps: Iterator[tuple[Answer, int | None]]
) -> Iterator[Answer]:
    """Put each step of some work into the session until it ends, fails, or newer work takes over.

    Args:
        session: the page.
        ticket: of this work.
        bare: what is shown where it fails, with the reason.
        steps: answers, and which face to select, or None.

    Yields:
        The answers that the page shows.
    """
    try:
        for answer, selected in steps:
            if not session.put(ticket, answer, selected):
                return
            yield answer
    except FerSpaceError as error:
        answer = replace(bare, problem=str(error))
        if session.put(ticket, answer):
            yield answer
    finally:
        if not session.answer.done:
            session.drop(ticket)


def _find_and_read(
    runs: Runs, session: Session, options: Options, placed: Face | None
) -> Iterator[tuple[Answer, int | None]]:
    picture = session.answer.picture
    assert picture is not None
    answer = Answer(picture, options, placed)
    if not options.backbones:
        yield replace(answer, problem=NO_MODEL), None
        return
    yield replace(answer, stage=_looking(runs)), None
    image = runs.decode(picture.data)
    found = [with_doubts(image, placed)] if placed is not None else runs.find(image, options.detector)
    if not found:
        yield replace(answer, problem=NO_FACE), None
        return
    faces = _left_to_right(found[:FACES])
    answer = replace(answer, faces=faces, comparisons=(None,) * len(faces), rest=tuple(found[FACES:]))
    yield replace(answer, stage=_progress(answer, found, 0, 0)), faces.index(found[0])
    for step in _read_faces(runs, answer, image, found[:FACES]):
        yield step, None


def _read_more(
    runs: Runs, answer: Answer, todo: Sequence[Face], selected: int
) -> Iterator[tuple[Answer, int | None]]:
    assert answer.picture is not None
    for step in _read_faces(runs, answer, runs.decode(answer.picture.data), todo):
        yield step, selected


def _read_faces(runs: Runs, answer: Answer, image: Image, todo: Sequence[Face]) -> Iterator[Answer]:
    """Read some faces of an answer, the largest first, model by model."""
    assert answer.options is not None
    models = len(answer.options.backbones)
    with closing(runs.steps(image, answer.options, todo, at_once=SLICE)) as steps:
        for start in range(0, len(todo), SLICE):
            part = todo[start : start + SLICE]
            columns: list[Sequence[Reading]] = []
            for _, readings in islice(steps, models):
                columns.append(readings)
                comparisons = list(answer.comparisons)
                for comparison in runs.together(part, columns, answer.options.ensemble):
                    comparisons[answer.faces.index(comparison.face)] = comparison
                finished = start + SLICE >= len(todo) and len(columns) == models
                answer = replace(
                    answer,
                    comparisons=tuple(comparisons),
                    stage="" if finished else _progress(answer, todo, start, len(columns)),
                    share=(start + len(part) * len(columns) / models) / len(todo),
                )
                yield answer


def _size(reading: Reading) -> int:
    """About how many bytes a reading keeps in memory."""
    maps = (explanation.heatmap.nbytes for explanation in reading.explanations.values())
    return reading.crop.image_rgb.nbytes + sum(maps)


def _left_to_right(faces: Sequence[Face]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: face.box_xyxy[0] + face.box_xyxy[2]))


def _looking(runs: Runs) -> str:
    ahead = runs.turns.line
    waits = f" There {'is one' if ahead == 1 else f'are {ahead}'} before you." if ahead else ""
    return f"Looking for faces…{waits}"


def _progress(answer: Answer, todo: Sequence[Face], start: int, models: int) -> str:
    """Say how far a reading is: "Reading 7 faces: 3 of 9 models"."""
    assert answer.options is not None
    faces, total = len(todo), len(answer.options.backbones)
    what = "the face" if faces == 1 else f"{faces} faces"
    if faces > SLICE:
        what = f"{faces} faces, {start + 1} to {min(start + SLICE, faces)}"
    return f"Reading {what}: {models} of {total} models"


def _job(answer: Answer) -> object:
    return (answer.picture, answer.options, answer.placed)
