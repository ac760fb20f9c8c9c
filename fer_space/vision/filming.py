"""The child process that decodes a video of a stranger: `python -m fer_space.vision.filming`.

The file is its standard input; it opens no other, whatever the video says. FFmpeg may use the formats and
decoders below alone, SECONDS of processor time for each frame (and ALL_SECONDS for those of a visitor's video
together), and MEMORY bytes more than at rest. Frames go out as they are asked for: the pipe is the only
buffer, so memory does not grow with the video.

The arguments are those of `Wanted`, as JSON. Each message on the standard output is a `HEAD`, then bytes:
what the video is (JSON), its frames (pixels), and how it ended (JSON), or a sentence that says what is wrong.
"""

import errno
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from io import FileIO
from typing import Any, NoReturn

import av
import numpy as np
from numpy.typing import NDArray

from fer_space.errors import VideoError
from fer_space.vision.video import END, FRAME, HEAD, INFO, TOO_COSTLY, UNREADABLE, WRONG, Wanted
from fer_space.vision.worker import allow, send

SECONDS = 6.0
ALL_SECONDS = 300  # for all frames of a video of which only a beginning is wanted, as on the page
MEMORY = 1200 * 1024 * 1024
MAX_PIXELS = 9_500_000  # a frame of 4096 x 2304
MOST_FPS = 240  # more frames a second are not believed
MAX_DAMAGED = 300  # frames or packets one after the other that cannot be decoded

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf"
CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,mpeg1video,mpeg2video,"
    "mjpeg,prores,theora,wmv1,wmv2,wmv3,vc1,h263,flv,dvvideo,ffv1,dnxhd"
)

NO_PICTURES = "The file holds no video, only other streams such as sound."
TOO_LARGE = f"The video is too large: the limit is {MAX_PIXELS / 1e6:.1f} million pixels a frame (4K)."


def main() -> None:
    """Send the frames of the video on the standard input."""
    wanted = Wanted(**json.loads(sys.argv[1]))
    answers = FileIO(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _settle()
    allow(SECONDS, MEMORY)
    if wanted.seconds:
        _allow_in_all(ALL_SECONDS)
    try:
        _film(wanted, answers)
    except BrokenPipeError:
        return  # nobody wants more of it
    except VideoError as error:
        _say(answers, str(error))
    except MemoryError:
        _say(answers, TOO_COSTLY)
    except Exception as error:  # whatever a library raises on hostile bytes
        costly = isinstance(error, OSError) and error.errno == errno.ENOMEM
        _say(answers, TOO_COSTLY if costly else UNREADABLE)


def _film(wanted: Wanted, answers: FileIO) -> None:
    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": CODECS,
        "protocol_whitelist": "none",
    }
    with av.open(FileIO(0, "rb"), options=options, io_open=_refuse) as container:
        if not container.streams.video:
            raise VideoError(NO_PICTURES)
        stream = container.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.codec_context.thread_count = 1
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            raise VideoError(TOO_LARGE)
        _open_no_more()
        info = {"seconds": _duration(container, stream), "fps": float(stream.average_rate or 0.0)}
        _send_json(answers, INFO, info)
        sent = damaged = number = 0
        cut, last, due = False, 0.0, 0.0
        first: float | None = None
        for frame in _decoded(container, stream):
            if frame is None:
                damaged += 1
                continue
            time = _time_of(frame, number, stream)
            first = time if first is None else first
            last = max(last, time - first)  # time never runs backwards
            if wanted.seconds and (last > wanted.seconds or number > wanted.seconds * MOST_FPS):
                cut = True
                break
            if number % wanted.every == 0 and last >= due - 1e-6:
                due = last + wanted.step
                pixels = _pixels(frame, stream, wanted.side)
                send(answers, HEAD.pack(FRAME, *pixels.shape[:2], number, last), pixels.reshape(-1).data)
                sent += 1
            number += 1
        if not number:
            raise VideoError(UNREADABLE)
        _send_json(answers, END, {"frames": number, "damaged": damaged, "cut": cut, "seconds": last})


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """The frames of a stream; None for what cannot be decoded, which is passed over."""
    packets = container.demux(stream)
    lost = 0
    while lost < MAX_DAMAGED:
        _wind_up()
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except (MemoryError, VideoError):
            raise
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise
            lost += 1
            yield None
            continue
        except (ValueError, EOFError):
            lost += 1
            yield None
            continue
        for frame in frames:
            lost = 0
            _wind_up()
            yield frame


def _pixels(frame: Any, stream: Any, side: int) -> NDArray[np.uint8]:
    """Turn a frame of any depth and shape of pixels into upright uint8 (H, W, 3) RGB."""
    shape = stream.sample_aspect_ratio or Fraction(1)
    width, height = frame.width * float(shape if 0 < shape < 100 else 1), float(frame.height)
    if width * height > 4 * MAX_PIXELS:
        raise VideoError(TOO_LARGE)
    scale = min(1.0, side / max(width, height))
    size = max(2, round(width * scale)), max(2, round(height * scale))
    small = frame.reformat(*size, format="rgb24", interpolation="AREA" if scale < 1.0 else "BILINEAR")
    turned = np.rot90(small.to_ndarray(), round(frame.rotation / 90) % 4)  # counter-clockwise
    return np.ascontiguousarray(turned)


def _time_of(frame: Any, number: int, stream: Any) -> float:
    if frame.pts is not None and frame.time_base:
        return float(frame.pts * frame.time_base)
    return number / float(stream.average_rate or 25)


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds as the file announces them, or None."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Open nothing: a video that names another file, or an address, is not followed."""
    raise VideoError(UNREADABLE)


def _settle() -> None:
    warnings.simplefilter("ignore")
    av.logging.set_level(None)
    if sys.platform != "win32":
        import resource

        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(kind, (0, 0))


def _open_no_more() -> None:
    """Allow no further file to be opened, whatever a decoder does."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _allow_in_all(seconds: int) -> None:
    """Allow so much processor time for all frames together, however many there are."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _wind_up() -> None:
    """Give the next frame its seconds of processor time."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, SECONDS)


def _say(answers: FileIO, sentence: str) -> None:
    text = sentence.encode()
    send(answers, HEAD.pack(WRONG, len(text), 0, 0, 0.0), text)


def _send_json(answers: FileIO, kind: bytes, values: dict[str, Any]) -> None:
    text = json.dumps(values).encode()
    send(answers, HEAD.pack(kind, len(text), 0, 0, 0.0), text)


if __name__ == "__main__":
    main()
