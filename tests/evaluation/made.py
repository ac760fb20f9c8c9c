"""Predictions made by hand, for tests of scores and plots."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_space.emotions import EMOTIONS
from fer_space.evaluation.predictions import About, Predictions


def rows_of(answers: Sequence[str], confidence: float = 0.8, classes: Sequence[str] = EMOTIONS) -> np.ndarray:
    """One row an answer: its confidence, and the rest shared by the other classes; "" is no answer."""
    rows = np.zeros((len(answers), len(EMOTIONS)))
    for row, answer in zip(rows, answers, strict=True):
        if answer:
            row[[EMOTIONS.index(name) for name in classes]] = (1 - confidence) / (len(classes) - 1)
            row[EMOTIONS.index(answer)] = confidence
    return rows


def predictions_of(labels: Sequence[str], probabilities: np.ndarray, **changes: Any) -> Predictions:
    """Predictions of faces 0.png, 1.png, ...; `changes` go to `About` or `Predictions`, by their name."""
    about = {key: value for key, value in changes.items() if key in About.__dataclass_fields__}
    rest = {key: value for key, value in changes.items() if key not in about}
    return Predictions(
        about=About(**{"backbone": "tiny", "data": "made", "split": "test", **about}),
        files=tuple(f"{i}.png" for i in range(len(labels))),
        labels=np.array([EMOTIONS.index(label) for label in labels]),
        probabilities=probabilities,
        **rest,
    )


def lively(count: int = 60, seed: int = 0, **changes: Any) -> Predictions:
    """Random predictions that are right more often than not, with embeddings that show the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(EMOTIONS), count)
    logits = rng.normal(size=(count, len(EMOTIONS))) + 2.0 * np.eye(len(EMOTIONS))[labels]
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    embeddings = (rng.normal(size=(count, 12)) + 4.0 * np.eye(12)[labels]).astype(np.float16)
    return predictions_of([EMOTIONS[k] for k in labels], rows, **{"embeddings": embeddings, **changes})
