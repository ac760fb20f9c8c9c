"""Whether one model is better than another: differences on the same faces, with their intervals."""

from typing import NamedTuple

from fer_space.evaluation.metrics import DIGITS, accuracy, balanced_accuracy, difference_intervals
from fer_space.evaluation.predictions import Predictions, require_same_faces


class Difference(NamedTuple):
    """How far a model is ahead of another: the value in [-1, 1] and its 95 % interval."""

    value: float
    low: float
    high: float


def differences_from(base: Predictions, other: Predictions) -> dict[str, Difference]:
    """How far `other` is ahead of `base` in accuracy and in balanced accuracy, by these names.

    Raises InputError when they are not of the same faces.
    """
    require_same_faces((base, other))
    labels, intervals = base.labels, difference_intervals(other.scored, base.scored, base.labels)
    differences = {}
    for rule in (accuracy, balanced_accuracy):
        name, value = rule.__name__, rule(other.scored, labels) - rule(base.scored, labels)
        differences[name] = Difference(*(round(number, DIGITS) for number in (value, *intervals[name])))
    return differences
