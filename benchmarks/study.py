"""Controlled comparisons: trainings that differ in one option each, most with three seeds.

    python benchmarks/study.py train recipe ferplus:DIR runs/study --starts DIR   hours; resumes
    python benchmarks/study.py report recipe ferplus:DIR runs/study               validation results so far
    python benchmarks/study.py report recipe ferplus:DIR runs/study --test --out docs     once, at the end

All runs of a study have the same network, pictures and epochs; only the options in its changes differ, and
the seed. A run's epoch is chosen on the validation split, and so is what follows for the recipe. `report`
stores every run's predictions in RUNS/predictions and prints the table of the changes that all seeds have
finished; with --out it writes them as JSON too, and the pictures of the study of recipes.
"""

import argparse
import itertools
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from fer_space.card import read_card
from fer_space.data import open_data
from fer_space.evaluation.metrics import Difference, over_seeds, rates, tradeoff
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.plots import RARE, draw_differences, draw_tradeoff
from fer_space.evaluation.predict_dataset import predict_dataset
from fer_space.evaluation.report import differences_from
from fer_space.external.user import UserFiles
from fer_space.files import write_text
from fer_space.model import Model
from fer_space.registry import UserModel
from fer_space.training.config import TrainConfig
from fer_space.training.trainer import Trainer

Changes = Mapping[str, Mapping[str, Any]]

BASE = "none"
COST = "cpu_seconds"  # a file in the folder of a run
SEEDS = (0, 1, 2)
RECIPES: Changes = {
    BASE: {},
    "Adam": {"optimizer": "adam", "weight_decay": 5e-4},
    "SGD at .01": {"optimizer": "sgd", "weight_decay": 5e-4, "lr_body": 0.01, "lr_head": 0.02},
    "SGD at .05": {"optimizer": "sgd", "weight_decay": 5e-4, "lr_body": 0.05, "lr_head": 0.1},
    "weighted, inverse": {"class_weights": "inverse"},
    "weighted, learned": {"class_weights": "dynamic"},
    "up-sampling": {"imbalance": "oversample", "rebalance_limit": 500},
    "down-sampling, 9 epochs": {"imbalance": "undersample", "epochs": 9},
    "majority": {"target": "majority"},
    "PLD": {"target": "pld"},
    "multi-label": {"target": "multi"},
    "mixup": {"mix": "mixup"},
    "CutMix": {"mix": "cutmix"},
    "SnapMix": {"mix": "snapmix"},
    "Attentive CutMix": {"mix": "attentive-cutmix"},
    "sqrt sampling": {"imbalance": "sqrt"},
    "balanced sampling": {"imbalance": "balanced"},
    "LDAM": {"loss": "ldam"},
    "logit-adjusted": {"loss": "logit-adjusted"},
    "logit-adjusted .5": {"loss": "logit-adjusted", "tau": 0.5},
    "focal": {"loss": "focal"},
    "masks": {"mask": 0.3},
    "FER-2013 label .4": {"second_label": 0.4},
}
SIDES: Changes = {
    BASE: {},
    "SAM": {"sam": 0.05},
    "96 px": {"size": 96},
    "112 px": {"size": 112},
    "128 px": {"size": 128},
}
# Of each kind that lifts rare emotions, one or two, and the run without a change.
CURVES = (BASE, "sqrt sampling", "balanced sampling", "logit-adjusted", "LDAM", "FER-2013 label .4")


@dataclass(frozen=True)
class Study:
    """What is compared, and with which network.

    Attributes:
        changes: options by name of the change; the first has none.
        backbone: the network, which starts from face recognition.
        start: KIND:DIR of `--init`, with the folder to be filled in.
        file: name of the JSON that a report writes.
        seeds: of the runs of every change.
        curves: changes whose trade-off between accuracy and balanced accuracy is drawn, if any.
    """

    changes: Changes
    backbone: str
    start: str
    file: str
    seeds: tuple[int, ...] = SEEDS
    curves: tuple[str, ...] = ()

    def base(self, data: str, starts: str) -> TrainConfig:
        """Give the budget that every run has: 4,000 faces at 64 px, three epochs."""
        return TrainConfig(
            backbone=self.backbone,
            data=data,
            init=self.start.format(starts),
            epochs=3,
            size=64,
            limit=4_000,
            lr_body=1e-3,
            lr_head=3e-3,
            ema_decay=0.98,
        )


STUDIES = {
    "recipe": Study(RECIPES, "mobilenet_v1_faces", "hse:{}", "study.json", curves=CURVES),
    "sides": Study(SIDES, "mobilenet_v1_faces", "hse:{}", "study-sides.json"),
    "sides-resnet29": Study(SIDES, "resnet29_faces", "dlib:{}", "study-sides-resnet29.json", seeds=SEEDS[:1]),
}


def folder_of(name: str, seed: int, runs: Path) -> Path:
    """Name the folder of a run."""
    return runs / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-seed-{seed}"


def is_finished(name: str, seed: int, runs: Path) -> bool:
    """Whether a run has ended."""
    return (folder_of(name, seed, runs) / "card.json").is_file()


def train_all(study: Study, data: str, starts: str, runs: Path) -> None:
    """Train what is not finished yet, change after change, and note what each took of a processor."""
    for (name, change), seed in itertools.product(study.changes.items(), study.seeds):
        run = folder_of(name, seed, runs)
        if not is_finished(name, seed, runs):
            before, whole = time.process_time(), not run.exists()
            Trainer(study.base(data, starts).changed(**change, seed=seed), run, resume=True).run()
            if whole:
                write_text(run / COST, f"{time.process_time() - before:.1f}\n")


def as_trained(name: str, folder: Path) -> Model:
    """Load what a run left, without the bias and the temperature that were fitted afterwards."""
    files = UserFiles(name, folder / "card.json", folder / "best.safetensors")
    card = read_card(files.card)
    plain = {"name": name, "bias": (0.0,) * len(card.labels), "temperature": 1.0}
    return Model(card.model_copy(update=plain), UserModel(name, name, "", "user", files).build())


def read_all(study: Study, data: str, runs: Path, split: str) -> dict[str, list[Outputs]]:
    """Give what the runs of every change say of a split, a seed each; read once, then kept."""
    folder, faces = runs / "predictions", open_data(data, split)
    found: dict[str, list[Outputs]] = {}
    for name in study.changes:
        if not all(is_finished(name, seed, runs) for seed in study.seeds):
            continue
        found[name] = []
        for seed in study.seeds:
            run = folder_of(name, seed, runs)
            stored = folder / f"{run.name}-{faces.name}-{split}.parquet"
            if not stored.is_file():
                predict_dataset(as_trained(run.name, run), faces).save(folder)
            found[name].append(Outputs.load(stored))
    return found


def ahead_of_base(found: Mapping[str, Sequence[Outputs]]) -> dict[str, dict[str, Difference]]:
    """Measure how far every other change is ahead of none, with what faces and seeds leave open."""
    ahead = {
        name: [differences_from(base, run) for base, run in zip(found[BASE], runs, strict=True)]
        for name, runs in found.items()
        if name != BASE
    }
    if len(found[BASE]) == 1:
        return {name: only for name, (only,) in ahead.items()}
    return over_seeds(ahead)


def costs_of(study: Study, runs: Path) -> dict[str, float]:
    """Give the seconds of a processor that a run of each change took, the median of those that were noted."""
    costs = {}
    for name in study.changes:
        notes = [folder_of(name, seed, runs) / COST for seed in study.seeds]
        if noted := [float(note.read_text(encoding="utf-8")) for note in notes if note.is_file()]:
            costs[name] = median(noted)
    return costs


def records_of(
    found: Mapping[str, Sequence[Outputs]], costs: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Score every change: means over its seeds, how far it is ahead of none, and what it costs beside it."""
    ahead = ahead_of_base(found)
    records = {}
    for name, runs in found.items():
        scored = [rates(outputs.scored, outputs.labels) for outputs in runs]
        records[name] = {
            "n": len(runs[0].labels),
            "accuracy": fmean(rate.accuracy for rate in scored),
            "accuracies": [rate.accuracy for rate in scored],
            "balanced_accuracy": fmean(rate.balanced_accuracy for rate in scored),
            "macro_f1": fmean(rate.macro_f1 for rate in scored),
            "per_class": {emotion: fmean(rate.per_class[emotion] for rate in scored) for emotion in RARE},
            "ahead": {measure: list(difference) for measure, difference in ahead.get(name, {}).items()},
            "date": max(str(outputs.about.date) for outputs in runs),
        }
        if name in costs and BASE in costs:
            records[name]["cost"] = round(costs[name] / costs[BASE], 2)
    return records


def markdown(records: Mapping[str, dict[str, Any]]) -> str:
    """Write the table of one split."""
    head = [
        "change",
        "accuracy (of the seeds)",
        "against none",
        "balanced",
        "against none",
        "macro-F1",
        *RARE,
    ]
    priced = all("cost" in record for record in records.values())
    if priced:
        head.append("cost")
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name, record in records.items():
        low, high = min(record["accuracies"]), max(record["accuracies"])
        cells = [
            name,
            f"{record['accuracy']:.1%} ({low:.1%} to {high:.1%})",
            _ahead(record, "accuracy"),
            f"{record['balanced_accuracy']:.1%}",
            _ahead(record, "balanced_accuracy"),
            f"{record['macro_f1']:.1%}",
            *(f"{record['per_class'][emotion]:.0%}" for emotion in RARE),
        ]
        if priced:
            cells.append(f"{record['cost']:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ahead(record: Mapping[str, Any], measure: str) -> str:
    """Points ahead of none, bold where the interval does not hold 0; nothing for none itself."""
    if measure not in record["ahead"]:
        return ""
    value, low, high = (100.0 * number for number in record["ahead"][measure])
    text = f"{value:+.1f}"
    return f"{f'**{text}**' if low > 0.0 or high < 0.0 else text} ({low:+.1f} to {high:+.1f})"


def draw(study: Study, found: Mapping[str, Sequence[Outputs]], out: Path) -> None:
    """Draw the two pictures of a study."""
    draw_differences(ahead_of_base(found), BASE, out / "study-differences.png")
    curves = {}
    for name in study.curves:
        if runs := found.get(name):
            answers = np.concatenate([outputs.scored for outputs in runs])
            curves[name] = tradeoff(answers, np.concatenate([outputs.labels for outputs in runs]))
    draw_tradeoff(curves, out / "study-tradeoff.png")


def report(study: Study, data: str, runs: Path, *, test: bool, out: Path | None) -> None:
    """Print the tables, and write the results of all splits and the pictures of the last into `out`."""
    results: dict[str, dict[str, Any]] = {}
    found: dict[str, list[Outputs]] = {}
    costs = costs_of(study, runs)
    for split in ("valid", "test") if test else ("valid",):
        found = read_all(study, data, runs, split)
        results[split] = records_of(found, costs)
        print(f"\n{split}\n\n{markdown(results[split])}", flush=True)
    if out is not None:
        budget = study.base("ferplus:DIR", "DIR").to_dict()
        summary = {"budget": budget, "seeds": study.seeds, "changes": study.changes, "results": results}
        write_text(out / study.file, json.dumps(summary, indent=1) + "\n")
        if study.curves:
            draw(study, found, out)


def main() -> None:
    """Train, or report what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "report"):
        command = commands.add_parser(name)
        command.add_argument("study", choices=STUDIES)
        command.add_argument("data", metavar="KIND:PATH")
        command.add_argument("runs", type=Path)
        if name == "train":
            command.add_argument("--starts", required=True, metavar="DIR", help="of face-recognition weights")
        else:
            command.add_argument(
                "--test", action="store_true", help="read the test split too: once, at the end"
            )
            command.add_argument("--out", type=Path, metavar="DIR", help="for the JSON and the pictures")
    args = parser.parse_args()
    if args.command == "train":
        train_all(STUDIES[args.study], args.data, args.starts, args.runs)
    else:
        report(STUDIES[args.study], args.data, args.runs, test=args.test, out=args.out)


if __name__ == "__main__":
    main()
