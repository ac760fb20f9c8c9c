"""How well does a jointly trained network read posed faces of people whom it never saw? CK+48 in five folds.

    fer-space train --backbone mobilenet_v1_faces --data ferplus:DIR+diffusionfer:DIR --out runs/base …
    python benchmarks/ckplus_folds.py ckplus:DIR ferplus:DIR --base runs/base --out runs/folds \\
        --table docs/ckplus-folds.json
    python benchmarks/ckplus_folds.py --table docs/ckplus-folds.json     the table again, without a training

Every one of the 327 sequences is scored once, by its last frame, by a network that saw nobody of its fold: a
hash of the person's name makes the folds. The base never saw CK+, and its own figure stands in the first row.
From it each fold starts: one short pass over the CK+ faces of the other four folds, each shown three times,
and over as many FERPlus training faces as keep the network from forgetting those. No epoch is chosen: the
averaged weights after the last step count, without bias or temperature. Finished folds are kept in --out, so
that a second call continues.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fer_space.backbones.base import Backbone
from fer_space.data import open_data, split_data
from fer_space.data.ckplus import collect_ckplus, collect_peaks
from fer_space.data.collection import hash_share
from fer_space.data.faceset import FaceSet
from fer_space.distributions import restrict
from fer_space.emotions import EMOTIONS
from fer_space.evaluation.metrics import rates
from fer_space.evaluation.outputs import today
from fer_space.files import write_text
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.finish import finished_network, logits_of
from fer_space.training.folds import Fold
from fer_space.training.initialise import preprocess_for, start_of
from fer_space.training.parallel import run_workers
from fer_space.training.recipe import Recipe
from fer_space.training.trainer import BEST, Task, open_run
from fer_space.vision.preprocess import Preprocess

FOLDS = 5
SHOWN = 3  # times a face of CK+ in an epoch
OTHERS = 1000  # faces of FERPlus in an epoch
HEAD = ("measured on CK+48, one frame a sequence", "faces", "accuracy", "balanced")


def fold_config(data: str, base: Path) -> TrainConfig:
    """Continue the base's recipe for one short epoch at a lower rate."""
    started = TrainConfig.from_dict(json.loads((base / "config.json").read_text(encoding="utf-8")))
    return started.changed(
        data=data,
        sampling="",
        epochs=1,
        batch_size=32,
        early_size=0,
        early_epochs=0,
        lr_body=3e-4,
        lr_head=1e-3,
        warmup=0.1,
        ema_decay=0.95,
        init=str(base / BEST),
    )


def read_logits(network: Backbone, preprocess: Preprocess, pictures: torch.Tensor) -> NDArray[np.float32]:
    """Read logits float32 (N, 8) of pictures."""
    return logits_of(network, preprocess, pictures).numpy()


def fold_of(faces: FaceSet) -> NDArray[np.int64]:
    """Number the fold of each face by the hash of the person's name, int64 (N,)."""
    assert faces.subjects is not None
    return np.array([hash_share(f"fold of {subject}", FOLDS) for subject in faces.subjects])


def measure(ckplus: str, ferplus: str, base: Path, out: Path) -> dict[str, Any]:
    """Train the folds that are not finished, and score base and folds on the same faces."""
    config = fold_config(f"{ckplus}+{ferplus}", base)
    preprocess = preprocess_for(config)
    ((_, folder),) = split_data(ckplus)
    peaks = collect_peaks(folder).faces("test")
    frames = replace(collect_ckplus(folder), train_is_all=True).faces("train")
    mine, theirs = fold_of(peaks), fold_of(frames)
    held_out, taught = (LabelledPictures.read(faces, preprocess) for faces in (peaks, frames))
    others = open_data(ferplus, "train", config.target)
    logits = np.full((len(peaks), len(EMOTIONS)), np.nan)
    for number in range(FOLDS):
        run = out / f"fold-{number}"
        own = config.changed(seed=number)
        open_run(own, run, resume=True)  # refuses what another config left there
        if not (run / "logits.npy").is_file():
            some = np.random.default_rng(number).choice(len(others), min(OTHERS, len(others)), replace=False)
            beside = LabelledPictures.read(others.select(sorted(map(int, some))), preprocess)
            posed = taught.select(theirs != number)
            network, recipe = start_of(own).network, Recipe.of(own)
            few = beside.select(np.arange(len(beside)) < own.batch_size)  # no epoch is chosen by them
            shown = LabelledPictures.joined([*[posed] * SHOWN, beside])
            task = Task(own, network, recipe, shown, few, run, resume=True)
            fold = Fold(task, held_out.select(mine == number), read_logits, "logits.npy")
            run_workers(fold, own.processes, torch.device("cpu"))
        logits[mine == number] = np.load(run / "logits.npy")
    network = finished_network(config, list(range(len(EMOTIONS))), base)
    before = read_logits(network, preprocess, held_out.pictures)
    everyday = LabelledPictures.read(open_data(ferplus, "valid"), preprocess)
    prior = logits_of(network, preprocess, everyday.pictures).double().softmax(dim=1).mean(dim=0)
    return {
        "command": "python benchmarks/ckplus_folds.py ckplus:DIR ferplus:DIR --base RUN --out DIR",
        "date": today().isoformat(),
        "people": len(set(peaks.subjects or ())),
        "base": _scores(before, peaks),
        "base_without_prior": _scores(before - prior.log().numpy(), peaks),
        "folds": [_scores(logits[mine == k], peaks.select(np.flatnonzero(mine == k))) for k in range(FOLDS)],
        "together": _scores(logits, peaks),
    }


def _scores(logits: NDArray[np.floating[Any]], faces: FaceSet) -> dict[str, Any]:
    """Score logits (N, 8) among the emotions that the set knows."""
    rows = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    found = rates(restrict(rows, faces.classes), faces.labels)
    kept = ("n", "accuracy", "accuracy_interval", "balanced_accuracy", "per_class")
    return {key: value for key, value in found.model_dump(mode="json").items() if key in kept}


def markdown(record: Mapping[str, Any]) -> str:
    """Write the table of the docs."""
    rows = [_row("the base, which never saw CK+", record["base"])]
    rows.append(_row("the same, FERPlus's prior taken out", record["base_without_prior"]))
    rows += [_row(f"fold {k}", fold) for k, fold in enumerate(record["folds"], start=1)]
    mean = {key: float(np.mean([fold[key] for fold in record["folds"]])) for key in ("accuracy",)}
    together = record["together"]
    rows.append(_row("all folds, every face once", together))
    rows.append(f"| mean of the five folds | | **{mean['accuracy']:.1%}** | |")
    return "\n".join([f"| {' | '.join(HEAD)} |", "|---|---:|---:|---:|", *rows])


def _row(title: str, scores: Mapping[str, Any]) -> str:
    low, high = scores["accuracy_interval"]
    accuracy = f"{scores['accuracy']:.1%} ({low:.1%} to {high:.1%})"
    return f"| {title} | {scores['n']} | {accuracy} | {scores['balanced_accuracy']:.1%} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure into the file of the table, or read it, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="*", metavar="KIND:PATH", help="ckplus:DIR, then ferplus:DIR")
    parser.add_argument("--base", type=Path, metavar="RUN", help="a run that never saw CK+")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where finished folds are kept")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE", help="the figures as JSON")
    args = parser.parse_args(arguments)
    if args.data:
        if len(args.data) != 2 or args.base is None or args.out is None:
            parser.error("name ckplus:DIR, ferplus:DIR, --base and --out")
        record = measure(args.data[0], args.data[1], args.base, args.out)
        write_text(args.table, json.dumps(record, indent=1) + "\n")
    print(markdown(json.loads(args.table.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
