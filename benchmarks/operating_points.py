"""At which operating point should a page start? Three of them, on validation faces of three sets.

    fer-space test --backbone all --data ferplus:DIR+ckplus:DIR+diffusionfer:DIR --split valid --out stored
    for set in ferplus ckplus diffusionfer ckplus-peaks; do
        fer-space test --backbone all --data $set:DIR --split test --out stored; done
    python benchmarks/operating_points.py ferplus:DIR+ckplus:DIR+diffusionfer:DIR --predictions stored \\
        --table docs/operating-points.json
    python benchmarks/operating_points.py --table docs/operating-points.json    the tables again

The points: as measured; boosted, as far as each card says; and with the whole prior of FERPlus taken out,
every answer divided by the mean answer on FERPlus's validation faces. The sets: FERPlus, CK+ (posed, people
whom no network of this project saw) and DiffusionFER (synthetic, the part that no network of this project
learned from). Test faces choose nothing: on them the ensembles are measured at the first two points, and on
the last frame of every sequence of CK+ all models that learned from none of its people.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.backbones.specs import BACKBONES
from fer_space.card import WEIGHTS_DIR, paths_of, read_card, read_fits
from fer_space.data import open_data
from fer_space.distributions import Distributions, renormalise
from fer_space.errors import DataError
from fer_space.evaluation.ensemble import fitted_mean, plain_mean
from fer_space.evaluation.metrics import rates
from fer_space.evaluation.outputs import Outputs, today
from fer_space.evaluation.predict_dataset import boosted
from fer_space.files import write_text

POINTS = ("measured", "boosted", "without prior")
PLAIN = "plain mean"
SCORES = ("n", "accuracy", "accuracy_interval", "balanced_accuracy", "ece")
Point = dict[str, Any]


def measure(data: str, predictions: Path) -> dict[str, Any]:
    """Score stored answers of all shipped models at every point."""
    faces = open_data(data, "valid")
    assert faces.origins is not None, "the sets are joined"
    names = [member.name for member in faces.members]
    stored = {name: _load(predictions, name, faces.name, "valid") for name in BACKBONES}
    if any(outputs.files != faces.files for outputs in stored.values()):
        raise DataError(f"{predictions} holds answers to other faces than those of {data}.")
    priors = {
        name: np.nanmean(outputs.probabilities[faces.origins == 0], axis=0)
        for name, outputs in stored.items()
    }
    valid = {}
    for number, member in enumerate(faces.members):
        mine = {
            name: _select(outputs, faces.origins == number, member.classes)
            for name, outputs in stored.items()
        }
        valid[member.name] = _at_all_points(mine, priors, POINTS)
    test = {}
    for name in names:
        read = {model: _load(predictions, model, name, "test") for model in BACKBONES}
        scores = _at_all_points(read, priors, POINTS[:2])
        test[name] = {title: points for title, points in scores.items() if title not in BACKBONES}
    unseen = [name for name in BACKBONES if "ckplus" not in read_card(_card_path(name)).data.split("+")]
    posed = {name: _load(predictions, name, "ckplus-peaks", "test") for name in unseen}
    return {
        "command": f"python benchmarks/operating_points.py {'+'.join(f'{n}:DIR' for n in names)} "
        "--predictions DIR",
        "date": today().isoformat(),
        "valid": valid,
        "test": test,
        "unseen": {
            name: {point: _score(_moved(outputs, point, priors[name])) for point in POINTS}
            for name, outputs in posed.items()
        },
    }


def _card_path(name: str) -> Path:
    return paths_of(name, WEIGHTS_DIR)[1]


def _load(folder: Path, model: str, data: str, split: str) -> Outputs:
    outputs = Outputs.load(folder / f"{model}-{data}-{split}.parquet")
    about = outputs.about.model_copy(update={"sets": ()})  # what is joined is taken apart here
    bare = replace(outputs, about=about, origins=None, affect=None, affect_labels=None)
    return replace(bare, embeddings=None, near_duplicate=None)


def _select(outputs: Outputs, kept: NDArray[np.bool_], classes: tuple[str, ...]) -> Outputs:
    """The faces of one of the joined sets, which knows these emotions."""
    places = np.flatnonzero(kept)
    return replace(
        outputs,
        about=outputs.about.model_copy(update={"data_classes": classes}),
        files=tuple(outputs.files[i] for i in places),
        labels=outputs.labels[places],
        probabilities=outputs.probabilities[places],
    )


def _at_all_points(
    several: Mapping[str, Outputs], priors: Mapping[str, Distributions], points: Sequence[str]
) -> dict[str, dict[str, Point]]:
    """Score every model, the plain mean and the fitted ones."""
    scores: dict[str, dict[str, Point]] = {}
    for point in points:
        moved = [_moved(outputs, point, priors[name]) for name, outputs in several.items()]
        means = {PLAIN: plain_mean(moved)} | {fit.name: fitted_mean(moved, fit) for fit in read_fits()}
        for title, outputs in [*zip(several, moved, strict=True), *means.items()]:
            assert outputs is not None
            scores.setdefault(title, {})[point] = _score(outputs)
    return scores


def _score(outputs: Outputs) -> Point:
    found = rates(outputs.scored, outputs.labels).model_dump(mode="json")
    return {key: found[key] for key in SCORES}


def _moved(outputs: Outputs, point: str, prior: Distributions) -> Outputs:
    if point == "boosted":
        return boosted(outputs, read_card(_card_path(outputs.about.model)))
    if point == "without prior":
        return replace(outputs, probabilities=renormalise(outputs.probabilities / prior))
    return outputs


def points_table(record: Mapping[str, Any]) -> str:
    """Write accuracy and balanced accuracy of all points on the validation faces."""
    sets = record["valid"]
    head = ["validation, accuracy (balanced)"]
    head += [f"{name}, {next(iter(s.values()))[POINTS[0]]['n']:,} faces" for name, s in sets.items()]
    rows = []
    for title in next(iter(sets.values())):
        rows.append([title, *(_points(scores[title]) for scores in sets.values())])
    singles = [title for title in next(iter(sets.values())) if title in BACKBONES]
    mean = {name: _mean([scores[title] for title in singles]) for name, scores in sets.items()}
    rows.insert(len(singles), ["mean of the single models", *(_points(scores) for scores in mean.values())])
    return _grid(head, rows)


def unseen_table(record: Mapping[str, Any]) -> str:
    """Write what models that learned from no face of CK+ read on all of its people."""
    head = ["CK+48, 327 sequences", *(f"{point}, accuracy (balanced)" for point in POINTS)]
    rows = []
    for title, points in record["unseen"].items():
        both = [(points[point]["accuracy"], points[point]["balanced_accuracy"]) for point in POINTS]
        rows.append([title, *(f"{accuracy:.1%} ({balanced:.1%})" for accuracy, balanced in both)])
    return _grid(head, rows)


def ensembles_table(record: Mapping[str, Any]) -> str:
    """Write what the ensembles reach on the test faces."""
    head = ["test", "measured on", "faces", *(f"{point}, accuracy (95 % interval)" for point in POINTS[:2])]
    head += [f"balanced, {point}" for point in POINTS[:2]]
    rows = []
    for name, scores in record["test"].items():
        for title, points in scores.items():
            first, second = (points[point] for point in POINTS[:2])
            cells = [f"{p['accuracy']:.1%} ({_interval(p)})" for p in (first, second)]
            cells += [f"{p['balanced_accuracy']:.1%}" for p in (first, second)]
            rows.append([title, name, f"{first['n']:,}", *cells])
    return _grid(head, rows)


def _points(scores: Mapping[str, Point]) -> str:
    both = (
        " → ".join(f"{100 * scores[p][key]:.1f}" for p in POINTS) for key in ("accuracy", "balanced_accuracy")
    )
    return "{} ({})".format(*both)


def _mean(several: Sequence[Mapping[str, Point]]) -> dict[str, Point]:
    keys = ("accuracy", "balanced_accuracy")
    return {p: {key: float(np.mean([s[p][key] for s in several])) for key in keys} for p in POINTS}


def _interval(point: Point) -> str:
    low, high = point["accuracy_interval"]
    return f"{low:.1%} to {high:.1%}"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure into the file of the tables, or read it, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", metavar="KIND:PATH", help="the three sets, joined")
    parser.add_argument("--predictions", type=Path, metavar="DIR", help="stored answers, see above")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE", help="the figures as JSON")
    args = parser.parse_args(arguments)
    if args.data is not None:
        if args.predictions is None:
            parser.error("KIND:PATH needs --predictions DIR")
        write_text(args.table, json.dumps(measure(args.data, args.predictions), indent=1) + "\n")
    record = json.loads(args.table.read_text(encoding="utf-8"))
    print("\n\n".join(table(record) for table in (points_table, ensembles_table, unseen_table)))


if __name__ == "__main__":
    main()
