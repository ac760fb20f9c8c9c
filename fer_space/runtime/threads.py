"""The one rule for threads: a process computes one thing at a time, on all the cores that it has.

A small network on two faces gains little from many cores, and two networks that both take all of them slow
each other down more than they gain. So a batch takes a turn, and inside the turn it has every core.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import torch

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of time, per microseconds
_turn = RLock()


def cores(quota: Path = _QUOTA) -> int:
    """Count the cores that this process may use, at least 1.

    Neither the machine's other cores nor those beyond a container's quota count.

    Args:
        quota: the file of cgroup v2 that says how much time a container has.

    Example:
        >>> cores() >= 1
        True
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return max(1, min(usable, math.ceil(int(allowed) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or one without a limit ("max")
        return usable


def keep_to_cores() -> None:
    """Let torch use no more threads than there are cores; fewer, asked for before, stay."""
    if torch.get_num_threads() > cores():
        torch.set_num_threads(cores())


def _new_turn() -> None:
    """In a process that was forked while another thread had the turn, nobody would ever give it back."""
    global _turn
    _turn = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


@contextmanager
def turn() -> Iterator[None]:
    """Wait until nothing else computes, and compute; a thread that has the turn may ask again."""
    with _turn:
        yield
