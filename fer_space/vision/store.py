"""Pixels from a child process to its parent by memory that both see, in place of a pipe.

    store = Store.create(3 * MAX_PIXELS)              # the parent hands `store.descriptor` to its child,
    pixels = Store(descriptor).array(shape)           # which decodes into it,
    store.take(pixels)                                # and the parent copies that out

The memory has no name and is no file: Linux gives it without /dev/shm, which in a container is often too
small for one photo. Elsewhere, and where it is refused, there is none, and a pipe has to do.
"""

import mmap
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

# Bytes that stay for the next picture, a photo of 13 million pixels; what is beyond goes back to the system.
# Memory that is written for the first time costs ten times as much as other.
KEPT = 40_000_000 // mmap.PAGESIZE * mmap.PAGESIZE


class Store:
    """Memory of two processes, which takes none until it is written to.

    Args:
        descriptor: by which this process knows it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._shared = mmap.mmap(descriptor, 0)

    @classmethod
    def create(cls, size: int) -> "Store | None":
        """Make memory of `size` bytes; None where the system gives none.

        Whoever else holds it cannot make it smaller, which would end a process that reads it.
        """
        if sys.platform != "linux":
            return None
        from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, fcntl

        try:
            descriptor = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:
            return None
        try:
            os.ftruncate(descriptor, size)
            fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
            return cls(descriptor)
        except OSError:
            os.close(descriptor)
            return None

    def array(self, shape: Sequence[int]) -> NDArray[np.uint8]:
        """Give its first bytes as an array, which both processes see."""
        return np.ndarray(shape, np.uint8, self._shared)

    def take(self, pixels: NDArray[np.uint8]) -> None:
        """Fill an array with the first bytes; those of a large picture go back to the system."""
        np.copyto(pixels, self.array(pixels.shape))
        if pixels.nbytes > KEPT:
            with suppress(OSError):  # of sandboxes that do not know it: the memory stays
                self._shared.madvise(mmap.MADV_REMOVE, KEPT)

    def close(self) -> None:
        """Let go of it; it is gone when the other process has, too."""
        self._shared.close()
        os.close(self.descriptor)
