"""Pictures of faces: how many there are of each emotion, where their features lie, how they are changed."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from fer_space.data.faceset import FaceSet
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.metrics import ccc
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.plots import COLOURS, FAINT, INK, MARKERS, save_figure, tidy

LONG_TAIL = 20  # from this ratio of the commonest to the rarest emotion on, counts are drawn on a log axis

FACES = 2_000
COMPONENTS = 50
PERPLEXITY = 30.0
FEWEST = 5

Row = tuple[str, Sequence[NDArray[np.uint8]], Sequence[str]]


def draw_distribution(splits: Mapping[str, NDArray[np.int64]], title: str, path: Path) -> None:
    """Draw the number of faces of each emotion and split, the commonest emotion first.

    Args:
        splits: by name, counts int64 (8,) over `EMOTIONS`; emotions without any face are named below.
        title: over the picture.
        path: of the picture.
    """
    total = np.sum(list(splits.values()), axis=0)
    order = np.argsort(-total, kind="stable")[: np.count_nonzero(total)]
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    axes = figure.subplots()
    width = 0.84 / len(splits)
    for number, (name, counts) in enumerate(splits.items()):
        places = np.arange(len(order)) + (number - (len(splits) - 1) / 2) * width
        label = f"{name} ({counts.sum():,})"
        bars = axes.bar(places, counts[order], width * 0.94, color=COLOURS[number], label=label)
        axes.bar_label(bars, [f"{n:,}" if n else "" for n in counts[order]], fontsize=7, color=INK, padding=1)
    positive = np.concatenate([counts[counts > 0] for counts in splits.values()])
    if len(positive) and positive.max() >= LONG_TAIL * positive.min():
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
    absent = [name for name, count in zip(EMOTIONS, total, strict=True) if not count]
    axes.set_xlabel(f"no face of {', '.join(absent)}" if absent else "")
    axes.set_xticks(range(len(order)), [EMOTIONS[k] for k in order])
    axes.set_ylabel("faces" + (" (log scale)" if axes.get_yscale() == "log" else ""))
    axes.set_title(title)
    tidy(axes)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, loc="upper right")
    save_figure(figure, path)


def draw_tsne(points: NDArray[np.float64], labels: NDArray[np.int64], title: str, path: Path) -> None:
    """Draw a map of faces, a colour and a shape an emotion, rare emotions on top.

    Args:
        points: float64 (N, 2); only neighbourhoods mean something, so the axes have no numbers.
        labels: int64 (N,), indices into `EMOTIONS`; -1 where nobody named one.
        title: over the picture.
        path: of the picture.
    """
    figure = Figure(figsize=(8.4, 6.6), layout="constrained")
    axes = figure.subplots()
    _scatter(axes, points, labels, size=26)
    axes.set(xticks=[], yticks=[], title=title)
    axes.set_aspect("equal")
    axes.spines[:].set_visible(False)
    save_figure(figure, path, bbox_inches="tight")


def draw_affect(affect: NDArray[np.floating[Any]], labels: NDArray[np.int64], title: str, path: Path) -> None:
    """Draw valence and arousal of faces on the circumplex, a colour and a shape an emotion.

    Args:
        affect: float (N, 2) in [-1, 1].
        labels: int64 (N,), indices into `EMOTIONS`; -1 where nobody named one.
        title: over the picture.
        path: of the picture.
    """
    figure = Figure(figsize=(7.4, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.add_patch(Circle((0.0, 0.0), 1.0, fill=False, edgecolor=FAINT))
    for line in (axes.axhline, axes.axvline):
        line(0.0, color=FAINT, linewidth=1, zorder=0)
    _scatter(axes, affect, labels, size=16)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="valence", ylabel="arousal", title=title)
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path, bbox_inches="tight")


def draw_agreement(
    predicted: NDArray[np.float64],
    affect: NDArray[np.float64],
    labels: NDArray[np.int64],
    title: str,
    path: Path,
) -> None:
    """Draw predicted against labelled valence and arousal, with their concordance (CCC).

    Args:
        predicted: float64 (N, 2) in [-1, 1].
        affect: the labels, float64 (N, 2) in [-1, 1].
        labels: int64 (N,), indices into `EMOTIONS`; -1 where nobody named one.
        title: over the picture.
        path: of the picture.
    """
    figure = Figure(figsize=(10.4, 4.8), layout="constrained")
    for k, (axes, name) in enumerate(
        zip(figure.subplots(1, 2, sharey=True), ("valence", "arousal"), strict=True)
    ):
        axes.plot([-1, 1], [-1, 1], color=FAINT, linewidth=2, zorder=0)
        _scatter(axes, np.stack([affect[:, k], predicted[:, k]], axis=1), labels, size=16, legend=k == 1)
        axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel=f"{name}, label")
        axes.set_title(f"{name}: CCC {ccc(predicted[:, k], affect[:, k]):.3f}", fontsize=10)
        axes.set_aspect("equal")
        tidy(axes)
    figure.supylabel("predicted", fontsize=10)
    figure.suptitle(f"{title}, {len(labels):,} faces", fontsize=11)
    save_figure(figure, path, bbox_inches="tight")


def _scatter(
    axes: Any,
    points: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    *,
    size: int,
    legend: bool = True,
) -> None:
    """Points float (N, 2), a colour and a shape an emotion, rare emotions on top; those of none below."""
    if (bare := labels < 0).any():
        x, y = points[bare].T
        axes.scatter(x, y, s=size, color=FAINT, zorder=1, label=f"no emotion named ({bare.sum()})")
    counts = np.bincount(labels[~bare], minlength=len(EMOTIONS))
    for k in np.flatnonzero(counts):
        x, y = points[labels == k].T
        axes.scatter(
            x,
            y,
            s=size,
            color=COLOURS[k],
            marker=MARKERS[k],
            edgecolor="white",
            linewidth=0.3,
            zorder=3 - counts[k] / counts.max(),
            label=f"{EMOTIONS[k]} ({counts[k]})",
        )
    if legend:
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, markerscale=1.6)


def draw_sheet(rows: Sequence[Row], path: Path) -> None:
    """Draw faces row by row, each row titled at its left and each face captioned below.

    Args:
        rows: (title, pictures uint8 (H, W) gray or (H, W, 3) RGB, one caption a picture); rows may be of
            different lengths and captions may be empty or of several lines.
        path: of the picture.

    Raises:
        ValueError: there is no picture, or a row has not as many captions as pictures.
    """
    for title, pictures, captions in rows:
        if len(pictures) != len(captions):
            raise ValueError(f"{title}: {len(pictures)} pictures need as many captions")
    across = max((len(pictures) for _, pictures, _ in rows), default=0)
    if not across:
        raise ValueError("a sheet needs at least one picture")
    lines = max(caption.count("\n") + 1 for _, _, captions in rows for caption in captions)
    figure = Figure(figsize=(1.5 + 1.35 * across, (1.35 + 0.15 * lines) * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), across + 1, squeeze=False, width_ratios=[0.8] + [1.0] * across)
    for axes in grid.ravel():
        axes.set_axis_off()
    for cells, (title, pictures, captions) in zip(grid, rows, strict=True):
        cells[0].text(1.0, 0.5, title, ha="right", va="center", fontsize=9, color=INK)
        for axes, picture, caption in zip(cells[1:], pictures, captions, strict=False):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
            axes.set_title(caption, y=-0.05, pad=0, va="top", fontsize=7, color=INK)
    save_figure(figure, path)


def tsne_points(embeddings: NDArray[np.float16], seed: int = 0) -> NDArray[np.float64]:
    """Place embeddings (N, C) on a plane, float64 (N, 2): PCA to 50 components first, then t-SNE.

    van der Maaten and Hinton 2008, "Visualizing data using t-SNE". The same seed gives the same map.
    Raises InputError for fewer than FEWEST faces.
    """
    if len(embeddings) < FEWEST:
        raise InputError(f"A map needs at least {FEWEST} faces with embeddings; here are {len(embeddings)}.")
    values = embeddings.astype(np.float64)
    components = min(COMPONENTS, *values.shape)
    reduced = PCA(components, random_state=seed).fit_transform(values)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return np.asarray(points, dtype=np.float64)


def stratified(labels: NDArray[np.int64], limit: int = FACES, seed: int = 0) -> NDArray[np.int64]:
    """Indices of at most `limit` faces, in ascending order, each label by its share and none left out.

    Args:
        labels: int64 (N,).
        limit: at least the number of labels.
        seed: of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    quantile = np.empty(len(labels))
    for label in np.unique(labels):
        own = order[labels[order] == label]
        quantile[own] = np.arange(len(own)) / len(own)
    picks: NDArray[np.int64] = np.sort(np.argsort(quantile, kind="stable")[:limit])
    return picks


def good_and_bad(outputs: Outputs, each: int = 6) -> dict[str, list[int]]:
    """Choose faces that a model read well and badly.

    Args:
        outputs: of the model.
        each: how many of a kind, at most.

    Returns:
        Positions by title: of every emotion in turn the right answers that it is surest of, then the wrong
        answers that it is surest of, and those in which the label nearly won.
    """
    rows = np.nan_to_num(outputs.scored, nan=-1.0)
    labels, answers = outputs.labels, rows.argmax(axis=1)
    sure, own = rows.max(axis=1), rows[np.arange(len(rows)), labels]
    right = np.flatnonzero(outputs.answered & (answers == labels))
    wrong = np.flatnonzero(outputs.answered & (answers != labels))
    by_emotion = [right[labels[right] == k] for k in np.unique(labels[right])]
    turns = [own_right[np.argsort(-sure[own_right], kind="stable")].tolist() for own_right in by_emotion]
    best = [face for turn in zip_longest(*turns) for face in turn if face is not None]
    found = {
        "right and sure": best[:each],
        "wrong and sure": wrong[np.argsort(-sure[wrong], kind="stable")][:each].tolist(),
        "nearly right": wrong[np.argsort((sure - own)[wrong], kind="stable")][:each].tolist(),
    }
    return {title: faces for title, faces in found.items() if faces}


def gallery_rows(outputs: Outputs, faces: FaceSet, each: int = 6) -> list[Row]:
    """Make the rows of a gallery of good and bad results, as `draw_sheet` takes them.

    Args:
        outputs: what a model said of `faces`, or of more.
        faces: where the pictures are.
        each: how many of a kind, at most.

    Raises:
        InputError: a picture that is wanted is not among `faces`, or stands there more than once.
    """
    places: dict[str, list[int]] = {}  # several where a picture has several faces
    for place, name in enumerate(faces.files):
        places.setdefault(name, []).append(place)
    same = outputs.files == faces.files
    rows: list[Row] = []
    for title, chosen in good_and_bad(outputs, each).items():
        pictures = []
        for i in chosen:
            name = outputs.files[i]
            known = [i] if same else places.get(name, [])
            if len(known) != 1:
                where = f"{faces.name} {faces.split}"
                said = f"is not in {where}" if not known else f"has several faces in {where}"
                raise InputError(f"{name} of {outputs.about.title} {said}.")
            pictures.append(faces.read(known[0]))
        rows.append((title, pictures, [_answer(outputs, i) for i in chosen]))
    if not rows:
        raise InputError(f"{outputs.about.title} holds no answer.")
    return rows


def _answer(outputs: Outputs, i: int) -> str:
    """The label of a face, and the two strongest answers with their probabilities."""
    row = np.nan_to_num(outputs.scored[i], nan=-1.0)
    best = np.argsort(-row, kind="stable")[:2]
    said = [f"{EMOTIONS[k]} {row[k]:.0%}" for k in best if row[k] >= 0.0]
    return "\n".join([f"label: {EMOTIONS[outputs.labels[i]]}", *said])
