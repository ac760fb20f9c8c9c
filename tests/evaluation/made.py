"""Outputs made by hand, for tests of scores and plots."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np

from fer_space.card import Setting
from fer_space.emotions import EMOTIONS, columns_of
from fer_space.evaluation.outputs import About, Outputs

SEVEN = EMOTIONS[:-1]


def rows_of(answers: Sequence[str], confidence: float = 0.8, classes: Sequence[str] = EMOTIONS) -> np.ndarray:
    """One row an answer: its confidence, and the rest shared by the other classes; "" is no answer."""
    rows = np.full((len(answers), len(EMOTIONS)), np.nan)
    for row, answer in zip(rows, answers, strict=True):
        if answer:
            row[columns_of(classes)] = (1 - confidence) / (len(classes) - 1)
            row[EMOTIONS.index(answer)] = confidence
    return rows


def outputs_of(labels: Sequence[str], probabilities: np.ndarray, **changes: Any) -> Outputs:
    """Outputs for faces 0.png, 1.png, ...; `changes` go to `Setting`, `About` or `Outputs`, by their name."""
    setting = {key: changes.pop(key) for key in tuple(changes) if key in Setting.model_fields}
    about = {key: changes.pop(key) for key in tuple(changes) if key in About.model_fields}
    return Outputs(
        about=About(
            **{
                "model": "tiny",
                "setting": Setting(**{"data": "made", "split": "test", **setting}),
                "date": dt.date(2031, 2, 3),
                **about,
            }
        ),
        files=tuple(f"{i}.png" for i in range(len(labels))),
        labels=np.array(columns_of(labels), dtype=np.int64),
        probabilities=probabilities,
        **changes,
    )


def lively(count: int = 60, seed: int = 0, **changes: Any) -> Outputs:
    """Random outputs that are right more often than not, with embeddings that show the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(EMOTIONS), count)
    logits = rng.normal(size=(count, len(EMOTIONS))) + 2.0 * np.eye(len(EMOTIONS))[labels]
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    embeddings = (rng.normal(size=(count, 12)) + 4.0 * np.eye(12)[labels]).astype(np.float16)
    return outputs_of([EMOTIONS[k] for k in labels], rows, **{"embeddings": embeddings, **changes})
