"""Films that tests make: a bright square that walks over a dark ground."""

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (96, 64)


def picture(number: int, size_wh: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H, W, 3): a square in the upper left that moves right with the number of the frame."""
    width, height = size_wh
    image = np.full((height, width, 3), 30, np.uint8)
    left = number * width // 40 % (width // 2)
    image[: height // 4, left : left + width // 8] = (220, 60, 60)
    return image


def film(
    path: Path,
    count: int = 24,
    *,
    fps: int = 12,
    size_wh: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: list[float] | None = None,
    sound: bool = False,
    turn: int = 0,
    format: str | None = None,
    shape: Fraction | None = None,
) -> Path:
    """Write a film.

    Args:
        path: of the file.
        count: frames.
        fps: frames a second.
        size_wh: width and height.
        codec: of the pictures.
        pixels: their format.
        times: of the frames in seconds, where they do not come evenly.
        sound: whether a second of silence is added.
        turn: degrees by which players turn it, counter-clockwise.
        format: of the file, where its name does not say.
        shape: width of a pixel over its height.
    """
    with av.open(str(path), "w", format=format) as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pixels
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        if turn:
            stream.set_display_rotation(turn)
        track = out.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, size_wh), format="rgb24")
            frame.pts = round(1000 * times[number]) if times else number
            frame.time_base = Fraction(1, 1000) if times else Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 8000
            out.mux(track.encode(silence))
            out.mux(track.encode(None))
    if codec == "libsvtav1" and hasattr(os, "sched_setscheduler"):
        # Under root it takes real-time priority for the whole process, and keeps it: a browser that such a
        # process starts has it, too, and nothing else on the machine runs any more.
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
    return path


def sound_alone(path: Path) -> Path:
    """Write a file with sound and no pictures."""
    with av.open(str(path), "w") as out:
        track = out.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        out.mux(track.encode(silence))
        out.mux(track.encode(None))
    return path
