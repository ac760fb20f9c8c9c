"""Child processes that decode files of strangers: how they are started, waited for and ended.

`fer_space.vision.pool` keeps a few for pictures, `fer_space.vision.video` starts one a video.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from signal import SIGABRT, SIGSEGV
from threading import Timer
from typing import IO

from fer_space.errors import FerSpaceError
from fer_space.files import search_path

# What a child needs of the environment, and none of the tokens that may be in it.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "TZ")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def start_child(
    module: str,
    *words: str,
    stdin: int | IO[bytes] = subprocess.PIPE,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a module as a program of its own, with pipes that are not buffered.

    Args:
        module: to run, as with `python -m`.
        words: its arguments.
        stdin: what it reads; by default a pipe.
        descriptors: of open files that it gets, by the same numbers.
    """
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *words],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the decoders' own remarks
        bufsize=0,
        env={**kept, **_ONE_THREAD, "PYTHONPATH": search_path()},
        start_new_session=True,  # Ctrl-C in the terminal is for the parent alone
        pass_fds=descriptors,
    )


@contextmanager
def answer_of(
    child: subprocess.Popen[bytes], seconds: float, *, costly: FerSpaceError, crashed: FerSpaceError
) -> Iterator[None]:
    """Read one answer of a child, and end the child unless all of the answer was read in time.

    What an interrupted reader (Ctrl-C) left in the pipe would be taken for the answer to the next question. A
    FerSpaceError of the block is the child's own sentence, read to its end: it passes, and the child lives.

    Args:
        child: is asked and read within the block.
        seconds: by the clock, after which it is killed.
        costly: raised where the answer breaks off: the child was killed, or used up what it may spend.
        crashed: raised where it breaks off because the child crashed.
    """
    clock = Timer(seconds, child.kill)
    try:
        clock.start()
        yield
    except FerSpaceError:
        raise
    except BaseException as error:
        child.kill()  # unless it is dead already
        died_of = -child.wait()
        if not isinstance(error, EOFError | OSError):
            raise
        raise (crashed if died_of in (SIGSEGV, SIGABRT) else costly) from error
    finally:
        clock.cancel()
