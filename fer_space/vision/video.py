"""Videos as frames: one at a time, upright, with their times, and never the whole file in memory.

    with Video("clip.mp4", every=3) as video:
        for frame in video:
            print(frame.number, frame.time, frame.image_rgb.shape)

Files of strangers are decoded in a child process that may spend little: `fer_space.vision.filming`.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import MissingDependencyError, SourceError, VideoError
from fer_space.vision.child import answer_of, start_child
from fer_space.vision.worker import receive, receive_into, receive_text

SIDE = 1280  # pixels of the longer side; larger frames are reduced
PATIENCE = 40.0  # seconds by the clock for one frame
_PIXELS = 4_000_000  # of a frame that the child may send

TOO_COSTLY = "The video takes too much time or memory to decode: save it anew as a plain MP4 (H.264)."
UNREADABLE = "The video is damaged or cut short, or is none: use MP4, MOV, WebM, MKV or AVI."

# Messages of the decoder: kind; height and width, or the length of what follows and 0; number; time.
HEAD = Struct("<cIIQd")
INFO, FRAME, END, WRONG = b"I", b"F", b"E", b"W"

# How videos begin: (offset, bytes). An ISO base media file is one unless its brand is that of a picture.
_SIGNS = (
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (8, b"AVI "),
    (0, b"FLV\x01"),
    (0, b"OggS"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),  # ASF, WMV
    (0, b"\0\0\x01\xba"),  # MPEG program stream
    (0, b"\0\0\x01\xb3"),  # MPEG video
    (0, b"\x06\x0e+4\x02\x05\x01\x01"),  # MXF
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
)
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEAD_BYTES = 400


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video or camera.

    Attributes:
        number: of the frame in the video, from 0; frames that are left out count.
        time: in seconds from the first frame.
        image_rgb: uint8 (H, W, 3), upright.
    """

    number: int
    time: float
    image_rgb: NDArray[np.uint8]


@dataclass(frozen=True)
class Wanted:
    """Which frames are asked for.

    Attributes:
        every: every so many frames are sent.
        step: seconds that lie between two frames at least.
        seconds: after which the video is cut, or 0 for all of it.
        side: pixels of the longer side; larger frames are reduced.
    """

    every: int = 1
    step: float = 0.0
    seconds: float = 0.0
    side: int = SIDE


class Video:
    """A video that is being decoded; iterate it once.

    Args:
        path: of the file.
        every: every so many frames are given.
        step: seconds that lie between two given frames at least.
        seconds: after which it is cut; None takes all of it.
        side: pixels of the longer side; larger frames are reduced.

    Attributes:
        seconds: how long it is by its own account, or None where it does not say.
        fps: frames a second on the average by its own account, 0 where it does not say.
        damaged: how many pieces could not be decoded; known at the end.
        cut: whether there was more after `seconds`; known at the end.

    Raises:
        VideoError: it is none, a damaged one, or past the limits, in one sentence; iterating raises it, too.
        SourceError: the file cannot be opened.
        MissingDependencyError: PyAV is not installed.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        every: int = 1,
        step: float = 0.0,
        seconds: float | None = None,
        side: int = SIDE,
    ) -> None:
        if find_spec("av") is None:  # the child could not say so
            raise MissingDependencyError("Videos need PyAV: pip install 'fer-space[video]', or av alone.")
        wanted = Wanted(max(1, every), step, seconds or 0.0, side)
        self._patience = PATIENCE * min(wanted.every, 10_000)  # frames that are passed over are decoded, too
        try:
            with Path(path).open("rb") as file:
                self._process = start_child(
                    "fer_space.vision.filming", json.dumps(asdict(wanted)), stdin=file
                )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"“{path}” cannot be read: {reason}.") from error
        self._answers = cast(FileIO, self._process.stdout)
        self.damaged, self.cut = 0, False
        try:
            _, info = self._message()
        except BaseException:  # Ctrl-C, too
            self.close()
            raise
        self.seconds: float | None = info["seconds"]
        self.fps: float = info["fps"]

    def __iter__(self) -> Iterator[Frame]:
        while True:
            frame, end = self._message()
            if frame is None:
                self.damaged, self.cut = end["damaged"], end["cut"]
                return
            yield frame

    @property
    def pid(self) -> int:
        """Of the process that decodes."""
        return self._process.pid

    def close(self) -> None:
        """End the decoder."""
        self._process.kill()
        self._process.wait()
        self._answers.close()

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _message(self) -> tuple[Frame | None, dict[str, Any]]:
        """The next frame, or what the decoder says instead of one."""
        costly, crashed = VideoError(TOO_COSTLY), VideoError(UNREADABLE)
        with answer_of(self._process, self._patience, costly=costly, crashed=crashed):
            kind, height, width, number, time = HEAD.unpack(receive(self._answers, HEAD.size))
            if kind != FRAME:
                text = receive_text(self._answers, height)
                if kind == WRONG:
                    raise VideoError(text)
                return None, json.loads(text)
            if not 0 < height * width <= _PIXELS:
                raise EOFError  # no frame that was asked for
            pixels = np.empty((height, width, 3), dtype=np.uint8)
            receive_into(self._answers, pixels.reshape(-1).data)
            return Frame(number, time, pixels), {}


def frames(path: Path | str, *, every: int = 1, seconds: float | None = None) -> Iterator[Frame]:
    """Give the frames of a video one after the other; raises as `Video`."""
    with Video(path, every=every, seconds=seconds) as video:
        yield from video


def is_video(head: bytes) -> bool:
    """Whether a file is a video, by its first bytes (`_HEAD_BYTES` are enough).

    Example:
        >>> [is_video(bytes(4) + brand) for brand in (b"ftypisom", b"ftypheic")]
        [True, False]
    """
    if head[4:8] == b"ftyp":
        return head[8:12] not in _PICTURE_BRANDS
    if any(head[offset : offset + len(sign)] == sign for offset, sign in _SIGNS):
        return True
    return len(head) > 188 and head[0] == head[188] == 0x47  # an MPEG transport stream


def is_video_file(path: Path | str) -> bool:
    """Whether a path is a file that holds a video; what cannot be opened is none."""
    with suppress(OSError, ValueError):
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                return is_video(file.read(_HEAD_BYTES))
    return False
