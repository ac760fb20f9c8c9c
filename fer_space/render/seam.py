"""The core's nouns as pages and records use them: the one place that knows where they live."""

from fer_space.changes import Change, Covered, Sensitivity, covered_faces
from fer_space.types import CONSENSUS, PREDICTED, Comparison

__all__ = [
    "CONSENSUS",
    "PREDICTED",
    "Change",
    "Comparison",
    "Covered",
    "Sensitivity",
    "covered_faces",
    "rule",
    "together",
    "top",
]


def together(comparison: Comparison) -> dict[str, float]:
    """The one answer of all models: probability by emotion, summing to 1."""
    return comparison.weighted


def rule(comparison: Comparison) -> str:
    """How the models become one answer: "fitted mean" or "mean"."""
    return "fitted mean" if sum(comparison.weights) > 0.0 else "mean"


def top(comparison: Comparison) -> str:
    """The most probable emotion of `together`."""
    shares = together(comparison)
    return max(shares, key=shares.__getitem__)
