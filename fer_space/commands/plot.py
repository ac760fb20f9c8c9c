"""`fer-space plot`: draw from stored files, without a model (only `augment` asks one where it looks).

fer-space plot curves runs/warm runs/middle
fer-space plot reliability results/*.parquet -o reliability.png
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fer_space.data import open_data, split_data
from fer_space.data.prepare import count_emotions
from fer_space.errors import InputError
from fer_space.evaluation import face_plots, metrics, plots
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.report import differences_from


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
        (
            affect,
            "affect",
            "SOURCE",
            False,
            "valence and arousal of a KIND:PATH, or predicted in FILE.parquet",
        ),
        (
            gallery,
            "gallery",
            "SOURCE",
            True,
            "good and bad results: FILE.parquet and the KIND:PATH of its faces",
        ),
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
    files = [path / "history.csv" if path.is_dir() else path for path in map(Path, sources)]
    path = out or files[0].with_name("curves.png")
    titles = told_apart([_title(file) for file in files], sources)
    plots.draw_curves(dict(zip(titles, map(plots.read_history, files), strict=True)), path)
    return path


def confusion(sources: list[str], out: Path | None) -> Path:
    """Draw the confusion matrix of stored outputs, by default over `test --out`'s own."""
    outputs = load(sources[0])
    path = out or Path(sources[0]).with_suffix(".png")
    plots.draw_confusion(metrics.confusion(outputs.scored, outputs.labels), outputs.about.title, path)
    return path


def reliability(sources: list[str], out: Path | None) -> Path:
    """Draw the reliability of one or several stored outputs into one picture."""
    several = load_all(sources)
    path = out or _beside(sources[0], "reliability")
    found = {name: metrics.reliability(o.scored, o.labels) for name, o in several.items()}
    plots.draw_reliability(found, path)
    return path


def tradeoff(sources: list[str], out: Path | None) -> Path:
    """Draw accuracy against balanced accuracy and rare emotions as the answers are adjusted."""
    several = load_all(sources)
    path = out or _beside(sources[0], "tradeoff")
    found = {name: metrics.tradeoff(o.scored, o.labels) for name, o in several.items()}
    plots.draw_tradeoff(found, path)
    return path


def differences(sources: list[str], out: Path | None) -> Path:
    """Draw how far stored outputs are ahead of the first ones, with intervals of the difference."""
    (title, base), *others = load_all(sources).items()
    if not others:
        raise InputError("Name the predictions to compare with, and then one or more others.")
    path = out or _beside(sources[0], "differences")
    plots.draw_differences({name: differences_from(base, other) for name, other in others}, title, path)
    return path


def tsne(sources: list[str], out: Path | None) -> Path:
    """Draw a map of the stored embeddings; faces that were not found are left out."""
    outputs = load(sources[0])
    if outputs.embeddings is None:
        raise InputError(
            f"{sources[0]} holds no embeddings: read the data with `fer-space test --embeddings`."
        )
    answered = np.flatnonzero(outputs.answered)
    picks = answered[face_plots.stratified(outputs.labels[answered])]
    title = f"features of {outputs.about.title}: {len(picks):,} of {len(outputs):,} faces"
    path = out or _beside(sources[0], "tsne")
    points = face_plots.tsne_points(outputs.embeddings[picks])
    face_plots.draw_tsne(points, outputs.labels[picks], title, path)
    return path


def affect(sources: list[str], out: Path | None) -> Path:
    """Draw valence and arousal: the labels of a data set's train split, or stored answers against labels."""
    if ":" in sources[0]:
        faces = open_data(sources[0], "train")
        rated = np.zeros(len(faces), dtype=bool) if faces.affect is None else np.isfinite(faces.affect).all(1)
        if faces.affect is None or not rated.any():
            raise InputError(f"No face of {faces.name} train has valence and arousal.")
        path = out or Path(f"{faces.name}-affect.png")
        title = f"{faces.name} train: {rated.sum():,} faces with valence and arousal"
        face_plots.draw_affect(faces.affect[rated], faces.labels[rated], title, path)
        return path
    outputs = Outputs.load(Path(sources[0]))
    if outputs.affect_labels is None:
        raise InputError(f"{sources[0]} holds no labels of valence and arousal.")
    predicted, given = outputs.valence_arousal, outputs.affect_labels
    both = np.isfinite(predicted).all(axis=1) & np.isfinite(given).all(axis=1)
    if not both.any():
        raise InputError(f"{sources[0]} holds no face with valence and arousal, labelled and predicted.")
    path = out or _beside(sources[0], "affect")
    title = f"{outputs.about.title} ({outputs.affect_source})"
    face_plots.draw_agreement(predicted[both], given[both], outputs.labels[both], title, path)
    return path


def gallery(sources: list[str], out: Path | None) -> Path:
    """Draw faces that a model read well and badly, with their probabilities."""
    if len(sources) != 2 or ":" not in sources[1]:
        raise InputError("Name stored predictions, and then the KIND:PATH whose pictures they read.")
    outputs = load(sources[0])
    faces = open_data(sources[1], outputs.about.setting.split)
    path = out or _beside(sources[0], "gallery")
    face_plots.draw_sheet(face_plots.gallery_rows(outputs, faces), path)
    return path


def distribution(sources: list[str], out: Path | None) -> Path:
    """Draw a data set's emotions; by default beside its .csv, else into the current folder."""
    data = sources[0] if ":" in sources[0] else f"csv:{sources[0]}"
    name, counts = count_emotions(data)
    if not any(split.any() for split in counts.values()):
        raise InputError(f"{name} has valence and arousal alone: there are no emotions to draw.")
    (kind, place), *others = split_data(data)
    beside = kind == "csv" and not others
    path = out or (_beside(str(place), "distribution") if beside else Path(f"{name}-distribution.png"))
    face_plots.draw_distribution(counts, f"{name}: faces by emotion", path)
    return path


def augment(sources: list[str], out: Path | None) -> Path:
    """Draw every step of training on one face an emotion; by default into the current folder."""
    from fer_space.model import load_model
    from fer_space.training.config import TrainConfig
    from fer_space.training.data import LabelledPictures
    from fer_space.training.sheet import sheet_rows

    faces = open_data(sources[0], "valid")
    if not faces.labelled.any():
        raise InputError(f"{faces.name} has valence and arousal alone: there are no emotions to mix.")
    firsts = [int(np.flatnonzero(faces.labels == k)[0]) for k in np.unique(faces.labels[faces.labelled])]
    guide = load_model(TrainConfig.model_fields["guide"].default, device="cpu", runtime="torch")
    pictures = LabelledPictures.read(faces.select(firsts), guide.card.preprocess)
    path = out or Path(f"{faces.name}-augment.png")
    face_plots.draw_sheet(sheet_rows(pictures, guide), path)
    return path


def load(source: str) -> Outputs:
    """Load stored outputs; raises InputError for a file that holds none, or none of emotions."""
    outputs = Outputs.load(Path(source))
    if not outputs.has_emotions:
        raise InputError(f"{source} holds valence and arousal alone: there are no emotions to draw.")
    return outputs


def load_all(sources: Sequence[str]) -> dict[str, Outputs]:
    """Load stored outputs by title; raises InputError for a file that holds none."""
    several = [load(source) for source in sources]
    titles = told_apart([outputs.about.title for outputs in several], sources)
    return dict(zip(titles, several, strict=True))


def told_apart(titles: Sequence[str], sources: Sequence[str]) -> list[str]:
    """Give each title; those that several share are followed by where each comes from."""
    return [
        title if titles.count(title) == 1 else f"{title} ({source})"
        for title, source in zip(titles, sources, strict=True)
    ]


def _title(file: Path) -> str:
    """How a run is called: its folder's name for history.csv, else the file's."""
    return file.absolute().parent.name if file.name == "history.csv" else file.stem


def _beside(file: str, what: str) -> Path:
    path = Path(file)
    return path.with_name(f"{path.stem}-{what}.png")
