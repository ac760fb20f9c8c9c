"""Near-duplicates: pictures that are almost the same pixel by pixel.

Two pictures are near-duplicates when the correlation of their pixels (mean removed, norm one) reaches a
threshold. For such vectors |a - b|^2 = 2 - 2 correlation, and a projection shortens no more than it must:
they lie close in the few lowest frequencies of the cosine transform too. Those are compared first, by blocked
matrix products, and only what remains is compared in full. Nothing is missed by this, and the cost falls
by a factor of about twenty. Mirrored copies are not looked for.
"""

import numpy as np
from numpy.typing import NDArray

from fer_space.vision.preprocess import Preprocess

VIEW = Preprocess(input_size=48, native_size=48, gray=True)  # faces of FERPlus have 48 pixels
THRESHOLD = 0.995
FREQUENCIES = 10  # a side: 100 numbers a picture
BLOCK = 2048  # pictures a side of a product: 16 MiB
SLACK = 1e-4  # rounding of float32


def thumbnail(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face uint8 (H, W, 3) RGB as uint8 (48, 48) luma: how near-duplicates are looked for."""
    return np.asarray(VIEW.reduce([image_rgb])[0, 0].numpy(), dtype=np.uint8)


def find_near_duplicates(
    pictures: NDArray[np.uint8], others: NDArray[np.uint8] | None = None, threshold: float = THRESHOLD
) -> NDArray[np.bool_]:
    """Which pictures have a near-duplicate among the others.

    Args:
        pictures: uint8 (N, h, w) gray.
        others: uint8 (M, h, w) gray; None looks among the pictures themselves, where a picture is not its
            own near-duplicate.
        threshold: least correlation, in (0, 1]. A picture of one colour has no correlation, hence none.

    Returns:
        bool (N,).

    Raises:
        ValueError: the pictures differ in size, or the threshold is out of range.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie in (0, 1], not {threshold}")
    sides = pictures if others is None else others
    if pictures.ndim != 3 or pictures.shape[1:] != sides.shape[1:]:
        raise ValueError(f"pictures of one size are needed, not {pictures.shape[1:]} and {sides.shape[1:]}")
    found = np.zeros(len(pictures), dtype=np.bool_)
    low = _lowest(pictures)
    low_sides = low if others is None else _lowest(sides)
    for start in range(0, len(pictures), BLOCK):
        for place in range(0, len(sides), BLOCK):
            rows, columns = _near(low[start : start + BLOCK], low_sides[place : place + BLOCK], threshold)
            rows, columns = rows + start, columns + place
            open_pairs = ~found[rows] if others is not None else ~found[rows] & (rows != columns)
            rows, columns = rows[open_pairs], columns[open_pairs]
            found[rows[_correlate(pictures, sides, rows, columns) >= threshold - 1e-6]] = True
    return found


def count_near_duplicates(
    pictures: NDArray[np.uint8], others: NDArray[np.uint8] | None = None, threshold: float = THRESHOLD
) -> int:
    """How many of the pictures have a near-duplicate; arguments as for `find_near_duplicates`."""
    return int(find_near_duplicates(pictures, others, threshold).sum())


def _near(
    low: NDArray[np.float32], others: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs whose low frequencies are close enough for near-duplicates: indices int64 (P,) and (P,)."""
    squares = (low**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None]
    near = squares - 2.0 * (low @ others.T) <= 2.0 - 2.0 * threshold + SLACK
    rows, columns = np.nonzero(near)
    return rows, columns


def _correlate(
    pictures: NDArray[np.uint8],
    others: NDArray[np.uint8],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Correlation float32 (P,) of each pair, computed in pieces that bound the memory."""
    result = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        result[part] = np.einsum("ij,ij->i", _unit(pictures[rows[part]]), _unit(others[columns[part]]))
    return result


def _unit(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (N, h*w): mean zero, norm one; all zero for a picture of one colour."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.divide(flat, norm, out=np.zeros_like(flat), where=norm > 1e-3), dtype=np.float32)


def _lowest(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The lowest frequencies of every picture's orthonormal cosine transform, float32 (N, K)."""
    height, width = pictures.shape[1:]
    basis = np.einsum("ah,bw->abhw", _cosines(height), _cosines(width)).reshape(-1, height * width)
    blocks = [_unit(pictures[i : i + BLOCK]) @ basis.T for i in range(0, len(pictures), BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(basis)), dtype=np.float32)


def _cosines(length: int) -> NDArray[np.float32]:
    """Orthonormal rows float32 (min(FREQUENCIES, length), length)."""
    k, x = np.mgrid[: min(FREQUENCIES, length), :length]
    waves = np.cos(np.pi * (x + 0.5) * k / length)
    return np.asarray(waves / np.linalg.norm(waves, axis=1, keepdims=True), dtype=np.float32)
