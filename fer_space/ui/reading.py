"""The reading of a picture step by step, each step in its turn."""

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import TypeVar
from weakref import finalize

from fer_space.comparison import Comparison
from fer_space.distributions import Distributions
from fer_space.errors import FerSpaceError
from fer_space.explain.sensitivity import Sensitivity
from fer_space.occlusion.cover import Cover
from fer_space.types import Face, Reading
from fer_space.ui.session import NO_FACE, NO_MODEL, Answer, Image, Options, Session
from fer_space.ui.turns import NOBODY, Turns, Who
from fer_space.vision.imaging import MAX_PIXELS, decode_image
from fer_space.vision.quality import with_doubts

T = TypeVar("T")

FACES = 32  # that are read at once; the smaller ones wait for a click
CROWD = 200  # that are looked for at all
SLICE = 8  # faces that one model reads before somebody else has a turn
_SAME = 0.5  # overlap from which a face that was found again is taken for the same
PICTURES_BYTES = 480_000_000  # whole pictures that are decoded at once; four of the largest
_UNUSED_S = 10.0
_JOBS = count(1)


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
    if picture is None:  # and perhaps an album, whose work goes on
        return
    ticket = session.start((picture, options, placed))
    if ticket is None:
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
    faces = left_to_right([*known.faces, *known.rest])
    of = dict(zip(known.faces, known.comparisons, strict=True))
    answer = replace(known, faces=faces, comparisons=tuple(of.get(face) for face in faces), rest=())
    yield from working(session, ticket, known, _read_more(runs.of(session.who), session, known, answer))


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
    faces = left_to_right(found[:FACES])
    answer = replace(answer, faces=faces, comparisons=(None,) * len(faces), rest=tuple(found[FACES:]))
    yield replace(answer, stage=_progress(answer, found, 0, 0)), faces.index(_first(found, session.chosen))
    for step in _read_faces(runs, answer, image, found[:FACES]):
        yield step, None


def _first(found: Sequence[Face], chosen: Face | None) -> Face:
    """Which of the faces is shown: the one that was chosen before they were found again, else the largest."""
    if chosen is None:
        return found[0]
    again = max(found[:FACES], key=chosen.overlap)
    return again if chosen.overlap(again) > _SAME else found[0]


def _read_more(
    runs: Runs, session: Session, known: Answer, answer: Answer
) -> Iterator[tuple[Answer, int | None]]:
    assert answer.picture is not None
    for step in _read_faces(runs, answer, runs.decode(answer.picture.data), known.rest):
        moves = session.answer is known  # with the first step the same face has another index
        yield step, answer.faces.index(known.faces[session.selected]) if moves else None


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
                    comparisons[answer.faces.index(comparison.face)] = replace(comparison, asked=models)
                finished = start + SLICE >= len(todo) and len(columns) == models
                answer = replace(
                    answer,
                    comparisons=tuple(comparisons),
                    stage="" if finished else _progress(answer, todo, start, len(columns)),
                    share=(start + len(part) * len(columns) / models) / len(todo),
                )
                yield answer


def left_to_right(faces: Sequence[Face]) -> tuple[Face, ...]:
    """Order faces by the middle of their boxes."""
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
