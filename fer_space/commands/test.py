"""`fer-space test`: measure models on a data set, or score stored outputs again.

fer-space test --backbone all,ensemble --data ferplus:DIR --split valid --weigh
fer-space test --backbone all,ensemble --data ferplus:DIR --out results
fer-space test results/*.parquet --summary docs
fer-space test --backbone all,ensemble --data ferplus:DIR --abstention --summary docs
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fer_space.backbones.specs import BACKBONES
from fer_space.card import Setting, write_fit
from fer_space.commands.options import add_boost_rare, add_device, add_runtime, backbone_names
from fer_space.data import open_data, split_data
from fer_space.data.faceset import SPLITS, FaceSet
from fer_space.data.taggers import open_tagged
from fer_space.detectors.specs import DETECTORS
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation import abstention, ensemble, report
from fer_space.evaluation.cost import costs_of, one_thread
from fer_space.evaluation.metrics import confusion
from fer_space.evaluation.outputs import Outputs, today
from fer_space.evaluation.plots import draw_confusion
from fer_space.evaluation.predict_dataset import near_duplicates, predict_dataset, setting_of
from fer_space.evaluation.recording import (
    command_of,
    describe,
    describe_affect,
    describe_fit,
    record,
    record_boost,
    record_calibration,
    record_of,
    scores_of,
)
from fer_space.files import write_text
from fer_space.memory import keep_freed_memory
from fer_space.model import Model
from fer_space.occlusion import OCCLUSIONS
from fer_space.registry import Registry

SPLIT = "test"  # that is read unless another is named

# Options that say how pictures are read: of no use where outputs are stored already.
OF_READING = (
    "backbone",
    "data",
    "split",
    "device",
    "detect",
    "occlude",
    "no_flip",
    "boost_rare",
    "calibrate",
    "fit_boost",
    "without_near_duplicates",
    "out",
    "embeddings",
    "record",
    "weigh",
)
# Of these, what --abstention, which reads all faces as they are, has no use for.
NOT_ABSTAINING = tuple(name for name in OF_READING if name not in ("backbone", "data", "split", "device"))
# What writes into cards.
OF_CARDS = ("calibrate", "fit_boost", "record")
# What measures or fits emotions.
OF_EMOTIONS = ("calibrate", "fit_boost", "record", "weigh", "summary")
# What --json said in version 0.1 is said under its old name too.
OLD_KEYS = {
    "boost_rare": "lift",
    "near_duplicates": "twins",
    "without_near_duplicates": "without_twins",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add = parser.add_argument
    add("stored", nargs="*", type=Path, metavar="FILE.parquet", help="score these again, without any model")
    add(
        "--backbone",
        metavar="A,B|all[,ensemble]",
        help="which backbones; ensemble: their mean too, and the fitted one if all its members are read",
    )
    add("--data", metavar="KIND:PATH", help="ferplus:DIR, diffusionfer:DIR, …")
    add("--split", choices=SPLITS, help=f"default: {SPLIT}")
    add("--detect", choices=DETECTORS, help="run the whole chain on whole pictures")
    add("--occlude", choices=OCCLUSIONS, help="occlude every face: by its landmarks, or as an average face")
    add("--no-flip", action="store_true", help="do not average each face with its mirror image")
    add_boost_rare(parser)
    add(
        "--calibrate",
        action="store_true",
        help="fit bias and temperature of the shipped networks of others, which no training here fitted, and "
        "write them into their cards; needs valid faces",
    )
    add(
        "--fit-boost",
        "--fit-lift",
        action="store_true",
        help="fit that point and write it into the cards; needs valid faces",
    )
    add(
        "--without-near-duplicates",
        "--without-twins",
        action="store_true",
        help="also score without near-duplicates of the train split",
    )
    add("--out", type=Path, metavar="DIR", help="write outputs (.parquet) and confusion (.png) here")
    add("--summary", type=Path, metavar="DIR", help="write results.json and pictures that compare them here")
    add("--embeddings", action="store_true", help="with --out: keep each face's features, for plot tsne")
    add("--record", action="store_true", help="write the result into the card of each shipped backbone")
    add(
        "--weigh",
        nargs="?",
        const="",
        metavar="NAME",
        help="with ensemble, of all shipped backbones and no other: fit how much each counts, and keep that "
        "under this name; without one under the data's",
    )
    add(
        "--abstention",
        action="store_true",
        help="ask instead how well faces without a label are told apart, and how models stand beside "
        "taggers; --summary keeps it as abstention.json",
    )
    add("--json", action="store_true", help="one JSON object a line instead of sentences")
    add_device(parser)
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    """Print one record a model, or one a stored file."""
    check(args)
    keep_freed_memory()
    if args.abstention:
        return abstain(args)
    several = []
    for outputs in map(Outputs.load, args.stored) if args.stored else read(args):
        several.append(replace(outputs, embeddings=None))
        path = None if args.out is None else outputs.save(args.out)
        if not outputs.has_emotions:
            text = _as_json(record_of(outputs)) if args.json else describe_affect(outputs)
            print(text, flush=True)
            continue
        if path is not None:
            counts = confusion(outputs.scored, outputs.labels)
            draw_confusion(counts, outputs.about.title, path.with_suffix(".png"))
        scores = scores_of(outputs)
        text = _as_json(record_of(outputs, scores)) if args.json else describe(outputs, scores)
        print(text, flush=True)
    if args.summary is not None:
        if not all(outputs.has_emotions for outputs in several):
            raise InputError("A summary compares emotions, and nobody named one in these data.")
        report.require_comparable(several)
        engine = Engine(device="cpu", runtime=args.runtime)
        shipped = [name for o in several if (name := o.about.model) in BACKBONES]
        with one_thread():
            costs = costs_of({name: _model(engine, name) for name in shipped if name in engine.backbones})
        summary = report.summarise(several, costs, _summary_command(args, several))
        report.write_summary(summary, args.summary)
        if not args.json:
            print(report.zoo_table(summary))
    return 0


def check(args: argparse.Namespace) -> None:
    """Raise InputError for options that cannot go together."""
    if args.stored:
        given = [f"--{name.replace('_', '-')}" for name in OF_READING if _given(args, name)]
        if given:
            raise InputError(f"Stored predictions are scored as they are: leave out {', '.join(given)}.")
    elif not (args.backbone and args.data):
        raise InputError("Name --backbone and --data, or files of stored predictions.")
    if args.weigh is not None and (args.split != "valid" or ensemble.ENSEMBLE not in _words(args.backbone)):
        raise InputError("--weigh fits an ensemble on faces for choices: add --split valid and ensemble.")
    for option in ("calibrate", "fit_boost"):
        if getattr(args, option) and (args.split != "valid" or args.boost_rare):
            raise InputError(
                f"--{option.replace('_', '-')} fits on faces for choices, as they are read: "
                "add --split valid, no --boost-rare."
            )
    given = [f"--{name.replace('_', '-')}" for name in NOT_ABSTAINING if _given(args, name)]
    if args.abstention and (given or args.stored or args.split not in (None, SPLIT)):
        what = ", ".join(given) or "stored files and --split"
        raise InputError(f"--abstention reads test faces as they are: leave out {what}.")
    if args.embeddings and args.out is None:
        raise InputError("--embeddings needs --out DIR to write them to.")
    if args.without_near_duplicates and args.split == "train":
        raise InputError("--without-near-duplicates compares with the train split: choose another --split.")


def _given(args: argparse.Namespace, name: str) -> bool:
    """Whether an option was given; --weigh without a name is, --device auto is not."""
    return getattr(args, name) not in (None, False, "auto")


def _writes(option: str, name: str) -> bool:
    """Whether an option that writes into cards has anything to write into that of a model."""
    return name in BACKBONES and (option != "calibrate" or BACKBONES[name].kind == "rival")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def read(args: argparse.Namespace) -> Iterator[Outputs]:
    """Read the data with every model that was asked for, ensembles last; record what is to be recorded."""
    engine = Engine(device=args.device, runtime=args.runtime)
    weights_dir = engine.registry.weights_dir
    names, together = chosen(args.backbone, engine.registry)
    if args.weigh is not None:
        require_all_shipped(names, engine.registry)
    for option in OF_CARDS:
        if getattr(args, option) and not any(_writes(option, name) for name in names):
            raise InputError(
                f"--{option.replace('_', '-')} writes into cards of "
                f"{'shipped networks of others' if option == 'calibrate' else 'shipped models'}, and none of "
                "these is named."
            )
    kinds = [kind for kind, _ in split_data(args.data)]
    faces = open_data(args.data, args.split or SPLIT)
    faces.say_dropped()
    faces = rated(faces, args)
    # By vote distributions more faces are trained on than by majority.
    train = open_data(args.data, "train", "cel") if args.without_near_duplicates else None
    near = None if train is None else near_duplicates(faces, train)
    setting = setting_of(
        faces,
        detector=args.detect,
        occlusion=args.occlude,
        flip=not args.no_flip,
        boost_rare=args.boost_rare,
    )
    models = [_model(engine, name) for name in names]  # a damaged one ends nothing that took hours
    members = []
    for name, model in zip(names, models, strict=True):
        outputs = predict_dataset(model, faces, setting, detect=engine.detect, embed=args.embeddings)
        outputs = replace(outputs, near_duplicate=near)
        if args.calibrate and _writes("calibrate", name):
            outputs = record_calibration(outputs, weights_dir)
        if args.fit_boost and _writes("fit_boost", name):
            record_boost(outputs, weights_dir)
        if args.record and _writes("record", name):
            record(outputs, kinds, weights_dir)
        members.append(outputs)
        yield outputs
    if not together:
        return
    if args.weigh is not None:
        options = ["--weigh", args.weigh] if args.weigh else ["--weigh"]
        command = command_of(args.backbone, setting, kinds, options)
        fit = ensemble.fit_shares(members, args.weigh or faces.name, command, faces.origins)
        write_fit(fit, weights_dir)
        if not args.json:
            print(describe_fit(fit))
    yield ensemble.plain_mean(members)
    for number, fit in enumerate(engine.fits):  # the page uses the first, and a summary shows it alone
        name = f"{ensemble.WEIGHTED}-{fit.name}" if number else ensemble.WEIGHTED
        weighted = ensemble.fitted_mean(members, fit, name)
        if weighted is not None and not (number and args.summary):
            yield weighted


def rated(faces: FaceSet, args: argparse.Namespace) -> FaceSet:
    """Leave out faces without an emotion, or none where nobody named one: then V/A alone are measured.

    Raises InputError for an option that needs emotions where there are none.
    """
    if not faces.labelled.any():
        given = [f"--{name.replace('_', '-')}" for name in OF_EMOTIONS if _given(args, name)]
        if given:
            raise InputError(f"{faces.name} has valence and arousal alone: leave out {', '.join(given)}.")
        return faces
    if count := int((~faces.labelled).sum()):
        print(f"{faces.name}: {count:,} faces without an emotion are left out", file=sys.stderr)
        return faces.select(np.flatnonzero(faces.labelled))
    return faces


def _model(engine: Engine, name: str) -> Model:
    """Load a model and, if the runtime is left to us, convert it: thousands of faces repay the seconds."""
    model = engine.model(name)
    if engine.runtime == "auto":
        model.compile()
    return model


def abstain(args: argparse.Namespace) -> int:
    """Print what each model's doubts are worth, those of all together last."""
    engine = Engine(device=args.device, runtime=args.runtime)
    names, joined = chosen(args.backbone, engine.registry)
    valid_faces, test_faces = (open_tagged(args.data, split) for split in ("valid", "test"))
    valid, test, records = [], [], {}
    for name in names:
        valid.append(abstention.read_signals(_model(engine, name), valid_faces))
        test.append(abstention.read_signals(engine.model(name), test_faces, valid[-1]))
        records[name] = abstention.measure(valid[-1], test[-1])
        _print_doubts(name, records[name], as_json=args.json)
    if joined:
        means: dict[str, tuple[float, ...]] = {ensemble.ENSEMBLE: ()}
        if engine.fits and (shares := engine.fits[0].shares_of(names)):
            means[ensemble.WEIGHTED] = shares
        for name, shares in means.items():
            both = abstention.together(valid, (), shares), abstention.together(test, valid, shares)
            records[name] = abstention.measure(*both)
            _print_doubts(name, records[name], as_json=args.json)
    if args.summary is not None:
        setting = Setting(data=test_faces.name, split=test_faces.split)
        kinds = [kind for kind, _ in split_data(args.data)]
        command = command_of(args.backbone, setting, kinds, ["--abstention", "--summary", "DIR"])
        stored = {"command": command, "date": today().isoformat(), "models": records}
        write_text(args.summary / "abstention.json", json.dumps(stored, indent=1) + "\n")
    return 0


def _print_doubts(name: str, measured: dict[str, Any], *, as_json: bool) -> None:
    print(
        json.dumps({"backbone": name, **measured}) if as_json else abstention.as_text(name, measured),
        flush=True,
    )


def chosen(text: str, registry: Registry) -> tuple[list[str], bool]:
    """Split "a,b", "all" or either with "ensemble" into names, and whether an ensemble was asked for.

    "ensemble" alone takes all models. Raises InputError when it would have fewer than two members.
    """
    words = _words(text)
    rest = ",".join(word for word in words if word != ensemble.ENSEMBLE)
    together = ensemble.ENSEMBLE in words
    names = backbone_names(rest or ("all" if together else ""), registry)
    if together:
        ensemble.require_two(names)
    return names, together


def require_all_shipped(names: Sequence[str], registry: Registry) -> None:
    """Raise InputError unless names are those of all shipped models that are here.

    The fit in the folder of weights is the one that everybody gets: shares that were fitted for some models,
    or beside models that others do not have, would be those of another ensemble.
    """
    shipped = [name for name in registry.names() if name in BACKBONES]
    if set(names) != set(shipped):
        asked = ",".join([*shipped, ensemble.ENSEMBLE])
        raise InputError(
            "--weigh fits the one ensemble of all shipped backbones, together and without any other: "
            f"name --backbone {asked}."
        )


def _as_json(written: dict[str, Any]) -> str:
    old = {OLD_KEYS[key]: value for key, value in written.items() if key in OLD_KEYS}
    return json.dumps({**written, **old}, ensure_ascii=False)


def _summary_command(args: argparse.Namespace, several: Sequence[Outputs]) -> str:
    if args.stored:
        return "fer-space test FILE.parquet … --summary DIR"
    options = ["--without-near-duplicates"] if args.without_near_duplicates else []
    kinds = [kind for kind, _ in split_data(args.data)]
    return command_of(args.backbone, several[0].about.setting, kinds, [*options, "--summary", "DIR"])
