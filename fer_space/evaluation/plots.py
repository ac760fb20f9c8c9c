"""Plots of stored predictions, drawn with matplotlib straight into files."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fer_space.labels import EMOTIONS


def draw_confusion(counts: NDArray[np.int64], title: str, path: Path) -> None:
    """Draw counts int64 (8, 8), rows labels and columns answers; the colour is the share of the row."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
    rows = [f"{name} ({total})" for name, total in zip(EMOTIONS, totals[:, 0], strict=True)]
    axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=40, ha="right")
    axes.set_yticks(range(len(EMOTIONS)), rows)
    axes.set_xlabel("answer")
    axes.set_ylabel("label (faces)")
    axes.set_title(title)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "#1f2937"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(picture, ax=axes, label="share of the label's faces", shrink=0.8)
    figure.savefig(path, dpi=130)
