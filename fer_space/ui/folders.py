"""The one folder on disk in which a serving process keeps what passes through it, and how that goes again.

Uploads and every other temporary file of the process lie in it. What is older than a few minutes is swept,
the folder goes with the process, and what a killed process left behind goes when the next one starts.
"""

import atexit
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

PREFIX = "fer-space-page-"
LOCK = ".lock"  # held as long as the process lives, and released by the system however it ends
UNLOCKED_S = 60.0  # a folder without a lock that is no older may be about to get one

AGE_S = 300.0  # what was not written to for so long is deleted
EVERY_S = 60.0

_LOG = logging.getLogger(__name__)


def own_folder() -> Path:
    """Give this process a folder for uploads and temporary files; it is deleted when the process ends.

    It lies in GRADIO_TEMP_DIR, or else where temporary files lie; that variable and TMPDIR name places in it
    from then on, also for child processes. Folders that dead processes left there are deleted.
    """
    parent = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    remove_dead(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # closed to other users
    lock = (folder / LOCK).open("w")
    _hold(lock.fileno())
    for variable, name in (("GRADIO_TEMP_DIR", "uploads"), ("TMPDIR", "temporary")):
        (folder / name).mkdir()
        os.environ[variable] = str(folder / name)
    tempfile.tempdir = None  # looks at TMPDIR again
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a child made by fork ends before its parent
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()

    atexit.register(remove)
    return folder


def remove_dead(parent: Path) -> None:
    """Delete the folders of processes that ended without deleting them, by whatever means they ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process deletes it, or it is not ours
            if not _is_held(folder):
                shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, age_s: float = AGE_S) -> int:
    """Delete all files below a folder that were not written to for some time, and folders left empty.

    What changes or vanishes meanwhile, or cannot be deleted, does not stop it.

    Args:
        folder: what lies below it goes, not itself; a lock at its top stays.
        age_s: seconds since the last writing.

    Returns:
        How many files were deleted.
    """
    oldest, deleted = time.time() - age_s, 0
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            with suppress(OSError):
                if path.lstat().st_mtime < oldest and path != folder / LOCK:
                    path.unlink()
                    deleted += 1
        for name in folders:
            path = Path(place, name)
            with suppress(OSError):  # not empty, most of all
                if path.stat().st_mtime < oldest and path.parent != folder:
                    path.rmdir()
    return deleted


@contextmanager
def swept(folder: Path, age_s: float = AGE_S, every_s: float = EVERY_S) -> Iterator[None]:
    """Sweep a folder again and again, in a thread, as long as this lasts."""
    done = Event()

    def work() -> None:
        while not done.wait(every_s):
            try:
                sweep(folder, age_s)
            except Exception:  # whatever it was, the next sweep comes
                _LOG.exception("A sweep of uploads failed")

    thread = Thread(target=work, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=5.0)


def _hold(descriptor: int) -> None:
    with suppress(ImportError):  # no such locks on Windows: there folders of dead processes stay
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(descriptor, LOCK_EX | LOCK_NB)


def _is_held(folder: Path) -> bool:
    """Whether a living process holds a folder, or may be about to."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        return True
    if not (folder / LOCK).is_file():
        return time.time() - folder.stat().st_mtime < UNLOCKED_S
    with (folder / LOCK).open() as lock:
        try:
            flock(lock.fileno(), LOCK_EX | LOCK_NB)
        except BlockingIOError:
            return True
        return False
