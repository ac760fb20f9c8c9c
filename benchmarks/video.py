"""Memory while a long video is read: `python benchmarks/video.py [--minutes 10] [--every 5]`.

Writes a film of that length from an example, reads it with `Engine.watch`, and prints one JSON line for each
minute of film: megabytes of this process and of the decoder, and frames read a second.
"""

import argparse
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from fer_space import Engine, load_image
from fer_space.vision.video import Video

EXAMPLES = Path(__file__).parent.parent / "examples"
FPS = 10


def write_film(path: Path, minutes: float) -> None:
    """Write a film of 640 x 480 in which two portraits sway; every fourth ten seconds nobody is there."""
    photo = load_image(EXAMPLES / "two_faces.jpg")
    scale = 640 / photo.shape[1]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for number in range(round(60 * minutes * FPS)):
            time_s = number / FPS
            place = np.array([[scale, 0, 20 * np.sin(time_s)], [0, scale, 40 + 10 * np.cos(time_s)]])
            picture = cv2.warpAffine(photo, place, (640, 480)).astype(np.uint8)
            if time_s % 40 >= 30:
                picture[:] = 64
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def megabytes(process: int | str) -> float:
    """Memory that a process has in use."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--backbones", default="mobilenet_v2")
    args = parser.parse_args()
    engine = Engine()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        write_film(path, args.minutes)
        began, read, minute = time.perf_counter(), 0, 1
        with Video(path, every=args.every) as video:
            for watched in engine.watch(video, backbones=args.backbones.split(",")):
                read += 1
                if watched.time >= 60 * minute - 1.5 * args.every / FPS:
                    rate = round(read / (time.perf_counter() - began), 1)
                    note = {"minute": minute, "mb": megabytes("self"), "decoder_mb": megabytes(video.pid)}
                    print(json.dumps({**note, "frames_a_second": rate}), flush=True)
                    minute += 1


if __name__ == "__main__":
    main()
