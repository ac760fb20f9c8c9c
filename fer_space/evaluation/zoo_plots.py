"""The zoo in pictures: accuracy against cost, the errors of each backbone, and what backbones share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.evaluation.overlap import Overlap
from fer_space.evaluation.plots import COLOURS, DPI, INK, MARKERS, tidy

ACROSS = 4  # panels a row
SHORT = tuple(name[:3] for name in EMOTIONS)


class Mark(NamedTuple):
    """A model in the picture of accuracy against cost: shares, and time as a multiple of the reference's."""

    accuracy: float
    interval: tuple[float, float]
    time: float
    ensemble: bool = False


def draw_cost(marks: Mapping[str, Mark], reference: str, path: Path) -> None:
    """Draw accuracy with its 95 % interval against time relative to `reference`, on a logarithmic axis."""
    figure = Figure(figsize=(7.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, mark) in enumerate(marks.items()):
        colour = INK if mark.ensemble else COLOURS[number % len(COLOURS)]
        low, high = mark.interval
        axes.plot([mark.time] * 2, [low, high], color=colour, linewidth=3, alpha=0.25)
        shape = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
        axes.plot(
            mark.time,
            mark.accuracy,
            linestyle="none",
            marker=shape,
            color=colour,
            markersize=9,
            markeredgecolor="white",
            label=f"{name}: {mark.accuracy:.1%}, {mark.time:.1f} ×",
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"time for one face on one core, {reference} = 1")
    axes.set_ylabel("accuracy, 95 % interval")
    tidy(axes)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path, dpi=DPI)


def draw_confusions(counts: Mapping[str, NDArray[np.int64]], path: Path) -> None:
    """Draw the confusion of each model as shares of the label's faces: a small panel each."""
    across = min(ACROSS, len(counts))
    down = -(-len(counts) // across)
    figure = Figure(figsize=(2.9 * across + 0.6, 2.9 * down + 0.5), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    picture: Any = None
    for number, (title, count) in enumerate(counts.items()):
        axes = panels.ravel()[number]
        shares = count / np.maximum(count.sum(axis=1, keepdims=True), 1)
        picture = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(len(SHORT)), SHORT, rotation=90, fontsize=8)
        axes.tick_params(labelbottom=number + across >= len(counts))  # nothing is below
        axes.set_yticks(range(len(SHORT)), SHORT, fontsize=8)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.1:
                colour = "white" if share > 0.55 else INK
                text = f"{100 * share:.0f}"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    for axes in panels.ravel()[len(counts) :]:
        axes.set_visible(False)
    figure.supxlabel("answer", fontsize=10)
    figure.supylabel("label", fontsize=10)
    figure.colorbar(picture, ax=panels, label="share of the label's faces", shrink=0.6)
    figure.savefig(path, dpi=DPI)


def draw_overlap(names: Sequence[str], found: Overlap, path: Path) -> None:
    """Draw how often each pair gives the same answer, and which of its errors each shares with the others."""
    size = 0.62 * len(names) + 1.9
    figure = Figure(figsize=(2 * size + 0.8, size), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, shares, title, colours in (
        (left, found.same_answer, "same answer (% of all faces)", "Greens"),
        (right, found.shared_errors, "the row's errors that the column makes too (%)", "Oranges"),
    ):
        rest = shares[~np.eye(len(names), dtype=bool) & ~np.isnan(shares)]
        low, high = (float(rest.min()), float(rest.max())) if rest.size else (0.0, 1.0)
        axes.imshow(shares, vmin=low - 0.05, vmax=high + 0.05, cmap=colours)
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        for (row, column), share in np.ndenumerate(shares):
            if row != column and not np.isnan(share):
                colour = "white" if share > low + 0.6 * (high - low) else INK
                text = f"{100 * share:.0f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=9, color=colour)
    figure.savefig(path, dpi=DPI)
