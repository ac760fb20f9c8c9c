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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Any

import httpx
import numpy as np
import pillow_heif
from PIL import Image

from fer_space.errors import ImageError
from fer_space.ui.folders import LOCK, PREFIX
from fer_space.vision.pool import Worker

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "astronaut.jpg"
START_S = 600.0  # that a busy machine may take to load the models
PATIENCE_S = 1800.0  # for which a client waits, on a machine with other work
SWEEP_S = 480.0  # after which nothing of the visitors may be left on disk
WARM = 1 / 6  # of a soak, after which its memory should stay as it is
ALONE = httpx.Limits(max_keepalive_connections=0)
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
    figures: dict[str, Any] = {"inputs": args.count, "seed": args.seed, "children": children}
    return _rounded(args, {**figures, **outcomes, "seconds_at_most": most_s, "mb_at_most": most_mb})


def _status(pid: int, name: str) -> float:
    """Megabytes that /proc tells of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


# Load: pictures of different sizes, so that no answer can be taken for another's.


@dataclass
class Tally:
    """What came of the requests.

    Attributes:
        outcomes: how many ended how.
        slowest: seconds that the slowest took.
        ended: set when no further request is to be sent.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    ended: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    def count(self, outcome: str, seconds: float) -> None:
        """Count one request."""
        with self.lock:
            self.outcomes[outcome] += 1
            self.slowest = max(self.slowest, seconds)

    @property
    def requests(self) -> int:
        """How many requests have ended."""
        with self.lock:
            return sum(self.outcomes.values())


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve the page from a process of its own, all of whose files lie in a folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRADIO_")}
    environment |= {"HOST": "127.0.0.1", "PORT": str(port), "TMPDIR": str(folder)}
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_S
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=log, stderr=log) as app,
    ):
        try:
            while True:
                with suppress(httpx.TransportError):
                    httpx.get(url, timeout=60)
                    break
                if app.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"The page does not start: {(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.5)
            yield url, app
        finally:
            app.send_signal(signal.SIGTERM)
            try:
                app.wait(timeout=60)
            except subprocess.TimeoutExpired:
                app.kill()


def resident(pid: int) -> float:
    """Megabytes in memory of a process and of all that it started, pages that they share counted twice."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0.0
    for member in family:
        with suppress(OSError):
            total += _status(member, "VmRSS")
    return total


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
    sent = client.post(f"{url}/gradio_api/upload", files={"files": ("photo.jpg", data)})
    sent.raise_for_status()
    (path,) = sent.json()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    event = client.post(f"{url}/gradio_api/call/predict", json={"data": [file, *words]})
    event.raise_for_status()
    told = client.get(f"{url}/gradio_api/call/predict/{event.json()['event_id']}")
    told.raise_for_status()
    last = told.text.strip().splitlines()[-1]
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
        # A connection each: a kept one may be closed by the server at the moment in which it is used again.
        with httpx.Client(timeout=PATIENCE_S, limits=ALONE, verify=False) as client:
            record = door(client, url, data, words)
    except httpx.HTTPStatusError as error:
        outcome = "told to wait" if error.response.status_code == 503 else "lost"
        if outcome == "lost":
            print(f"{door.__name__}: {error!r}: {error.response.text[:300]}", file=sys.stderr, flush=True)
        tally.ended.wait(1.0)
    except Exception as error:
        print(f"{door.__name__}: {error!r}", file=sys.stderr, flush=True)
        outcome = "lost"
        tally.ended.wait(1.0)
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
    """Keep many clients busy with the page, then look at what is left.

    Every minute, and where it is stopped, what is known so far goes to standard error and to the file `out`.
    """
    tally, numbers = Tally(), count()
    expected: dict[tuple[int, int], str] = {}
    figures: dict[str, Any] = {"clients": args.clients, "backbone": args.backbone}
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as (url, app):
        for number in range(len(DOORS)):
            ask(url, number, Tally(), args.backbone, expected)  # warm
        memory = [resident(app.pid)]
        figures |= {"mb_at_first": memory[0], "mb_by_minute": []}
        started = time.monotonic()
        ends, minute = started + (args.minutes or 10_000) * 60, started + 60
        warm = started + args.minutes * 60 * WARM

        def client() -> None:
            while not tally.ended.is_set() and time.monotonic() < ends:
                if (number := next(numbers)) >= args.requests and not args.minutes:
                    return
                ask(url, number, tally, args.backbone, expected)

        with ThreadPoolExecutor(args.clients) as threads:
            try:
                futures = [threads.submit(client) for _ in range(args.clients)]
                while not all(future.done() for future in futures):
                    memory.append(resident(app.pid))
                    worked = tally.requests >= 3 * args.clients and time.monotonic() >= warm
                    if worked and "mb_settled" not in figures:
                        figures["mb_settled"] = memory[-1]  # every thread, cache and conversion is there
                    if time.monotonic() >= minute:
                        minute += 60
                        figures["mb_by_minute"].append(round(memory[-1]))
                        _report(args, figures, tally, started, memory)
                    if app.poll() is not None:
                        sys.exit(f"The page has died: {(Path(name) / 'log').read_text()[-2000:]}")
                    time.sleep(1.0)
            finally:
                tally.ended.set()
                _report(args, figures, tally, started, memory)
            for future in futures:
                future.result()
        memory.append(resident(app.pid))
        figures["mb_at_the_end"] = memory[-1]
        _report(args, figures, tally, started, memory)
        deadline = time.monotonic() + SWEEP_S
        while (left := _left(Path(name))) and time.monotonic() < deadline:
            time.sleep(5)
        figures["left_on_disk"] = left
    return _rounded(args, figures)


def _report(
    args: argparse.Namespace, figures: dict[str, Any], tally: Tally, started: float, memory: list[float]
) -> None:
    """Bring figures up to now, print them and write them down."""
    with tally.lock:
        figures |= dict(tally.outcomes)
    figures |= {
        "requests": tally.requests,
        "minutes": (time.monotonic() - started) / 60,
        "slowest_s": tally.slowest,
        "mb_at_most": max(memory),
    }
    line = json.dumps(_rounded(args, figures))
    print(line, file=sys.stderr, flush=True)
    if args.out:
        args.out.write_text(line + "\n", encoding="utf-8")


def _rounded(args: argparse.Namespace, figures: dict[str, Any]) -> dict[str, Any]:
    rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in figures.items()}
    return {"part": args.part, **rounded}


def _left(folder: Path) -> int:
    """How many files the page has left in its folder, or beside it, besides its log and its lock."""
    own = {folder / "log", *folder.glob(f"{PREFIX}*/{LOCK}")}
    return sum(1 for path in folder.rglob("*") if path.is_file() and path not in own)


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
        one.add_argument("--out", type=Path, help="a file that gets the figures, each minute those so far")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as after Ctrl-C: the page is ended, too
    print(json.dumps(mutations(args) if args.part == "mutations" else pressed(args)))


if __name__ == "__main__":
    main()
