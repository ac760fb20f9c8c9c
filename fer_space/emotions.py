"""The eight emotions, their one order, and the names other sources give them.

Every array of probabilities in this project follows `EMOTIONS` (the column order of FERPlus). Other
sources have their own order or a subset; they are mapped by name, never by index.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import DataError

EMOTIONS: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)

SYNONYMS: dict[str, str] = {
    "happy": "happiness",
    "smile": "happiness",
    "joy": "happiness",
    "surprised": "surprise",
    "suprise": "surprise",  # as a well-known set of faces spells its folder
    "sad": "sadness",
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "contemptuous": "contempt",
    "calm": "neutral",
}


def canonical(name: str) -> str:
    """Return the emotion in `EMOTIONS` that `name` means ("Happy" -> "happiness").

    Raises:
        DataError: `name` is neither an emotion nor one of its usual synonyms.
    """
    word = name.strip().lower()
    word = SYNONYMS.get(word, word)
    if word not in EMOTIONS:
        raise DataError(f"“{name}” is not an emotion known here. Known: {', '.join(EMOTIONS)}.")
    return word


def column_of(name: str) -> int:
    """Find the column in `EMOTIONS` of an emotion or a synonym.

    Raises:
        DataError: as `canonical`.

    Example:
        >>> column_of("Happy")
        1
    """
    return EMOTIONS.index(canonical(name))


def columns_of(labels: Sequence[str]) -> list[int]:
    """Find the columns in `EMOTIONS` that a label set fills.

    Args:
        labels: emotions in the order of a model's outputs.

    Returns:
        One column a label: `rows_of_eight[:, columns_of(labels)]` are the model's own outputs.

    Raises:
        ValueError: a label is no emotion.

    Example:
        >>> columns_of(("anger", "neutral"))
        [4, 0]
    """
    return [EMOTIONS.index(label) for label in labels]


def to_eight(rows: NDArray[np.floating[Any]], labels: Sequence[str]) -> NDArray[Any]:
    """Spread columns of a label set over all eight emotions.

    Args:
        rows: float (N, K, ...), one column a label.
        labels: K emotions.

    Returns:
        The same dtype, (N, 8, ...); NaN for emotions that the label set lacks.
    """
    eight = np.full((len(rows), len(EMOTIONS), *rows.shape[2:]), np.nan, dtype=rows.dtype)
    eight[:, columns_of(labels)] = rows
    return eight
