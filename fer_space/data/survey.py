"""Look at every picture of a data set once: which can be read, which are the same."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_space.data.faceset import Dropped
from fer_space.errors import ImageError

BLOCK = 2048  # pictures handed to the threads at a time

T = TypeVar("T")


class Picture(Protocol):
    """What can be looked at: `fer_space.data.collection.Row`."""

    @property
    def file(self) -> str:
        """Its name in reports."""

    @property
    def split(self) -> str:
        """The split that it is in."""

    def decode(self) -> NDArray[np.uint8]:
        """Its pixels."""


P = TypeVar("P", bound=Picture)


def survey(rows: Sequence[Picture], look: Callable[[NDArray[np.uint8]], T]) -> list[T | ImageError]:
    """Decode each picture once and keep what `look` makes of uint8 (H, W, 3); the error where it fails."""

    def attempt(row: Picture) -> T | ImageError:
        try:
            return look(row.decode())
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError(f"The picture cannot be read: {error.strerror or error}.")

    seen: list[T | ImageError] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(rows), BLOCK):
            seen.extend(pool.map(attempt, rows[start : start + BLOCK]))
    return seen


def fingerprint(image_rgb: NDArray[np.uint8]) -> str:
    """sha256 of shape and pixels: equal for equal pictures, whatever files they are in."""
    shape = repr(image_rgb.shape).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(image_rgb).tobytes()).hexdigest()


def readable(rows: Sequence[P]) -> tuple[list[P], list[Dropped]]:
    """The rows whose picture can be decoded, and the others with the reason."""
    good, bad, _ = sift(rows, lambda _: None)
    return good, bad


def sift(rows: Sequence[P], look: Callable[[NDArray[np.uint8]], T]) -> tuple[list[P], list[Dropped], list[T]]:
    """Like `survey`: readable rows, the others with the reason, and what `look` made of the readable."""
    good: list[P] = []
    bad: list[Dropped] = []
    looks: list[T] = []
    for row, seen in zip(rows, survey(rows, look), strict=True):
        if isinstance(seen, ImageError):
            bad.append(Dropped(row.file, str(seen), row.split))
        else:
            good.append(row)
            looks.append(seen)
    return good, bad, looks


def same(fingerprints: Iterable[str]) -> list[list[int]]:
    """Groups of two or more places that hold the same fingerprint, in order of their first place."""
    places: dict[str, list[int]] = {}
    for i, value in enumerate(fingerprints):
        places.setdefault(value, []).append(i)
    return [group for group in places.values() if len(group) > 1]
