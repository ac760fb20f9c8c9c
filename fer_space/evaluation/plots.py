"""Plots of scores, drawn from stored files with matplotlib's Figure, which has no global state."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.metrics import Difference, Overlap, Point, Reliability
from fer_space.files import replacing

DPI = 130
INK, FAINT = "#1f2937", "#d1d5db"
# Okabe and Ito 2008, "Color Universal Design": told apart by colour-blind readers; shapes tell them again.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SIDES = {"train": (0, (4, 2)), "valid": "solid"}  # line styles
PANELS_A_ROW = 3
CONFUSIONS_A_ROW = 4
RARE = ("disgust", "fear", "contempt")

History = Mapping[str, Sequence[float]]


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure as a picture file, of the kind that its name says; a failure leaves the old file.

    Raises InputError for a kind that matplotlib does not write, OutputError where it cannot be written.
    """
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds and path.suffix:
        raise InputError(f"A figure cannot be a “{path.suffix[1:]}” file: choose {', '.join(sorted(kinds))}.")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format=path.suffix[1:] or "png", **options)


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
    save_figure(figure, path)


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
    save_figure(figure, path)


def read_history(file: Path) -> dict[str, list[float]]:
    """Read the columns of a training run's history.csv.

    Raises:
        InputError: it is missing, empty or holds other than numbers.
    """
    if not file.is_file():
        raise InputError(f"There is no file {file}.")
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
    except (TypeError, ValueError, csv.Error) as error:  # also bytes that are no text
        raise InputError(f"{file} is no history of a training run.") from error
    if not any(name.startswith(("train_", "valid_")) for name in columns):
        raise InputError(f"{file} is no history of a training run.")
    return columns


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
    save_figure(figure, path)


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


def draw_tradeoff(curves: Mapping[str, Sequence[Point]], path: Path, emotions: Sequence[str] = RARE) -> None:
    """Draw what a model gives up in accuracy for balanced accuracy and for the recall of some emotions.

    Args:
        curves: by title, the points of `fer_space.evaluation.metrics.tradeoff`; the one at tau 0, where the
            answers are as they are, gets the mark. A curve of that point alone is a mark alone.
        path: of the picture.
        emotions: a panel each, where any curve has them.
    """
    shown = [
        name for name in emotions if any(name in p.recalls for points in curves.values() for p in points)
    ]
    figure = Figure(figsize=(3.4 * (1 + len(shown)), 4.4 + 0.12 * len(curves)), layout="constrained")
    panels = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    for axes, name in zip(panels, ("", *shown), strict=True):
        for number, points in enumerate(curves.values()):
            _draw_curve(axes, points, name, number)
        axes.set_title(f"recall of {name}" if name else "balanced accuracy")
        axes.set_xlabel("accuracy")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0))
        tidy(axes)
    marks = [Line2D([], [], **_look(number)) for number in range(len(curves))]
    figure.legend(marks, curves, loc="outside lower center", ncols=min(len(curves), 5), frameon=False)
    save_figure(figure, path)


def _draw_curve(axes: Any, points: Sequence[Point], emotion: str, number: int) -> None:
    """One model; `emotion` "" is the balanced accuracy."""

    def height(point: Point) -> float:
        return point.recalls.get(emotion, float("nan")) if emotion else point.balanced_accuracy

    look = _look(number)
    axes.plot([p.accuracy for p in points], [height(p) for p in points], color=look["color"], linewidth=1)
    for point in points:
        if point.tau == 0.0:
            axes.plot(point.accuracy, height(point), **look)


def _look(number: int) -> dict[str, Any]:
    """Colours come round before shapes do, so that every model has a pair of its own."""
    shape = MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": shape,
        "markersize": 7,
        "markeredgecolor": "white",
    }


def draw_differences(models: Mapping[str, Mapping[str, Difference]], base: str, path: Path) -> None:
    """Draw how far models are ahead of `base`: a row a model, a panel a measure, bars for the intervals.

    Args:
        models: by title, then by measure (`accuracy`, `balanced_accuracy`); all have the same measures.
        base: the title of the model that they are compared with.
        path: of the picture.
    """
    measures = list(next(iter(models.values())))
    figure = Figure(figsize=(1.8 + 3.6 * len(measures), 1.2 + 0.3 * len(models)), layout="constrained")
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        axes.axvline(0.0, color=INK, linewidth=1)
        for row, found in enumerate(models.values()):
            value, low, high = (100.0 * number for number in found[measure])
            told = low > 0.0 or high < 0.0
            colour = COLOURS[0] if low > 0.0 else COLOURS[3] if high < 0.0 else "#9ca3af"
            axes.plot([low, high], [row, row], color=colour, linewidth=3, alpha=0.5)
            axes.plot(value, row, color=colour, marker="o", fillstyle="full" if told else "none")
        axes.set_title(measure.replace("_", " "))
        axes.xaxis.set_major_formatter("{x:+g}")
        tidy(axes)
        axes.grid(axis="y", color=FAINT, linewidth=0.3)
    panels[0].set_yticks(range(len(models)), list(models))
    panels[0].invert_yaxis()
    figure.supxlabel(f"points ahead of “{base}”, 95 % interval", fontsize=10)
    save_figure(figure, path)


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
    save_figure(figure, path)


def draw_confusions(counts: Mapping[str, NDArray[np.int64]], path: Path) -> None:
    """Draw the confusion of each model as shares of the label's faces: a small panel each."""
    short = [name[:3] for name in EMOTIONS]
    across = min(CONFUSIONS_A_ROW, len(counts))
    down = -(-len(counts) // across)
    figure = Figure(figsize=(2.9 * across + 0.6, 2.9 * down + 0.5), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    picture: Any = None
    for number, (title, count) in enumerate(counts.items()):
        axes = panels.ravel()[number]
        shares = count / np.maximum(count.sum(axis=1, keepdims=True), 1)
        picture = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
        axes.set_title(title, fontsize=10)
        axes.set_xticks(range(len(short)), short, rotation=90, fontsize=8)
        axes.tick_params(labelbottom=number + across >= len(counts))  # nothing is below
        axes.set_yticks(range(len(short)), short, fontsize=8)
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
    save_figure(figure, path)


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
    save_figure(figure, path)


def tidy(axes: Any) -> None:
    """Take the frame's upper and right edge away and add a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
