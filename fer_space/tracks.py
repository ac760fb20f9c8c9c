"""Faces over time: which face of a frame is which of the frame before, and answers without jitter.

A face keeps its number while its box overlaps where it was last seen, or has moved less than its own width.
That is all that portraits, talks and webcams need; no picture of a face is kept or compared, so nobody is
recognised, and a face that comes back after `MEMORY` seconds gets a new number. (Trackers such as ByteTrack
also follow crowds by detections of low confidence. The well-kept implementations ask for a plotting library
and a second OpenCV, which is much for one rule about overlaps.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, hypot, sqrt

import numpy as np
from numpy.typing import NDArray

from fer_space.types import Face

MEMORY = 1.0  # seconds after which a face that was not seen is forgotten
LEAST_OVERLAP = 0.2  # intersection over union of one face in two frames
REACH = 0.75  # of a face's side, how far its centre may jump between two frames where boxes do not overlap
GROWTH = 1.6  # how many times larger or smaller it may become by such a jump


@dataclass(eq=False)
class _Track:
    number: int
    face: Face
    time: float


class Tracker:
    """Gives the faces of successive frames numbers that stay.

    Example:
        >>> tracker = Tracker()
        >>> tracker.number(0.0, [Face((0, 0, 10, 10), 0.9), Face((50, 0, 60, 10), 0.9)])
        [1, 2]
        >>> tracker.number(0.1, [Face((51, 0, 61, 10), 0.9), Face((90, 90, 99, 99), 0.9)])
        [2, 3]
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last = 0

    def number(self, time: float, faces: Sequence[Face]) -> list[int]:
        """Number the faces of the next frame.

        Args:
            time: of the frame in seconds; not smaller than that of the frame before.
            faces: all faces of the frame, in any order.

        Returns:
            One number a face, from 1, never twice in one frame.
        """
        self._tracks = [track for track in self._tracks if time - track.time <= MEMORY]
        found: dict[int, _Track] = {}
        for place, track in self._pairs(faces):
            if place not in found and track not in found.values():
                found[place] = track
        for place, face in enumerate(faces):
            if place not in found:
                self._last += 1
                found[place] = _Track(self._last, face, time)
                self._tracks.append(found[place])
            found[place].face, found[place].time = face, time
        return [found[place].number for place in range(len(faces))]

    def _pairs(self, faces: Sequence[Face]) -> Iterator[tuple[int, _Track]]:
        """Faces and the tracks that they may be, the likeliest pairs first."""
        scored = [
            (likeness(track.face, face), place, track)
            for place, face in enumerate(faces)
            for track in self._tracks
        ]
        for likely, place, track in sorted(scored, key=lambda pair: -pair[0]):
            if likely > 0.0:
                yield place, track


def likeness(before: Face, after: Face) -> float:
    """Say how likely two faces of successive frames are one.

    Returns:
        1 + intersection over union where their boxes overlap enough, a number in (0, 1] where one is within
        reach of the other, else 0.
    """
    overlap = before.overlap(after)
    if overlap >= LEAST_OVERLAP:
        return 1.0 + overlap
    side, to_side = sqrt(before.area), sqrt(after.area)
    if max(side, to_side) > GROWTH * min(side, to_side):
        return 0.0
    (x, y), (to_x, to_y) = _middle(before), _middle(after)
    return max(0.0, 1.0 - hypot(to_x - x, to_y - y) / (REACH * max(side, to_side)))


class Smoother:
    """Averages what comes one after the other, the newest most: an exponential moving average over time.

    After `seconds` the weight of a value has fallen to 1/e, however many frames came in between. Averages of
    distributions are distributions. 0 seconds gives every value back as it came.

    Example:
        >>> smoother = Smoother()
        >>> smoother.add("face 1", 0.0, np.array([1.0, 0.0]), seconds=1.0).tolist()
        [1.0, 0.0]
        >>> smoother.add("face 1", 1.0, np.array([0.0, 1.0]), seconds=1.0).round(2).tolist()
        [0.37, 0.63]
    """

    def __init__(self) -> None:
        self._averages: dict[object, tuple[float, NDArray[np.float64]]] = {}

    def add(
        self, key: object, time: float, values: NDArray[np.float64], seconds: float
    ) -> NDArray[np.float64]:
        """Add the newest values of something and give their average.

        Args:
            key: of what, such as a face and a model. What was not seen for MEMORY seconds starts anew.
            time: of the values in seconds.
            values: float64 of any one shape; NaN stays NaN, and where the average was NaN it starts anew.
            seconds: how long values count, at least 0.
        """
        before = self._averages.get(key)
        if before is not None and seconds > 0.0 and 0.0 <= time - before[0] <= MEMORY:
            kept = exp(-(time - before[0]) / seconds)
            values = np.where(np.isnan(before[1]), values, kept * before[1] + (1.0 - kept) * values)
        self._averages[key] = (time, values)
        return values

    def forget(self, before: float) -> None:
        """Forget what was last seen before a time."""
        self._averages = {key: last for key, last in self._averages.items() if last[0] >= before}


def _middle(face: Face) -> tuple[float, float]:
    left, top, right, bottom = face.box_xyxy
    return (left + right) / 2.0, (top + bottom) / 2.0
