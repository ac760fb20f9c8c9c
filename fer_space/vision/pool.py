"""A few warm child processes that decode files of strangers, so that no file costs much time or memory.

A hostile picture of a few kilobytes can keep a decoder busy for minutes or fill all memory, and a Python
thread cannot be stopped. A child process can: see `fer_space.vision.worker` for what each may spend. They are
started as programs of their own, never by fork, and talk over pipes: this works beside any threads and on any
platform. Pixels come by memory of both where the system has it (`fer_space.vision.store`). A child that dies
is replaced at the next picture.
"""

import atexit
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from queue import LifoQueue
from threading import Lock
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import ImageError
from fer_space.vision.child import answer_of, start_child
from fer_space.vision.decoding import MAX_PIXELS, TOO_COSTLY, UNREADABLE, check_bytes
from fer_space.vision.store import Store
from fer_space.vision.worker import HEAD, LENGTH, READY, receive, receive_into, receive_text, send

WORKERS = 2
PATIENCE = 20.0  # seconds by the clock, in which a busy machine gives a child its seconds of processor time
PIPE_BYTES = 1024 * 1024


class Worker:
    """One child process, used by one thread at a time."""

    def __init__(self) -> None:
        self._store = Store.create(3 * MAX_PIXELS)
        shared = [self._store.descriptor] if self._store else []
        try:
            self._process = start_child("fer_space.vision.worker", *map(str, shared), descriptors=shared)
        except OSError:
            self._close_store()
            raise
        self._requests, self._answers = (
            cast(FileIO, self._process.stdin),
            cast(FileIO, self._process.stdout),
        )
        self._ready = False
        if sys.platform == "linux":
            from fcntl import F_SETPIPE_SZ, fcntl

            with suppress(OSError):  # the system's limit; smaller pipes are only slower
                for pipe in (self._requests, self._answers):
                    fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until the child has loaded its decoders; raises RuntimeError where it cannot start."""
        if not self._ready:
            try:
                self._ready = receive(self._answers, 1) == READY
            except EOFError as error:
                raise RuntimeError("The process that decodes pictures cannot start.") from error

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Decode one file; raises ImageError where it is refused, or costs the child its life."""
        self.wait_until_ready()
        costly, crashed = ImageError(TOO_COSTLY), ImageError(UNREADABLE)
        with answer_of(self._process, PATIENCE, costly=costly, crashed=crashed):
            send(self._requests, LENGTH.pack(len(data)), data)
            height, width = HEAD.unpack(receive(self._answers, HEAD.size))
            if height == 0:
                raise ImageError(receive_text(self._answers, width))
            if height * width > MAX_PIXELS:
                raise EOFError  # no answer that `decode` gives
            pixels = np.empty((height, width, 3), dtype=np.uint8)
            if self._store:
                self._store.take(pixels)
            else:
                receive_into(self._answers, pixels.reshape(-1).data)
        return pixels

    def close(self) -> None:
        """End the process: its input ends, or it is killed."""
        self._requests.close()
        try:
            self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._close_store()

    def abandon(self) -> None:
        """Let go of another process's worker, in a child made by fork."""
        self._requests.close()
        self._answers.close()
        self._close_store()
        self._process.returncode = 0  # it is not ours to wait for

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store:
            store.close()


class Pool:
    """At most WORKERS child processes, started when first needed."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._workers: list[Worker] = []
        self._lock = Lock()
        # Places for workers; the one used last is used first, so that a second one starts only when needed.
        self._places: LifoQueue[Worker | None] = LifoQueue()
        for _ in range(workers):
            self._places.put(None)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Decode one file in a child process; waits for a free one. See `decoding.decode`."""
        check_bytes(data)
        with self._worker() as worker:
            return worker.decode(data)

    def warm_up(self) -> None:
        """Start one worker, without waiting for it."""
        with self._worker():
            return

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()

    def abandon(self) -> None:
        """Let go of every worker, in a child made by fork."""
        for worker in self._workers:
            worker.abandon()

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._places.get()
        try:
            if worker is None or not worker.alive:
                worker = self._replaced(worker)
            yield worker
        finally:
            self._places.put(worker)

    def _replaced(self, dead: Worker | None) -> Worker:
        fresh = Worker()
        with self._lock:
            if dead is not None and dead in self._workers:
                self._workers.remove(dead)
                dead.close()
            self._workers.append(fresh)
        return fresh


_pool = Pool()


def decode_apart(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture file in a child process of the shared pool. See `decoding.decode`."""
    return _pool.decode(data)


def warm_up() -> None:
    """Start a decoder now, in the background, so that the first picture does not wait for it."""
    _pool.warm_up()


def _after_fork() -> None:
    """Two processes on one pipe would get each other's pictures: a child made by fork starts its own."""
    global _pool
    _pool.abandon()
    _pool = Pool()


atexit.register(lambda: _pool.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
