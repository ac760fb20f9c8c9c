"""Try to break it: `make fuzz`. Prints one JSON line a part, for docs/reliability.md.

    python benchmarks/fuzz.py mutations --count 10000
    python benchmarks/fuzz.py load --requests 1000 --clients 50
    python benchmarks/fuzz.py soak --minutes 30 --clients 50

`mutations` damages pictures of every format and decodes each as the page would. `load` and `soak` start the
page and send it pictures through each of its doors; every answer must be that of its own picture.
"""

import argparse
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import numpy as np
import pillow_heif
from PIL import Image

from fer_space.errors import ImageError
from fer_space.vision.pool import Worker

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "astronaut.jpg"
SWEEP_S = 420.0  # after which nothing of the visitors may be left on disk
LARGE = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x00\x00\xff\xff", b"\x80\x00\x00\x00")

# Damage: what a mutation does to the bytes of a picture.


def seeds() -> list[bytes]:
    """Small good pictures of every format that is read."""
    photo = Image.open(EXAMPLE).convert("RGB").resize((96, 80))
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257)
    pillow_heif.register_heif_opener()
    ways: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (photo, "JPEG", {}),
        (photo, "JPEG", {"progressive": True, "exif": _exif()}),
        (photo.convert("CMYK"), "JPEG", {}),
        (photo, "PNG", {}),
        (deep, "PNG", {}),
        (photo.convert("P"), "PNG", {"transparency": 3}),
        (photo, "WEBP", {}),
        (photo, "WEBP", {"lossless": True}),
        (photo, "HEIF", {}),
        (photo, "AVIF", {}),
        (photo.convert("P"), "GIF", {}),
        (photo, "BMP", {}),
        (photo, "TIFF", {}),
        (photo, "TIFF", {"compression": "tiff_lzw"}),
        (photo, "TIFF", {"compression": "jpeg"}),
        (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (photo, "PPM", {}),
        (photo, "JPEG2000", {}),
    ]
    found = []
    for picture, kind, options in ways:
        buffer = BytesIO()
        picture.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return found


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description " * 20
    return exif.tobytes()


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Damage a picture in one to four of eight ways."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        size = max(len(changed), 1)
        place, length = chance.randrange(size), chance.randint(1, max(1, size // 8))
        way = chance.randrange(8)
        if way == 0:  # some bits, most often in the header
            for _ in range(chance.randint(1, 32)):
                where = chance.randrange(min(size, chance.choice([64, 512, size])))
                changed[where : where + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del changed[place:]
        elif way == 2:
            del changed[place : place + length]
        elif way == 3:
            changed[place:place] = changed[place : place + length] * chance.randint(1, 50)
        elif way == 4:
            changed[place : place + length] = bytes([chance.choice([0, 255])]) * length
        elif way == 5:
            other = chance.choice(others)
            changed[place : place + length] = other[place % len(other) :][:length]
        elif way == 6:
            changed[place : place + 4] = chance.choice(LARGE)
        else:
            changed[place : place + 4] = struct.pack(chance.choice("<>") + "I", chance.randrange(2**32))
    return bytes(changed)


def mutations(args: argparse.Namespace) -> dict[str, Any]:
    """Decode damaged pictures in a child process; what it spends is read from the system."""
    chance, good, outcomes = random.Random(args.seed), seeds(), Counter[str]()
    worker, most_s, most_mb, children = Worker(), 0.0, 0.0, 1
    worker.wait_until_ready()
    base = _status(worker._process.pid, "VmHWM")
    for _ in range(args.count):
        data = mutated(chance.choice(good), good, chance)
        started = time.monotonic()
        try:
            worker.decode(data)
            outcomes["decoded"] += 1
        except ImageError as error:
            sentence = str(error)
            outcomes["refused" if worker.alive else "stopped"] += 1
            assert 0 < len(sentence) < 300, sentence
        most_s = max(most_s, time.monotonic() - started)
        if worker.alive:
            most_mb = max(most_mb, _status(worker._process.pid, "VmHWM") - base)
        else:
            worker.close()
            worker, children = Worker(), children + 1
            worker.wait_until_ready()
    worker.close()
    return {
        **outcomes,
        "inputs": args.count,
        "seconds_at_most": most_s,
        "mb_at_most": most_mb,
        "children": children,
    }


def _status(pid: int, name: str) -> float:
    """Megabytes that /proc tells of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


# Load: pictures of different sizes, so that no answer can be taken for another's.


@dataclass
class Tally:
    """What came of the requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def count(self, outcome: str, seconds: float) -> None:
        """Count one request."""
        with self.lock:
            self.outcomes[outcome] += 1
            self.slowest = max(self.slowest, seconds)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve the page from a process of its own, all of whose files lie in a folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRADIO_")}
    environment |= {"HOST": "127.0.0.1", "PORT": str(port), "TMPDIR": str(folder)}
    log = (folder / "log").open("wb")
    with (
        log,
        subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=log, stderr=log) as app,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    httpx.get(url, timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.5)
            yield url, app
        finally:
            app.send_signal(signal.SIGTERM)


def picture(number: int) -> tuple[bytes, tuple[int, int]]:
    """A photo with a face, of a size of its own."""
    photo = Image.open(EXAMPLE).convert("RGB")
    size = 300 + number % 211, 300 + number % 223
    buffer = BytesIO()
    photo.resize(size).save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), size


def beside(client: httpx.Client, url: str, data: bytes, words: list[Any]) -> Any:
    """Ask the endpoint beside the queue, with a data URI."""
    uri = "data:image/jpeg;base64," + b64encode(data).decode()
    answer = client.post(f"{url}/gradio_api/run/predict", json={"data": [{"url": uri}, *words]})
    answer.raise_for_status()
    return answer.json()["data"][0]


def queued(client: httpx.Client, url: str, data: bytes, words: list[Any]) -> Any:
    """Upload a file, and ask the endpoint through the queue."""
    (path,) = client.post(f"{url}/gradio_api/upload", files={"files": ("photo.jpg", data)}).json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = client.post(f"{url}/gradio_api/call/predict", json={"data": [file, *words]})
    event.raise_for_status()
    text = client.get(f"{url}/gradio_api/call/predict/{event.json()['event_id']}").text
    last = text.strip().splitlines()[-1]
    return json.loads(last.removeprefix("data: "))[0]


def cut_off(client: httpx.Client, url: str, data: bytes, words: list[Any]) -> Any:
    """Begin an upload and go away in its middle."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as line:
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {address.host}\r\n"
        head += f"Content-Length: {len(data) + 200}\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        head += 'Content-Disposition: form-data; name="files"; filename="cut.jpg"\r\n\r\n'
        line.sendall(head.encode() + data[: len(data) // 2])
    return None


DOORS: tuple[Callable[[httpx.Client, str, bytes, list[Any]], Any], ...] = (
    beside,
    queued,
    queued,
    beside,
    cut_off,
)


def ask(url: str, number: int, tally: Tally, backbone: str, expected: dict[tuple[int, int], str]) -> None:
    """Send one request and check that its answer is that of its picture."""
    data, size = picture(number)
    words = [[backbone], "libfacedetection", "none", "none", False, ""]
    started, door = time.monotonic(), DOORS[number % len(DOORS)]
    try:
        with httpx.Client(timeout=600) as client:
            record = door(client, url, data, words)
    except httpx.HTTPStatusError as error:
        outcome = "told to wait" if error.response.status_code == 503 else "lost"
    except Exception as error:
        print(f"{door.__name__}: {error!r}", file=sys.stderr)
        outcome = "lost"
    else:
        if record is None:
            outcome = "cut off"
        elif (record["width"], record["height"]) != size:
            outcome = "crossed"
        else:
            told = json.dumps([face["backbones"][backbone]["probabilities"] for face in record["faces"]])
            outcome = "answered" if expected.setdefault(size, told) == told else "different"
    tally.count(outcome, time.monotonic() - started)


def pressed(args: argparse.Namespace) -> dict[str, Any]:
    """Keep many clients busy with the page, then look at what is left."""
    tally, numbers = Tally(), count()
    expected: dict[tuple[int, int], str] = {}
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as (url, app):
        for number in range(4):
            ask(url, number, Tally(), args.backbone, expected)  # warm
        before = memory = _status(app.pid, "VmRSS")
        ends = time.monotonic() + args.minutes * 60 if args.minutes else None
        started = time.monotonic()

        def client(_: int) -> None:
            while (number := next(numbers)) < args.requests or ends is not None:
                if ends is not None and time.monotonic() > ends:
                    return
                ask(url, number, tally, args.backbone, expected)

        with ThreadPoolExecutor(args.clients) as threads:
            futures = [threads.submit(client, one) for one in range(args.clients)]
            settled = 0.0
            while not all(future.done() for future in futures):
                memory = max(memory, _status(app.pid, "VmRSS"))
                if not settled and sum(tally.outcomes.values()) >= 3 * args.clients:
                    settled = _status(app.pid, "VmRSS")  # every thread and cache is there
                time.sleep(0.5)
            for future in futures:
                future.result()
        took = time.monotonic() - started
        after = _status(app.pid, "VmRSS")
        deadline = time.monotonic() + SWEEP_S
        while (left := _left(Path(name))) and time.monotonic() < deadline:
            time.sleep(5)
    return {
        **tally.outcomes,
        "requests": sum(tally.outcomes.values()),
        "clients": args.clients,
        "backbone": args.backbone,
        "minutes": took / 60,
        "slowest_s": tally.slowest,
        "mb_at_first": before,
        "mb_settled": settled,
        "mb_at_most": memory,
        "mb_at_the_end": after,
        "left_on_disk": left,
    }


def _left(folder: Path) -> int:
    """Files of visitors below the page's folder."""
    own = folder.glob("fer-space-page-*/*")
    return sum(1 for place in own if place.is_dir() for path in place.rglob("*") if path.is_file())


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("mutations", help="damaged pictures")
    one.add_argument("--count", type=int, default=10_000)
    one.add_argument("--seed", type=int, default=0)
    for name, minutes, requests in (("load", 0.0, 1000), ("soak", 30.0, 0)):
        one = parts.add_parser(name, help="many clients of the page")
        one.add_argument("--clients", type=int, default=50)
        one.add_argument("--backbone", default="efficientnet_lite0")
        one.add_argument("--minutes", type=float, default=minutes)
        one.add_argument("--requests", type=int, default=requests)
    args = parser.parse_args()
    figures = mutations(args) if args.part == "mutations" else pressed(args)
    rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in figures.items()}
    print(json.dumps({"part": args.part, **rounded}))


if __name__ == "__main__":
    main()
