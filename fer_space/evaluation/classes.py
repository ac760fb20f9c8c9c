"""What a score means where a model and a data set do not know the same emotions: the one rule.

A model gives a distribution over the emotions that it learned; a data set's labels know some emotions.

- An emotion that the data set does not have (`absent_from_data`) cannot be the right answer to any of its
  faces. It is dropped from the model's distribution and the rest is rescaled to sum to 1, so that the
  model answers the question that the data set asks. Confidence, ECE and confusion follow from the
  rescaled distribution. A row that has nothing left is a row of zeros: no answer, which is wrong.
- An emotion that the data set has and the model does not (`absent_from_model`) can never be answered. Its
  faces stay in every figure and count as wrong, because a user meets them too. `accuracy_on_shared`, over
  `n_shared` faces, is the accuracy without them: compare models of different classes by it.

Every record names both lists. Stored predictions hold the model's own distribution; the rule is applied
when they are scored.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError


def on_data_classes(probabilities: NDArray[np.float64], classes: Collection[str]) -> NDArray[np.float64]:
    """Drop the emotions that are not in `classes` and rescale every row to sum to 1.

    Args:
        probabilities: float64 (N, 8) over `EMOTIONS`; rows of zeros stay so.
        classes: emotions that the data set's labels know.

    Returns:
        float64 (N, 8), 0 for the emotions that were dropped; the input itself if none were.
    """
    if len(set(classes)) == len(EMOTIONS):
        return probabilities
    kept = probabilities * np.array([emotion in classes for emotion in EMOTIONS])
    total = kept.sum(axis=1, keepdims=True)
    return np.asarray(kept / np.where(total > 0.0, total, 1.0))


def absences(model_classes: Collection[str], data_classes: Collection[str]) -> dict[str, list[str]]:
    """The two lists of a record; raises DataError when model and data set share no emotion."""
    if not set(model_classes) & set(data_classes):
        raise DataError("The model and the data set have no emotion in common: nothing can be scored.")
    return {
        "absent_from_data": [e for e in EMOTIONS if e in model_classes and e not in data_classes],
        "absent_from_model": [e for e in EMOTIONS if e in data_classes and e not in model_classes],
    }


def known_to(classes: Collection[str], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which labels int64 (N,), indices into `EMOTIONS`, are among `classes`: bool (N,)."""
    return np.array([emotion in classes for emotion in EMOTIONS], dtype=np.bool_)[labels]
