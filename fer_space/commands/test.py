"""`fer-space test`: measure backbones on a data set, or score stored predictions again.

fer-space test --backbone all,ensemble --data ferplus:DIR --split valid --weigh
fer-space test --backbone all,ensemble --data ferplus:DIR --out results
fer-space test results/*.parquet --summary docs
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_space.backbones.specs import BACKBONES
from fer_space.commands.options import add_device, backbone_names
from fer_space.data import open_data, without_paths
from fer_space.data.faceset import SPLITS, FaceSet
from fer_space.detectors.specs import DETECTORS
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation import ensemble
from fer_space.evaluation.calibration import fit_lift
from fer_space.evaluation.metrics import confusion
from fer_space.evaluation.predictions import About, Predictions, today
from fer_space.evaluation.protocol import lifted, predict_set, twin_mask
from fer_space.evaluation.scoring import record_of
from fer_space.memory import keep_freed_memory
from fer_space.occlusion import OCCLUSIONS
from fer_space.weights import WEIGHTS_DIR, read_card, save_card

# Options that say how pictures are read: of no use where predictions are stored already.
OF_READING = (
    "backbone",
    "data",
    "detect",
    "occlude",
    "no_flip",
    "lift",
    "fit_lift",
    "without_twins",
    "out",
    "embeddings",
    "record",
    "weigh",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add = parser.add_argument
    add("stored", nargs="*", type=Path, metavar="FILE.parquet", help="score these again, without any model")
    add("--backbone", metavar="A,B|all[,ensemble]", help="which backbones; ensemble: their means as two more")
    add("--data", metavar="KIND:PATH", help="ferplus:DIR, diffusionfer:DIR, …")
    add("--split", default="test", choices=SPLITS)
    add("--detect", choices=DETECTORS, help="run the whole chain on whole pictures")
    add("--occlude", choices=OCCLUSIONS, help="cover every face: by its landmarks, or as an average face")
    add("--no-flip", action="store_true", help="do not average each face with its mirror image")
    add("--lift", action="store_true", help="lift rare emotions: the second operating point of each card")
    add(
        "--fit-lift",
        action="store_true",
        help="fit that point and write it into the cards; needs valid faces",
    )
    add("--without-twins", action="store_true", help="also score without near-duplicates of the train split")
    add("--out", type=Path, metavar="DIR", help="write predictions (.parquet) and confusion (.png) here")
    add("--summary", type=Path, metavar="DIR", help="write results.json and pictures that compare them here")
    add("--embeddings", action="store_true", help="with --out: keep each face's features, for plot tsne")
    add("--record", action="store_true", help="write the result into the card of each shipped backbone")
    add("--weigh", action="store_true", help="with ensemble: fit how much each counts, into their cards")
    add("--json", action="store_true", help="one JSON object a line instead of sentences")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print one record a backbone, or one a stored file."""
    check(args)
    keep_freed_memory()
    several = []
    for predictions in map(Predictions.load, args.stored) if args.stored else read(args):
        several.append(replace(predictions, embeddings=None))
        if args.out is not None:
            store(predictions, args.out)
        record = record_of(predictions)
        if args.record and predictions.about.backbone in BACKBONES:
            record_both(predictions, record, without_paths(args.data))
        text = json.dumps(record, ensure_ascii=False) if args.json else as_text(predictions.about, record)
        print(text, flush=True)
    if args.summary is not None:
        from fer_space.commands.summary import as_markdown, write_summary

        summary = write_summary(several, Engine(device="cpu"), args.summary, _summary_command(args, several))
        if not args.json:
            print(as_markdown(summary))
    return 0


def check(args: argparse.Namespace) -> None:
    """Raise InputError for options that cannot go together."""
    if args.stored:
        given = [f"--{name.replace('_', '-')}" for name in OF_READING if getattr(args, name)]
        if given:
            raise InputError(f"Stored predictions are scored as they are: leave out {', '.join(given)}.")
    elif not (args.backbone and args.data):
        raise InputError("Name --backbone and --data, or files of stored predictions.")
    if args.weigh and (args.split != "valid" or ensemble.NAME not in (args.backbone or "")):
        raise InputError("--weigh fits an ensemble on faces for choices: add --split valid and ensemble.")
    if args.fit_lift and (args.split != "valid" or args.lift):
        raise InputError(
            "--fit-lift fits on faces for choices, as they are read: add --split valid, no --lift."
        )
    if args.embeddings and args.out is None:
        raise InputError("--embeddings needs --out DIR to write them to.")
    if args.without_twins and args.split == "train":
        raise InputError("--without-twins compares with the train split: choose another --split.")


def read(args: argparse.Namespace) -> Iterator[Predictions]:
    """Read the data with every backbone that was asked for, and their ensembles last."""
    engine = Engine(device=args.device)
    faces = open_data(args.data, args.split)
    faces.say_dropped()
    names, together = chosen(args.backbone, engine.backbones)
    # By their vote distributions more faces of FERPlus are trained on than by majority.
    twin = twin_mask(faces, open_data(args.data, "train", "cel")) if args.without_twins else None
    members = []
    for name in names:
        predictions = _read_one(engine, name, faces, args)
        if args.fit_lift:
            record_lift(name, predictions)
        if args.lift:
            predictions = lifted(predictions, engine.card(name))
        members.append(replace(predictions, twin=twin))
        yield members[-1]
    if together:
        if args.weigh:
            record_weights(names, ensemble.fit_weights(members))
        yield ensemble.ensemble(members)
        yield ensemble.ensemble(members, [engine.card(name).weight for name in names])


def _read_one(engine: Engine, name: str, faces: FaceSet, args: argparse.Namespace) -> Predictions:
    card = engine.card(name)
    return predict_set(
        engine,
        card,
        faces,
        args.detect,
        occlusion=args.occlude,
        mirror=not args.no_flip,
        embed=args.embeddings,
    )


def chosen(text: str, present: tuple[str, ...]) -> tuple[list[str], bool]:
    """Names of the backbones in "a,b", "all" or either with "ensemble", and whether that was asked for.

    "ensemble" alone takes all backbones. Raises InputError when it would have fewer than two members.
    """
    words = [word.strip() for word in text.split(",")]
    rest = ",".join(word for word in words if word != ensemble.NAME)
    together = ensemble.NAME in words
    names = backbone_names(rest or ("all" if together else ""), present)
    if together:
        ensemble.require_two(names)
    return names, together


def store(predictions: Predictions, folder: Path) -> None:
    """Write predictions as .parquet and their confusion as .png, both named by `About.stem`."""
    from fer_space.evaluation.plots import draw_confusion

    path = predictions.save(folder)
    counts = confusion(predictions.scored, predictions.labels)
    draw_confusion(counts, predictions.about.title, path.with_suffix(".png"))


def as_text(about: About, record: dict[str, Any]) -> str:
    """One line for a person, and one more for each thing that needs to be said."""
    return "\n  ".join([f"{about.title}: {_figures(record)}", *_remarks(record)])


def _figures(scores: dict[str, Any]) -> str:
    low, high = scores["accuracy_interval"]
    return (
        f"accuracy {scores['accuracy']:.2%} ({low:.1%} to {high:.1%}), "
        f"balanced {scores['balanced_accuracy']:.1%}, macro-F1 {scores['macro_f1']:.1%}, "
        f"ECE {scores['ece']:.1%}, n = {scores['n']}"
    )


def _remarks(record: dict[str, Any]) -> Iterator[str]:
    if "undetected" in record:
        yield f"no face found in {record['undetected']}, which count as wrong"
    if "members" in record:
        bits = record["disagreement"]
        apart = "" if bits is None else f"; disagreement {bits:.3f} bits"
        yield f"mean of {', '.join(record['members'])}{apart}"
    if record["absent_from_data"]:
        yield f"not in the data, dropped and the rest rescaled: {', '.join(record['absent_from_data'])}"
    if record["absent_from_model"]:
        shared = record["accuracy_on_shared"]
        figure = "none left" if shared is None else f"{shared:.2%} of {record['n_shared']}"
        yield (
            f"not in the model, counted as wrong: {', '.join(record['absent_from_model'])}; "
            f"without their faces: {figure}"
        )
    if "twins" in record:
        rest = record["without_twins"]
        figures = _figures(rest) if rest else "none left"
        yield f"without near-duplicates of train faces ({record['twins']}): {figures}"
    if "affect" in record:
        yield _affect(record["affect"])


def _affect(affect: dict[str, Any]) -> str:
    def written(name: str) -> str:
        figures = (f"{k.upper()} {'undefined' if v is None else f'{v:.3f}'}" for k, v in affect[name].items())
        return f"{name} {', '.join(figures)}"

    return f"{written('valence')}; {written('arousal')} ({affect['source']}, n = {affect['n']})"


def record_weights(names: Sequence[str], weights: Sequence[float], folder: Path = WEIGHTS_DIR) -> None:
    """Put into each shipped backbone's card how much it counts in the weighted mean."""
    for name, weight in zip(names, weights, strict=True):
        if name in BACKBONES:
            save_card(replace(read_card(name, folder), weight=round(weight, 4)), folder)


def record_lift(name: str, predictions: Predictions, folder: Path = WEIGHTS_DIR) -> None:
    """Fit the second operating point of a shipped backbone on its answers and put it into the card."""
    if name not in BACKBONES:
        return
    card = read_card(name, folder)
    columns = [EMOTIONS.index(label) for label in card.labels]
    labels = np.array(card.places)[predictions.labels]
    known = (labels >= 0) & predictions.answered
    rows = torch.from_numpy(predictions.probabilities[known][:, columns])
    lift = fit_lift(rows, torch.from_numpy(labels[known])).tolist()
    save_card(replace(card, lift=tuple(round(value, 4) for value in lift)), folder)


def record_both(
    predictions: Predictions, record: dict[str, Any], source: str, folder: Path = WEIGHTS_DIR
) -> None:
    """Put a measurement into the card and, if the faces were free, that of its second operating point."""
    about = predictions.about
    record_result(about, record, source, folder)
    card = read_card(about.backbone, folder)
    if card.lift and not about.lift and not about.occlusion:
        other = lifted(predictions, card)
        record_result(other.about, record_of(other), source, folder)


def record_result(about: About, record: dict[str, Any], source: str, folder: Path = WEIGHTS_DIR) -> None:
    """Put a measurement into the card, with the command that repeats it and the date.

    `source` is the data as that command names it, its paths left out.
    """
    card = read_card(about.backbone, folder)
    command = command_of(about, about.backbone, source, twins="twins" in record)
    kept = {key: value for key, value in record.items() if key not in ("backbone", "data", "split")}
    kept |= {"command": command, "date": today()}
    save_card(replace(card, results={**card.results, about.setting: kept}), folder)


def command_of(about: About, backbone: str, source: str, *, twins: bool) -> str:
    """The command line that reads as `about` says; `source` is the data without its paths."""
    words = [f"fer-space test --backbone {backbone} --data {source} --split {about.split}"]
    words += [f"--detect {about.detector}"] if about.detector else []
    words += [f"--occlude {about.occlusion}"] if about.occlusion else []
    words += [] if about.flip else ["--no-flip"]
    words += ["--lift"] if about.lift else []
    return " ".join(words + (["--without-twins"] if twins else []))


def _summary_command(args: argparse.Namespace, several: Sequence[Predictions]) -> str:
    if args.stored:
        return "fer-space test FILE.parquet … --summary DIR"
    about, twins = several[0].about, args.without_twins
    return command_of(about, args.backbone, without_paths(args.data), twins=twins) + " --summary DIR"
