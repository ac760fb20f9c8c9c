"""The eight emotions, their one order, and the names other sources give them.

Every array of probabilities in this project follows `EMOTIONS` (the column order of FERPlus). Other
sources have their own order or a subset; they are mapped by name, never by index.
"""

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
