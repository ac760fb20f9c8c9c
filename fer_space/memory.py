"""What glibc's malloc does with memory that a network frees after every layer."""

import ctypes
import sys

# malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGE = 2**31 - 1  # bytes
PAD = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep freed memory for its next tensors; returns whether the C library can.

    By default glibc maps large tensors anew and gives them back at once, so the kernel clears the same pages
    layer after layer: reading many faces takes up to twice as long (`benchmarks/memory.py`). For
    commands that read or train on whole data sets; the page gives memory back between visitors.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    # The first is refused by glibc before 2.35; the others alone would only do harm.
    options = ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, LARGE), (M_TOP_PAD, PAD))
    return all(mallopt(option, value) == 1 for option, value in options)


def give_back_memory() -> None:
    """Return what malloc keeps of freed memory to the system, where the C library can.

    Loading a network leaves more behind than it needs: its random start, and the file as it is stored.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
        if trim is not None:
            trim(0)
