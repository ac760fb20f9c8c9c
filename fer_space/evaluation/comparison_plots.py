"""Plots that set models against each other: what rare emotions cost, and which differences are real."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from fer_space.evaluation.comparing import Difference
from fer_space.evaluation.plots import COLOURS, DPI, FAINT, INK, MARKERS, tidy
from fer_space.evaluation.tradeoff import Point

RARE = ("disgust", "fear", "contempt")


def draw_tradeoff(curves: Mapping[str, Sequence[Point]], path: Path, emotions: Sequence[str] = RARE) -> None:
    """Draw what a model gives up in accuracy for balanced accuracy and for the recall of some emotions.

    Args:
        curves: by title, the points of `fer_space.evaluation.tradeoff.tradeoff`; the one at tau 0, where the
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
    figure.savefig(path, dpi=DPI)


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
    figure.savefig(path, dpi=DPI)
