"""The child processes that decode: they answer right from any thread, die alone, and leave nothing behind."""

import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from fer_space.errors import ImageError
from fer_space.vision import pool as pools
from fer_space.vision.imaging import decode_image, encode_png
from fer_space.vision.pool import Pool, Worker
from fer_space.vision.store import KEPT, Store
from fer_space.vision.worker import HEAD

on_posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def plain(shade: int, side: int = 20) -> np.ndarray:
    return np.full((side, side + shade % 7, 3), shade, dtype=np.uint8)


@pytest.fixture
def pool() -> Iterator[Pool]:
    own = Pool(2)
    yield own
    own.close()


def test_threads_get_their_own_pictures(pool: Pool) -> None:
    def decode(shade: int) -> None:
        np.testing.assert_array_equal(pool.decode(encode_png(plain(shade))), plain(shade))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(decode, list(range(256)) * 2))
    assert len(pool._workers) <= 2


def test_one_picture_after_the_other_needs_one_process(pool: Pool) -> None:
    for shade in range(5):
        pool.decode(encode_png(plain(shade)))
    assert len(pool._workers) == 1


@pytest.fixture(params=["shared memory", "pipe"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How pixels come from a child: as it is here, and where the system gives no shared memory."""
    if request.param == "pipe":
        monkeypatch.setattr(Store, "create", lambda size: None)
    elif sys.platform != "linux":
        pytest.skip("only Linux has it")
    return str(request.param)


def test_pictures_of_every_size_come_whole(way: str, pool: Pool) -> None:
    """One after the other in the same memory: small, large, larger than what is kept, and damaged."""
    for height, width in ((9, 7), (1500, 2000), (3600, 4000), (1, 30), (1500, 1999)):
        image = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
        image = np.dstack([image, image[::-1], image[:, ::-1]])
        data = encode_png(image)
        with pytest.raises(ImageError):
            pool.decode(data[: len(data) // 2])
        found = pool.decode(data)
        np.testing.assert_array_equal(found, image)
        found += 1  # it is the caller's own
    assert len(pool._workers) == 1
    assert (pool._workers[0]._store is None) == (way == "pipe")


def test_pictures_are_not_changed_by_later_ones(way: str, pool: Pool) -> None:
    first = pool.decode(encode_png(plain(1)))
    pool.decode(encode_png(plain(2)))
    np.testing.assert_array_equal(first, plain(1))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has shared memory without a name")
def test_shared_memory_is_given_back() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    own = Pool(1)
    own.decode(encode_png(np.zeros((3800, 4000, 3), np.uint8)))
    (worker,) = own._workers
    assert worker._store is not None
    assert os.fstat(worker._store.descriptor).st_blocks * 512 <= KEPT
    with pytest.raises(OSError, match="not permitted"):  # as a child could that was taken over
        os.ftruncate(worker._store.descriptor, 0)
    own.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@on_posix
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGSEGV, signal.SIGPROF])
def test_a_killed_process_costs_one_picture(kind: signal.Signals, pool: Pool) -> None:
    """It is stopped, so that it dies over a picture and not before it."""
    good = encode_png(plain(9))
    pool.decode(good)
    child = pool._workers[0]._process.pid
    os.kill(child, signal.SIGSTOP)
    killer = threading.Timer(0.2, lambda: (os.kill(child, kind), os.kill(child, signal.SIGCONT)))
    killer.start()
    with pytest.raises(ImageError, match="damaged" if kind == signal.SIGSEGV else "too much time or memory"):
        pool.decode(good)
    killer.join()
    np.testing.assert_array_equal(pool.decode(good), plain(9))
    assert len(pool._workers) == 1


class Interrupted(BaseException):
    """What Ctrl-C raises, without ending the test run."""


@pytest.mark.parametrize("part", ["receive", "empty"])
@pytest.mark.usefixtures("way")
def test_an_interrupted_reader_leaves_no_picture_to_the_next(
    part: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a notebook, or no memory, while an answer is on its way: it is nobody else's answer."""

    def fails(*arguments: object, **options: object) -> None:
        raise Interrupted

    pool.decode(encode_png(plain(1)))
    place = pools if part == "receive" else pools.np
    with monkeypatch.context() as patch:
        patch.setattr(place, part, fails)
        with pytest.raises(Interrupted):
            pool.decode(encode_png(plain(2)))
    np.testing.assert_array_equal(pool.decode(encode_png(plain(3))), plain(3))
    assert len(pool._workers) == 1


def test_a_system_that_allows_no_larger_pipes_only_costs_time(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    inner = fcntl.fcntl

    def refused(file: object, command: int, *rest: int) -> int:
        if command == getattr(fcntl, "F_SETPIPE_SZ", None):
            raise PermissionError("Operation not permitted")
        return int(inner(file, command, *rest))

    monkeypatch.setattr(fcntl, "fcntl", refused)
    np.testing.assert_array_equal(pool.decode(encode_png(plain(4))), plain(4))


def test_a_system_that_takes_no_memory_back_still_gives_pictures(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gVisor, which knows shared memory without a name but not how to punch a hole in it."""

    class Kept(mmap.mmap):
        def madvise(self, *advice: int) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Kept)
    image = np.full((3700, 4000, 3), 9, np.uint8)
    np.testing.assert_array_equal(pool.decode(encode_png(image)), image)


@pytest.mark.parametrize("answer", [HEAD.pack(0, 2**32 - 1), HEAD.pack(2**31, 2**31)])
def test_no_answer_of_a_child_that_was_taken_over_costs_memory(answer: bytes, pool: Pool) -> None:
    pool.decode(encode_png(plain(1)))
    (worker,) = pool._workers
    inner = worker._answers
    ours, theirs = os.pipe()
    os.write(theirs, answer)
    os.close(theirs)
    worker._answers = FileIO(ours, "rb")
    with pytest.raises(ImageError, match="too much time or memory"):
        pool.decode(encode_png(plain(2)))
    inner.close()


@on_posix
def test_a_process_that_died_between_pictures_costs_none(pool: Pool) -> None:
    pool.decode(encode_png(plain(1)))
    os.kill(pool._workers[0]._process.pid, signal.SIGKILL)
    pool._workers[0]._process.wait()
    np.testing.assert_array_equal(pool.decode(encode_png(plain(2))), plain(2))


@on_posix
def test_patience_ends(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PATIENCE", 0.3)
    pool.decode(encode_png(plain(1)))
    os.kill(pool._workers[0]._process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ImageError, match="too much time"):
        pool.decode(encode_png(plain(2)))
    assert time.monotonic() - started < 5.0


@on_posix
def test_a_process_that_cannot_start_is_no_fault_of_the_picture(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="cannot start"):
        pool.decode(encode_png(plain(1)))


def test_close_ends_every_process() -> None:
    own = Pool(1)
    own.decode(encode_png(plain(1)))
    process = own._workers[0]._process
    own.close()
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_child_sees_no_secret_and_loads_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    worker = Worker()
    worker.wait_until_ready()
    try:
        pid = worker._process.pid
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert "torch" not in Path(f"/proc/{pid}/maps").read_text()
    finally:
        worker.close()


def run(code: str, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    program = "from fer_space.vision.imaging import decode_image, encode_png\nimport numpy as np\n"
    program += "data = encode_png(np.full((9, 9, 3), 7, np.uint8))\n" + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, *arguments, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        **options,  # type: ignore[call-overload]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_gets_decoders_of_its_own() -> None:
    """On one pipe two processes would get each other's pictures."""
    code = """
        import os
        assert decode_image(data)[0, 0, 0] == 7
        child = os.fork()
        for shade in range(60):
            image = np.full((30, 30, 3), shade + (100 if child == 0 else 0), np.uint8)
            assert (decode_image(encode_png(image)) == image).all()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """
    run(code, "-W", "ignore")


def test_nothing_is_left_or_said_when_the_program_ends() -> None:
    code = """
        from fer_space.vision import pool
        assert decode_image(data)[0, 0, 0] == 7
        print(pool._pool._workers[0]._process.pid)
        """
    done = run(code, "-X", "dev")
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_main_module_without_a_guard_is_not_run_again() -> None:
    done = run("print('once')\ndecode_image(data)")
    assert done.stdout == "once\n"


def test_decode_image_uses_the_pool_unless_it_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(data: bytes) -> None:
        raise AssertionError("a trusted picture went to a child process")

    image = plain(3)
    np.testing.assert_array_equal(decode_image(encode_png(image)), image)
    monkeypatch.setattr(pools, "decode_apart", never)
    np.testing.assert_array_equal(decode_image(encode_png(image), trusted=True), image)


@pytest.mark.skipif(sys.platform != "linux", reason="has a limit on address space")
def test_pictures_are_decoded_under_a_limit_that_nobody_may_raise() -> None:
    """As `ulimit -v` and batch systems set one; root may raise it, so the test drops that right."""
    script = """
        import os, resource
        from fer_space.vision.worker import allow
        allow(60.0, 2**30)  # imports what it needs, which others may not read
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        resource.setrlimit(resource.RLIMIT_AS, (2**36, 2**36))
        allow(60.0, 2**30)
        assert resource.getrlimit(resource.RLIMIT_AS)[0] < 2**33
        allow(0.0, 0)
        assert resource.getrlimit(resource.RLIMIT_AS) == (2**36, 2**36)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
