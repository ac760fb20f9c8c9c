"""Readings of a video over time, as the lanes that the page draws: emotions, affect, disagreement.

Lanes are 1000 units wide, from 0 to the length of the video; x is time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.render import html
from fer_space.render.rows import Row
from fer_space.render.texts import Looks

WIDTH, HEIGHT = 1000.0, 100.0
GAP = 1.0  # seconds without the face after which a line is broken
MOST_BITS = 1.0  # of disagreement that fill a lane
_TICKS = (1, 2, 5, 10, 15, 30)


@dataclass(frozen=True)
class Area:
    """The share of one emotion over time, as the path of an area."""

    emotion: str
    path: str


@dataclass(frozen=True)
class Lane:
    """What one model said over time.

    Attributes:
        backbone: its name.
        areas: stacked, one an emotion that reaches 1 % anywhere.
        labels: (time, emotion) wherever its answer changes; "" where the face is lost.
        words: how long it said what, in words.
    """

    backbone: str
    areas: tuple[Area, ...]
    labels: tuple[tuple[float, str], ...]
    words: str


@dataclass(frozen=True)
class FaceSpan:
    """One face of a video.

    Attributes:
        track: its number.
        seconds: about how long it is seen.
        uri: a small picture of it, as a data URI.
    """

    track: int
    seconds: float
    uri: str


def timeline_html(
    rows: Sequence[Row], faces: Sequence[FaceSpan], track: int, length: float, looks: Looks, note: str = ""
) -> str:
    """Show what was read of one face of a video over time.

    Args:
        rows: all rows of the video, in the order of time.
        faces: to choose from.
        track: of the face that is shown.
        length: of the video in seconds.
        looks: how each model is named and coloured.
        note: what should be known about the reading, a sentence.
    """
    own = [row for row in rows if row["track"] == track]
    by_model: dict[str, list[Row]] = {}
    for row in own:
        by_model.setdefault(row["backbone"], []).append(row)
    moments = next(iter(by_model.values()), [])  # one row a frame
    means = np.array([_means(by_model, number) for number in range(len(moments))]).reshape(-1, 2)
    times = [row["time"] for row in moments]
    return html.render(
        "timeline",
        faces=faces,
        track=track,
        length=length,
        looks=looks,
        lanes=[lane_of(name, lane, length) for name, lane in by_model.items()],
        valence=line_path(times, (1.0 - means[:, 0]) / 2.0, length),
        arousal=line_path(times, (1.0 - means[:, 1]) / 2.0, length),
        affect=[(row["time"], *map(_two, mean)) for row, mean in zip(moments, means.tolist(), strict=True)],
        disagreement=area_path(
            times,
            np.zeros(len(moments)),
            np.array([min(row["disagreement_bits"] / MOST_BITS, 1.0) for row in moments]),
            length,
        ),
        split=[(WIDTH * row["time"] / length, row["time"]) for row in moments if row["agreement"] < 1.0],
        split_share=float(np.mean([row["agreement"] < 1.0 for row in moments])) if moments else 0.0,
        ticks=_ticks(length),
        note=note,
        parquet=find_spec("pyarrow") is not None,
    )


def lane_of(backbone: str, rows: Sequence[Row], length: float) -> Lane:
    """Draw the answers of one model to one face.

    Args:
        backbone: its name.
        rows: its own, in the order of time.
        length: of the video in seconds.
    """
    times = [row["time"] for row in rows]
    shares = np.array([[row[emotion] or 0.0 for emotion in EMOTIONS] for row in rows])  # (T, 8)
    tops = shares.cumsum(axis=1)
    areas = tuple(
        Area(emotion, area_path(times, tops[:, i] - shares[:, i], tops[:, i], length))
        for i, emotion in enumerate(EMOTIONS)
        if shares[:, i].max() >= 0.01
    )
    return Lane(backbone, areas, tuple(_changes(rows)), _words(rows))


def area_path(
    times: Sequence[float], low: NDArray[np.float64], high: NDArray[np.float64], length: float
) -> str:
    """The path of an area between two lines in [0, 1], 0 below; broken where the face is lost."""
    path = ""
    for start, end in spans(times):
        x = [_x(times[i], length) for i in range(start, end)]
        over = " ".join(
            f"{at} {HEIGHT * (1 - high[i]):.1f}" for at, i in zip(x, range(start, end), strict=True)
        )
        under = " ".join(
            f"{at} {HEIGHT * (1 - low[i]):.1f}"
            for at, i in zip(reversed(x), range(end - 1, start - 1, -1), strict=True)
        )
        path += f"M{over} L{under}Z"
    return path


def line_path(times: Sequence[float], heights: NDArray[np.float64], length: float) -> str:
    """The path of a line; `heights` are 0 above and 1 below."""
    path = ""
    for start, end in spans(times):
        path += "M" + " ".join(f"{_x(times[i], length)} {HEIGHT * heights[i]:.1f}" for i in range(start, end))
    return path


def spans(times: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield where the face is seen without a gap: first index, and one after the last."""
    start = 0
    for i in range(1, len(times) + 1):
        if i == len(times) or times[i] - times[i - 1] > GAP:
            yield start, i
            start = i


def _x(time: float, length: float) -> str:
    return f"{WIDTH * time / length:.1f}"


def _two(number: float) -> float:
    return round(number, 2)


def _means(by_model: Mapping[str, Sequence[Row]], number: int) -> tuple[float, float]:
    valence, arousal = zip(
        *((rows[number]["valence"], rows[number]["arousal"]) for rows in by_model.values()), strict=True
    )
    return float(np.mean(valence)), float(np.mean(arousal))


def _changes(rows: Sequence[Row]) -> Iterator[tuple[float, str]]:
    last, time = "", 0.0
    for row in rows:
        if last and row["time"] - time > GAP:
            yield time, ""
            last = ""
        if row["label"] != last:
            last = row["label"]
            yield row["time"], last
        time = row["time"]
    if rows:
        yield time + GAP, ""


def _words(rows: Sequence[Row]) -> str:
    """Shares of the time by emotion: "happiness 80 %, neutral 20 %"."""
    counts = {e: sum(row["label"] == e for row in rows) for e in EMOTIONS}
    said = sorted((e for e in EMOTIONS if counts[e]), key=lambda e: -counts[e])
    return ", ".join(f"{e} {100 * counts[e] / len(rows):.0f} %" for e in said)


def _ticks(length: float) -> list[tuple[float, str]]:
    """Place from 0 to 1 and word of each tick, eight at most."""
    step = next((step for step in _TICKS if length / step <= 8), _TICKS[-1])
    return [(second / length, f"{second} s") for second in range(0, int(length) + 1, step)]
