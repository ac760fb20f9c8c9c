"""Plots of scores, drawn from stored files with matplotlib's Figure, which has no global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.evaluation.metrics import Reliability

DPI = 130
INK, FAINT = "#1f2937", "#d1d5db"
# Okabe and Ito 2008, "Color Universal Design": told apart by colour-blind readers; shapes tell them again.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIDES = {"train": (0, (4, 2)), "valid": "solid"}  # line styles
PANELS_A_ROW = 3

History = Mapping[str, Sequence[float]]


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
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(picture, ax=axes, label="share of the label's faces", shrink=0.8)
    figure.savefig(path, dpi=DPI)


def draw_reliability(models: Mapping[str, Reliability], path: Path) -> None:
    """Draw accuracy over confidence, one line a model, above the share of the answers in each bin.

    Args:
        models: by title. The area of a mark shows how many of the model's answers stand behind it.
        path: of the picture.
    """
    figure = Figure(figsize=(6.4, 7.0 + 0.2 * len(models)), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=3, zorder=0, label="accuracy equals confidence")
    for number, (title, model) in enumerate(models.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        x, y, share = model.confidence, model.accuracy, model.count / max(model.count.sum(), 1)
        filled = model.count > 0
        axes.plot(x[filled], y[filled], color=colour, linewidth=1)
        axes.scatter(x, y, s=8 + 300 * share, color=colour, marker=marker, zorder=3, clip_on=False)
        below.stairs(share, np.linspace(0.0, 1.0, len(share) + 1), color=colour, linewidth=1.5)
        axes.plot([], [], color=colour, marker=marker, label=f"{title}: ECE {model.ece:.1%}")
    axes.set(ylim=(-0.03, 1.03), ylabel="share of the answers that are right")
    below.set(xlim=(0.0, 1.0), xlabel="confidence of the answer", ylabel="share of all")
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    for each in (axes, below):
        tidy(each)
    figure.legend(loc="outside upper left", frameon=False)
    figure.savefig(path, dpi=DPI)


def draw_curves(runs: Mapping[str, History], path: Path) -> None:
    """Draw training runs over epochs: one panel a measure, one colour a run.

    Args:
        runs: by title; each maps columns to values, one an epoch. `train_NAME` and `valid_NAME` share
            the panel of NAME; other columns but `epoch` are left out.
        path: of the picture.
    """
    names = dict.fromkeys(
        column.partition("_")[2]
        for run in runs.values()
        for column in run
        if column.partition("_")[0] in SIDES
    )
    across = max(1, min(len(names), PANELS_A_ROW))
    down = max(1, -(-len(names) // across))
    figure = Figure(figsize=(4.2 * across, 3.4 * down + 0.5), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw_measure(axes, name, runs)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    lines = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)])
        for i in range(len(runs))
    ]
    figure.legend(lines, runs, loc="outside lower center", ncols=min(len(runs), 4), frameon=False)
    figure.savefig(path, dpi=DPI)


def _draw_measure(axes: Any, name: str, runs: Mapping[str, History]) -> None:
    sides = [side for side in SIDES if any(f"{side}_{name}" in run for run in runs.values())]
    for number, run in enumerate(runs.values()):
        look = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            "markersize": 4,
        }
        for side in sides:
            if values := run.get(f"{side}_{name}"):
                style = SIDES[side] if len(sides) > 1 else "solid"
                axes.plot(run.get("epoch", range(1, len(values) + 1)), values, linestyle=style, **look)
    title = name.replace("_", " ")
    axes.set_title(f"{title}: train dashed, valid solid" if len(sides) > 1 else f"{sides[0]} {title}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "accuracy" in name:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    tidy(axes)


def tidy(axes: Any) -> None:
    """Take the frame's upper and right edge away and add a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
