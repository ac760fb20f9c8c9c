"""One process, one set of threads: what a child made by fork cannot have.

The libraries that compute keep threads from their first use on. A fork copies their memory and not their
threads, so that a child waits for ever for threads that are not there; this says so at once.
"""

import os

from fer_space.errors import InputError

FORKED = (
    "This process was made by fork after models were loaded, and their threads stayed behind: load models "
    "after the fork (gunicorn without --preload), or start processes by “spawn” (multiprocessing)."
)

_computes: int | None = None  # the process in which threads were started first


def require_own_threads() -> None:
    """Note that this process starts threads to compute with.

    Raises:
        InputError: it is a child made by fork of a process that had done so.
    """
    global _computes
    if _computes is None:
        _computes = os.getpid()
    elif _computes != os.getpid():
        raise InputError(FORKED)
