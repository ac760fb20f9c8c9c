"""Frames in, readings out: what a video and a camera have in common.

    from fer_space import Engine
    from fer_space.vision.video import frames
    for seen in Engine().watch(frames("clip.mp4", every=3), backbones=["mobilenet_v2"]):
        print(seen.time, [(face.track, face.comparison.consensus) for face in seen.faces])

Nothing of a frame is kept when the next one comes but the places of its faces, so memory does not grow.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fer_space.comparison import Comparison
from fer_space.detectors.pipeline import MAX_FACES
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.tracks import Tracker
from fer_space.types import Face, Reading
from fer_space.vision.video import SIDE, Frame


class Reader(Protocol):
    """What reads faces: an `Engine`, or what stands in for one."""

    @property
    def detect(self) -> Callable[..., list[Face]]:
        """`Engine.detect`."""
        ...

    @property
    def follow(self) -> Callable[..., list[Face] | None]:
        """`Engine.follow`."""
        ...

    @property
    def stream(self) -> Callable[..., Iterator[tuple[str, Sequence[Reading]]]]:
        """`Engine.stream`."""
        ...

    @property
    def together(self) -> Callable[[Sequence[Face], Sequence[Sequence[Reading]], str], list[Comparison]]:
        """`Engine.together`."""
        ...


@dataclass(frozen=True, eq=False)
class Seen:
    """One face in one frame.

    Attributes:
        track: its number, the same in all frames in which it was followed.
        comparison: what the models say of it.
    """

    track: int
    comparison: Comparison


@dataclass(frozen=True, eq=False)
class Watched:
    """What was read in one frame.

    Attributes:
        number: of the frame, from 0.
        time: of the frame in seconds from the start.
        size_wh: its width and height in pixels.
        faces: the largest first; none is a normal answer.
    """

    number: int
    time: float
    size_wh: tuple[int, int]
    faces: tuple[Seen, ...]


class Watcher:
    """Reads the frames of one video or camera one after the other.

    Args:
        reader: finds faces and reads them.
        detector: finds the faces.
        side: pixels to which a frame is reduced before the detector looks, and once: the next one comes soon.
        every: the detector looks at every so many frames; between, faces are followed by their landmarks.
            Where one cannot be followed it looks at once.
        limit: how many faces are read, the largest first.
    """

    def __init__(
        self,
        reader: Reader,
        *,
        detector: str = DEFAULT_DETECTOR,
        side: int = SIDE,
        every: int = 1,
        limit: int = MAX_FACES,
    ) -> None:
        self._reader, self._detector, self._side, self._limit = reader, detector, side, limit
        self._every, self._since = every, every
        self._faces: list[Face] = []
        self._tracker = Tracker()

    def look(
        self,
        frame: Frame,
        *,
        backbones: Sequence[str] | None = None,
        boost_rare: bool = False,
        ensemble: str = "",
    ) -> Watched:
        """Read the next frame.

        Args:
            frame: not earlier than the one before.
            backbones: names of models; None takes all that are here.
            boost_rare: whether rare emotions are boosted.
            ensemble: the fit by which the models become one answer, see `Engine.compare`.

        Raises:
            As `Engine.compare`.
        """
        image_rgb = frame.image_rgb
        self._faces = faces = self._find(frame)
        numbers = self._tracker.number(frame.time, faces)
        comparisons: list[Comparison] = []
        if faces:
            stream = self._reader.stream(
                image_rgb, faces, backbones=backbones, method=None, boost_rare=boost_rare
            )
            comparisons = self._reader.together(faces, [readings for _, readings in stream], ensemble)
        return Watched(
            frame.number,
            frame.time,
            (image_rgb.shape[1], image_rgb.shape[0]),
            tuple(map(Seen, numbers, comparisons)),
        )

    def _find(self, frame: Frame) -> list[Face]:
        self._since += 1
        if self._faces and self._since < self._every:
            followed = self._reader.follow(frame.image_rgb, self._faces)
            if followed is not None:
                return followed
        self._since = 0
        return self._reader.detect(
            frame.image_rgb, detector=self._detector, limit=self._limit, side=self._side
        )
