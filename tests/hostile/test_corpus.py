"""No file of at most 25 MB costs much, whatever is in it: the corpus, each kind through a child process."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image

from fer_space.errors import ImageError
from fer_space.vision.decoding import MAX_BYTES, MAX_PIXELS, decode
from fer_space.vision.pool import Worker
from tests.hostile.corpus import CORPUS, MB, saved

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the limits and what measures them are Linux's"
)

SECONDS = 3.0
MEMORY = 600 * MB


class Meter:
    """Watches what a process takes of processor time and memory beyond what it had at the start."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak starts anew
        self._start = self._read()
        self._last = self._start

    def _read(self) -> tuple[float, int]:
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        peak = [line for line in (self._folder / "status").read_text().splitlines() if "VmHWM" in line]
        if not peak:
            raise ProcessLookupError  # it has ended and waits to be reaped
        return seconds, int(peak[0].split()[1]) * 1024

    def look(self) -> None:
        seconds, peak = self._read()
        self._last = seconds, max(peak, self._last[1])

    @property
    def seconds(self) -> float:
        return self._last[0] - self._start[0]

    @property
    def memory(self) -> int:
        return self._last[1] - self._start[1]


@contextmanager
def metered(worker: Worker) -> Iterator[Meter]:
    meter, done = Meter(worker._process.pid), Event()

    def watch() -> None:
        while not done.wait(0.01):
            try:
                meter.look()
            except OSError:
                return

    thread = Thread(target=watch)
    thread.start()
    try:
        yield meter
        if worker.alive:
            meter.look()
    finally:
        done.set()
        thread.join()


class Replaced:
    """A worker that is replaced when it has died."""

    def __init__(self) -> None:
        self.worker = Worker()

    def __call__(self) -> Worker:
        if not self.worker.alive:
            self.worker.close()
            self.worker = Worker()
        self.worker.wait_until_ready()
        return self.worker


@pytest.fixture(scope="module")
def fresh() -> Iterator[Replaced]:
    replaced = Replaced()
    yield replaced
    replaced.worker.close()


@pytest.mark.parametrize("kind", CORPUS)
def test_no_file_costs_much(kind: str, fresh: Replaced) -> None:
    data = CORPUS[kind]()
    assert len(data) <= MAX_BYTES
    image, started = None, time.thread_time()
    with metered(fresh()) as meter, suppress(ImageError):
        image = fresh.worker.decode(data)
    here = time.thread_time() - started
    size = 0 if image is None else image.size
    assert size <= 3 * MAX_PIXELS
    assert meter.seconds + here <= SECONDS
    assert meter.memory + len(data) + size <= MEMORY


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_good_pictures_still_come_out_right_afterwards(file_format: str, fresh: Replaced) -> None:
    ramp = Image.fromarray(np.add.outer(np.arange(150), np.arange(100)).astype(np.uint8)).convert("RGB")
    data = saved(ramp, file_format)
    np.testing.assert_array_equal(fresh().decode(data), decode(data))


@pytest.mark.parametrize(("size_hw", "rounds", "bound"), [((1200, 1600), 30, 0.015), ((3000, 4000), 5, 0.06)])
def test_photos_pay_little(size_hw: tuple[int, int], rounds: int, bound: float, fresh: Replaced) -> None:
    """Processor time a photo of both processes together, against decoding here; the best of several."""
    rows, columns = map(np.arange, size_hw)
    photo = Image.fromarray(np.add.outer(rows, columns).astype(np.uint8)).convert("RGB")
    data, more = saved(photo, "JPEG", quality=90), []
    for _ in range(8):
        started = time.thread_time()
        for _ in range(rounds):
            decode(data)
        here, started = time.thread_time() - started, time.thread_time()
        with metered(fresh()) as meter:  # the kernel counts a child's time in hundredths of a second
            for _ in range(rounds):
                fresh.worker.decode(data)
        more.append((time.thread_time() - started + meter.seconds - here) / rounds)
        if more[-1] < bound:
            break
    assert min(more) < bound
