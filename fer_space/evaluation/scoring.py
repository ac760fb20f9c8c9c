"""Predictions -> one JSON-ready record. No model is needed, so stored predictions are scored again."""

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.distributions import circumplex
from fer_space.emotions import EMOTIONS
from fer_space.evaluation.affect_metrics import ccc, complete, pearson, rmse
from fer_space.evaluation.classes import absences, known_to
from fer_space.evaluation.metrics import DIGITS, accuracy, score
from fer_space.evaluation.predictions import Predictions

AFFECT = ("valence", "arousal")


def record_of(predictions: Predictions) -> dict[str, Any]:
    """Every score of predictions as fractions, with what they were measured on.

    Always: backbone, data, split, flip, `metrics.score`, and the absences of `evaluation.classes`. Where
    they apply: lift; detector and undetected; occlusion; accuracy_on_shared and n_shared; members and
    disagreement (mean, in bits); twins (their number) and without_twins (the scores of the other faces, None
    if there are none); affect.

    Raises:
        DataError: model and data set share no emotion.
    """
    about, labels = predictions.about, predictions.labels
    record: dict[str, Any] = {
        "backbone": about.backbone,
        "data": about.data,
        "split": about.split,
        "flip": about.flip,
        **({"lift": True} if about.lift else {}),
        **score(predictions.scored, labels),
        **absences(about.model_classes, about.data_classes),
    }
    if record["absent_from_model"]:
        shared = known_to(about.model_classes, labels)
        record["n_shared"] = int(shared.sum())
        record["accuracy_on_shared"] = (
            round(accuracy(predictions.scored[shared], labels[shared]), DIGITS) if shared.any() else None
        )
    if about.detector is not None:
        record |= {"detector": about.detector, "undetected": int((~predictions.answered).sum())}
    if about.occlusion is not None:
        record["occlusion"] = about.occlusion
    if predictions.disagreement is not None:
        known = predictions.disagreement[predictions.answered]
        mean = round(float(known.mean()), DIGITS) if len(known) else None
        record |= {"members": list(about.members), "disagreement": mean}
    if predictions.twin is not None:
        record |= _without_twins(predictions, predictions.twin)
    if predictions.affect_labels is not None:
        record["affect"] = _affect(predictions, predictions.affect_labels)
    return record


def _without_twins(predictions: Predictions, twin: NDArray[np.bool_]) -> dict[str, Any]:
    rest = ~twin
    scores = score(predictions.scored[rest], predictions.labels[rest]) if rest.any() else None
    return {"twins": int(twin.sum()), "without_twins": scores}


def _affect(predictions: Predictions, labels: NDArray[np.float64]) -> dict[str, Any]:
    """Scores of valence and arousal over the `n` faces that have a label and an answer.

    The answers come from the model's head, or else from the circumplex of its own distribution.
    """
    head = predictions.affect is not None
    answers = predictions.affect if predictions.affect is not None else derived_affect(predictions)
    kept = complete(answers, labels)
    scores: dict[str, Any] = {
        name: {
            metric.__name__: _rounded(metric(answers[kept, column], labels[kept, column]))
            for metric in (ccc, pearson, rmse)
        }
        for column, name in enumerate(AFFECT)
    }
    return {**scores, "source": "head" if head else "circumplex", "n": int(kept.sum())}


def derived_affect(predictions: Predictions) -> NDArray[np.float64]:
    """Valence and arousal float64 (N, 2) derived from the probabilities; NaN where there is no answer."""
    rows = [circumplex(dict(zip(EMOTIONS, row, strict=True))) for row in predictions.probabilities.tolist()]
    derived = np.array(rows, dtype=np.float64).reshape(-1, len(AFFECT))
    derived[~predictions.answered] = np.nan
    return derived


def _rounded(value: float) -> float | None:
    """JSON has no NaN: a score that is not defined becomes None."""
    return round(value, DIGITS) if isfinite(value) else None
