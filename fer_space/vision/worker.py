"""The child process that decodes files of strangers: `python -m fer_space.vision.worker`.

It reads requests from its standard input and answers on its standard output, one picture after the other,
until the input ends. For each picture it may take SECONDS of processor time, after which the system ends it,
and MEMORY bytes more than it has at rest, after which its decoders get no more. It writes no file, and no
core dump that would hold somebody's photo.

A request is its length and the file. An answer is `HEAD`, then a sentence or H x W x 3 bytes of pixels; these
lie in the `Store` whose descriptor is the argument, where there is one.
"""

import mmap
import os
import signal
import struct
import sys
import warnings
from functools import partial
from io import FileIO
from pathlib import Path

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image

from fer_space.errors import ImageError
from fer_space.vision.decoding import TOO_COSTLY, decode
from fer_space.vision.store import Store

SECONDS = 2.4
MEMORY = 440 * 1024 * 1024

READY = b"+"
LENGTH = struct.Struct("<Q")
LONGEST_TEXT = 64 * 1024  # bytes
HEAD = struct.Struct("<II")  # height and width in pixels; 0 and the length of a sentence where there are none


def send(stream: FileIO, *parts: bytes | memoryview) -> None:
    """Write all bytes of all parts to an unbuffered stream."""
    for part in parts:
        view = memoryview(part)
        while view:
            view = view[stream.write(view) or 0 :]


def receive_into(stream: FileIO, view: memoryview) -> None:
    """Fill `view` from an unbuffered stream; raises EOFError where that ends before."""
    while view:
        count = stream.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]


def receive(stream: FileIO, size: int) -> bytearray:
    """Read exactly `size` bytes from an unbuffered stream; raises EOFError where it ends before."""
    data = bytearray(size)
    receive_into(stream, memoryview(data))
    return data


def receive_text(stream: FileIO, size: int) -> str:
    """Read `size` bytes of UTF-8; raises EOFError where they are more than a child has to say."""
    if size > LONGEST_TEXT:
        raise EOFError
    return receive(stream, size).decode(errors="replace")


def main() -> None:
    """Decode what comes in until the input ends."""
    requests, answers = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a decoder that prints must not end up in an answer
    store = Store(int(sys.argv[1])) if len(sys.argv) > 1 else None
    _settle()
    send(answers, READY)
    while True:
        try:
            (size,) = LENGTH.unpack(receive(requests, LENGTH.size))
            data = bytes(receive(requests, size))
        except EOFError:
            return
        allow(SECONDS, MEMORY)
        head, body = _answer(data, store)
        allow(0.0, 0)
        send(answers, head, body)
        del data, body  # a large picture is not kept until the next one comes


def _answer(data: bytes, store: Store | None) -> tuple[bytes, memoryview]:
    try:
        pixels = decode(data, partial(_within, store)) if store else decode(data)
        return HEAD.pack(*pixels.shape[:2]), memoryview(b"") if store else pixels.reshape(-1).data
    except (ImageError, MemoryError) as error:
        sentence = str(error if isinstance(error, ImageError) else TOO_COSTLY).encode()
        return HEAD.pack(0, len(sentence)), memoryview(sentence)


def _within(store: Store, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Give the pixels' place in the store, and count it as memory that this picture takes."""
    pixels = store.array(shape)
    if sys.platform == "linux":
        import resource

        limit, most = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            if _size() + pixels.nbytes > limit:
                raise MemoryError
            resource.setrlimit(resource.RLIMIT_AS, (limit - pixels.nbytes, most))
    return pixels


def _settle() -> None:
    """Set what holds for the life of this process."""
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # `decode` has limits of its own, and reads larger photos scaled down
    Image.init()
    AvifImagePlugin.DEFAULT_MAX_THREADS = pillow_heif.options.DECODE_THREADS = 1
    if sys.platform != "win32":
        import resource

        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(kind, (0, 0))


def allow(seconds: float, memory: int) -> None:
    """Allow so much time and memory from now on; 0 lifts the limit, down to what the system has set."""
    if sys.platform == "win32":
        return  # there the parent's limit on waiting is the only one
    signal.setitimer(signal.ITIMER_PROF, seconds)  # counts all threads; its signal ends the process
    if sys.platform == "linux":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]  # of a batch system, say: nobody may raise it
        limit = _size() + memory if memory else most
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _size() -> int:
    """How many bytes this process has, on Linux."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * mmap.PAGESIZE


if __name__ == "__main__":
    main()
