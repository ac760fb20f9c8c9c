"""The folder of a process: swept by age whatever happens meanwhile, and gone with the process."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from fer_space.ui import folders
from fer_space.ui.folders import LOCK, PREFIX, remove_dead, sweep, swept

OLD_S = 1000.0


def put(path: Path, age_s: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a photo")
    written = time.time() - age_s
    os.utime(path, (written, written))
    return path


def aged(folder: Path) -> None:
    written = time.time() - OLD_S
    os.utime(folder, (written, written))


def test_what_is_old_goes_and_what_is_new_stays(tmp_path: Path) -> None:
    old, new = put(tmp_path / "uploads" / "a" / "one.jpg", OLD_S), put(tmp_path / "uploads" / "b" / "two.jpg")
    lock = put(tmp_path / LOCK, OLD_S)
    aged(old.parent)
    sweep(tmp_path)
    aged(old.parent)  # deleting a file from a folder is a change of it: it goes the next time
    sweep(tmp_path)
    assert not old.parent.exists()
    assert new.exists()
    assert lock.exists()


def test_links_are_deleted_and_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "elsewhere" / "kept.jpg", OLD_S)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "link").symlink_to(outside.parent)
    sweep(tmp_path / "own")
    assert outside.exists()


def test_a_racing_uploader_does_not_stop_the_sweep(tmp_path: Path) -> None:
    """Files come, and vanish between being listed and being looked at, as long as it sweeps."""
    done, failures = Event(), []

    def upload() -> None:
        number = 0
        while not done.is_set():
            try:
                put(tmp_path / "uploads" / f"{number:06}" / "photo.jpg")
                if number % 3 == 0:
                    (tmp_path / "uploads" / f"{number:06}" / "photo.jpg").unlink()
            except OSError as error:
                failures.append(error)
            number += 1
            if number % 20 == 0:
                time.sleep(0.001)

    uploader = Thread(target=upload)
    with swept(tmp_path, age_s=0.2, every_s=0.02):
        uploader.start()
        time.sleep(1.5)
        done.set()
        uploader.join()
        deadline = time.monotonic() + 20
        while any((tmp_path / "uploads").iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not failures
    assert not any((tmp_path / "uploads").iterdir())


def test_an_error_does_not_end_the_sweeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def failing(folder: Path, age_s: float) -> int:
        calls.append(folder)
        if len(calls) == 1:
            raise RuntimeError("Set changed size during iteration")
        return 0

    monkeypatch.setattr(folders, "sweep", failing)
    with swept(tmp_path, every_s=0.01):
        deadline = time.monotonic() + 10
        while len(calls) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(calls) >= 3


PROGRAM = """
import tempfile, time
from fer_space.ui.folders import own_folder
folder = own_folder()
with open(tempfile.mkstemp()[1], "w") as file:
    file.write("a photo")
print(folder, flush=True)
time.sleep({seconds})
"""


@contextmanager
def started(parent: Path, seconds: float) -> "Iterator[tuple[subprocess.Popen[str], Path]]":
    environment = {k: v for k, v in os.environ.items() if k != "GRADIO_TEMP_DIR"} | {"TMPDIR": str(parent)}
    program = [sys.executable, "-c", PROGRAM.format(seconds=seconds)]
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_all_temporary_files_lie_in_it_and_go_with_the_process(tmp_path: Path) -> None:
    with started(tmp_path, 0) as (process, folder):
        process.wait(timeout=30)
    assert folder.parent == tmp_path
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="kills, and looks for locks")
def test_the_next_start_sweeps_folders_of_dead_processes_alone(tmp_path: Path) -> None:
    with started(tmp_path, 60) as (dead, left), started(tmp_path, 60) as (_, kept):
        dead.send_signal(signal.SIGKILL)
        dead.wait(timeout=30)
        assert any((left / "temporary").iterdir())
        fresh = Path(tempfile.mkdtemp(prefix=PREFIX, dir=tmp_path))  # its owner has no lock yet
        stranger = put(tmp_path / "something else" / "file")
        remove_dead(tmp_path)
        assert not left.exists()
        assert kept.exists()
        assert fresh.exists()
        assert stranger.exists()
