"""`fer-space plot`: draw from stored files, without a model (only `augment` asks one where it looks).

fer-space plot curves runs/warm runs/middle
fer-space plot reliability results/*.parquet -o reliability.png
"""

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_space.data import collect, split_data
from fer_space.data.faceset import SPLITS
from fer_space.data.joining import join
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.training.config import TrainConfig

if TYPE_CHECKING:
    from fer_space.evaluation.predictions import Predictions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one sub-command a plot."""
    plots = parser.add_subparsers(title="plots", metavar="PLOT", required=True)
    for draw, name, metavar, several, text in (
        (curves, "curves", "RUN", True, "loss and accuracy over epochs, of runs or their history.csv"),
        (confusion, "confusion", "FILE.parquet", False, "labels against answers"),
        (reliability, "reliability", "FILE.parquet", True, "how often answers of a confidence are right"),
        (tradeoff, "tradeoff", "FILE.parquet", True, "what recall of rare emotions costs in accuracy"),
        (differences, "differences", "FILE.parquet", True, "how far the others are ahead of the first"),
        (tsne, "tsne", "FILE.parquet", False, "map of the features that test --embeddings stored"),
        (distribution, "distribution", "KIND:PATH", False, "faces of each emotion and split; or a .csv"),
        (augment, "augment", "KIND:PATH", False, "what training does to faces, and the targets that result"),
    ):
        plot = plots.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        plot.add_argument("source", metavar=metavar, nargs="+" if several else 1)
        plot.add_argument(
            "-o", "--out", type=Path, metavar="FILE.png", help="default: beside the stored file"
        )
        plot.set_defaults(draw=draw)


def run(args: argparse.Namespace) -> int:
    """Draw and print where the picture is."""
    draw: Callable[[list[str], Path | None], Path] = args.draw
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
    print(draw(args.source, args.out))
    return 0


def curves(sources: list[str], out: Path | None) -> Path:
    """Draw the histories of runs; by default into the first run's folder."""
    from fer_space.evaluation.plots import draw_curves

    files = [path / "history.csv" if path.is_dir() else path for path in map(Path, sources)]
    path = out or files[0].with_name("curves.png")
    titles = told_apart([_title(file) for file in files], sources)
    draw_curves(dict(zip(titles, map(read_history, files), strict=True)), path)
    return path


def confusion(sources: list[str], out: Path | None) -> Path:
    """Draw the confusion matrix of stored predictions, by default over `test --out`'s own."""
    from fer_space.evaluation import metrics
    from fer_space.evaluation.plots import draw_confusion
    from fer_space.evaluation.predictions import Predictions

    predictions = Predictions.load(Path(sources[0]))
    path = out or Path(sources[0]).with_suffix(".png")
    draw_confusion(metrics.confusion(predictions.scored, predictions.labels), predictions.about.title, path)
    return path


def reliability(sources: list[str], out: Path | None) -> Path:
    """Draw the reliability of one or several stored predictions into one picture."""
    from fer_space.evaluation import metrics
    from fer_space.evaluation.plots import draw_reliability

    several = load_all(sources)
    path = out or _beside(sources[0], "reliability")
    draw_reliability({name: metrics.reliability(p.scored, p.labels) for name, p in several.items()}, path)
    return path


def tradeoff(sources: list[str], out: Path | None) -> Path:
    """Draw accuracy against balanced accuracy and rare emotions as the answers are adjusted."""
    from fer_space.evaluation import tradeoff as rule
    from fer_space.evaluation.comparison_plots import draw_tradeoff

    several = load_all(sources)
    path = out or _beside(sources[0], "tradeoff")
    draw_tradeoff({name: rule.tradeoff(p.scored, p.labels) for name, p in several.items()}, path)
    return path


def differences(sources: list[str], out: Path | None) -> Path:
    """Draw how far stored predictions are ahead of the first ones, with intervals of the difference."""
    from fer_space.evaluation.comparing import differences_from
    from fer_space.evaluation.comparison_plots import draw_differences

    (title, base), *others = load_all(sources).items()
    if not others:
        raise InputError("Name the predictions to compare with, and then one or more others.")
    path = out or _beside(sources[0], "differences")
    draw_differences({name: differences_from(base, other) for name, other in others}, title, path)
    return path


def tsne(sources: list[str], out: Path | None) -> Path:
    """Draw a map of the stored embeddings; faces that were not found are left out."""
    from fer_space.evaluation.face_plots import draw_tsne
    from fer_space.evaluation.predictions import Predictions
    from fer_space.evaluation.projection import stratified, tsne_points

    predictions = Predictions.load(Path(sources[0]))
    if predictions.embeddings is None:
        raise InputError(
            f"{sources[0]} holds no embeddings: read the data with `fer-space test --embeddings`."
        )
    answered = np.flatnonzero(predictions.answered)
    picks = answered[stratified(predictions.labels[answered])]
    title = f"features of {predictions.about.title}: {len(picks):,} of {len(predictions):,} faces"
    path = out or _beside(sources[0], "tsne")
    draw_tsne(tsne_points(predictions.embeddings[picks]), predictions.labels[picks], title, path)
    return path


def distribution(sources: list[str], out: Path | None) -> Path:
    """Draw a data set's emotions; by default beside its .csv, else into the current folder."""
    from fer_space.evaluation.face_plots import draw_distribution

    data = sources[0] if ":" in sources[0] else f"csv:{sources[0]}"
    name, counts = count_emotions(data)
    kind, _, place = data.partition(":")
    path = out or (_beside(place, "distribution") if kind == "csv" else Path(f"{name}-distribution.png"))
    draw_distribution(counts, f"{name}: faces by emotion", path)
    return path


def augment(sources: list[str], out: Path | None) -> Path:
    """Draw every step of training on one face an emotion; by default into the current folder."""
    from fer_space.data import open_data
    from fer_space.evaluation.face_plots import draw_sheet
    from fer_space.training.pictures import LabelledPictures
    from fer_space.training.sheet import sheet_rows
    from fer_space.training.start import load_guide

    faces = open_data(sources[0], "valid")
    firsts = [int(np.flatnonzero(faces.labels == k)[0]) for k in np.unique(faces.labels)]
    guide = load_guide(TrainConfig.guide)
    pictures = LabelledPictures.read(faces.select(firsts), guide.preprocess)
    path = out or Path(f"{faces.name}-augment.png")
    draw_sheet(sheet_rows(pictures, guide), path)
    return path


def load_all(sources: Sequence[str]) -> dict[str, "Predictions"]:
    """Stored predictions by title; raises InputError for a file that holds none."""
    from fer_space.evaluation.predictions import Predictions

    several = [Predictions.load(Path(source)) for source in sources]
    titles = told_apart([predictions.about.title for predictions in several], sources)
    return dict(zip(titles, several, strict=True))


def told_apart(titles: Sequence[str], sources: Sequence[str]) -> list[str]:
    """The titles; those that several share are followed by where each comes from."""
    return [
        title if titles.count(title) == 1 else f"{title} ({source})"
        for title, source in zip(titles, sources, strict=True)
    ]


def count_emotions(data: str) -> tuple[str, dict[str, NDArray[np.int64]]]:
    """Name of a data set, and counts int64 (8,) by split; no picture is opened.

    Faces that are in every split are counted once, as "all". Raises what the reader raises.
    """
    parts = [collect(kind, path) for kind, path in split_data(data)]
    whole = join(parts) if len(parts) > 1 else parts[0]
    counts = {split: np.zeros(len(EMOTIONS), dtype=np.int64) for split in (*SPLITS, "")}
    for row in whole.rows:
        counts[row.split][row.label] += 1
    return whole.name, {split or "all": rows for split, rows in counts.items() if rows.any()}


def read_history(file: Path) -> dict[str, list[float]]:
    """Columns of a history.csv; raises InputError when it is missing, empty or holds other than numbers."""
    if not file.is_file():
        raise InputError(f"There is no file {file}.")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
    except (TypeError, ValueError) as error:
        raise InputError(f"{file} is no history of a training run.") from error
    if not any(name.startswith(("train_", "valid_")) for name in columns):
        raise InputError(f"{file} is no history of a training run.")
    return columns


def _title(file: Path) -> str:
    """How a run is called: its folder's name for history.csv, else the file's."""
    return file.absolute().parent.name if file.name == "history.csv" else file.stem


def _beside(file: str, what: str) -> Path:
    path = Path(file)
    return path.with_name(f"{path.stem}-{what}.png")
