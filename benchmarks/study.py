"""The controlled comparison of mixing, targets, losses and sampling: one small budget, one change at a time.

    python benchmarks/study.py train ferplus:DIR runs/study             hours; continues where it stopped
    python benchmarks/study.py report ferplus:DIR runs/study            validation results so far
    python benchmarks/study.py report ferplus:DIR runs/study --test --out docs       once, at the end

Every run has the same seed, pictures, steps and size; only the options in `CHANGES` differ. A run's epoch is
chosen on the validation split, and so is what follows for the recipe. `report` stores every run's predictions
in RUNS/predictions and prints the table; with --out it writes study.json, study-differences.png and
study-tradeoff.png too.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_space.card import read_card
from fer_space.data import open_data
from fer_space.evaluation.metrics import rates, tradeoff
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.plots import RARE, draw_differences, draw_tradeoff
from fer_space.evaluation.predict_dataset import predict_dataset
from fer_space.evaluation.report import differences_from
from fer_space.external.user import UserFiles
from fer_space.files import write_text
from fer_space.model import Model
from fer_space.registry import UserModel, file_name_of
from fer_space.training.config import TrainConfig
from fer_space.training.trainer import Trainer

BASE = "none"
CHANGES: dict[str, dict[str, Any]] = {
    BASE: {},
    "mixup": {"mix": "mixup"},
    "CutMix": {"mix": "cutmix"},
    "SnapMix": {"mix": "snapmix"},
    "Attentive CutMix": {"mix": "attentive-cutmix"},
    "masks": {"mask": 0.3},
    "majority": {"target": "majority"},
    "PLD": {"target": "pld"},
    "multi-label": {"target": "multi"},
    "weighted, inverse": {"class_weights": "inverse"},
    "weighted, effective": {"class_weights": "effective"},
    "focal": {"loss": "focal"},
    "LDAM-DRW": {"loss": "ldam", "class_weights": "effective", "defer": 0.8},
    "logit-adjusted": {"loss": "logit-adjusted"},
    "FER-2013 label .4": {"second_label": 0.4},
    "none, another seed": {"seed": 1},
    "sqrt sampling": {"imbalance": "sqrt"},
    "weighted, dynamic": {"class_weights": "dynamic"},
    "balanced sampling": {"imbalance": "balanced"},
    "logit-adjusted .5": {"loss": "logit-adjusted", "tau": 0.5},
}
# One of each kind that lifts rare emotions on the validation split, and the run without a change.
CURVES = (BASE, "sqrt sampling", "balanced sampling", "logit-adjusted", "LDAM-DRW", "FER-2013 label .4")


def base_config(data: str) -> TrainConfig:
    """Give the budget that every run has: 10,000 training faces at 64 px, five epochs."""
    return TrainConfig(
        backbone="efficientnet_lite0", data=data, epochs=5, size=64, limit=10_000, ema_decay=0.99, processes=2
    )


def folder_of(name: str, runs: Path) -> Path:
    """Name the folder of a run."""
    return runs / name.lower().replace(" ", "-").replace(",", "").replace(".", "")


def train_all(data: str, runs: Path) -> None:
    """Train what is not finished yet, in the order of `CHANGES`."""
    for name, change in CHANGES.items():
        if not (folder_of(name, runs) / "card.json").is_file():
            Trainer(base_config(data).changed(**change), folder_of(name, runs), resume=True).run()


def as_trained(name: str, folder: Path) -> Model:
    """Load what a run left, without the bias and the temperature that were fitted afterwards."""
    files = UserFiles(name, folder / "card.json", folder / "best.safetensors")
    card = read_card(files.card)
    plain = {"name": name, "bias": (0.0,) * len(card.labels), "temperature": 1.0}
    return Model(card.model_copy(update=plain), UserModel(name, name, "", "user", files).build())


def read_all(data: str, runs: Path, split: str) -> dict[str, Outputs]:
    """Give what every finished run says of a split; read once, then kept in RUNS/predictions."""
    folder, faces, found = runs / "predictions", open_data(data, split), {}
    finished = [name for name in CHANGES if (folder_of(name, runs) / "card.json").is_file()]
    for name in finished:
        stored = folder / f"{file_name_of(name)}-{faces.name}-{split}.parquet"
        if not stored.is_file():
            predict_dataset(as_trained(name, folder_of(name, runs)), faces).save(folder)
        found[name] = Outputs.load(stored)
    return found


def records_of(found: Mapping[str, Outputs]) -> dict[str, dict[str, Any]]:
    """Score every run, and how far it is ahead of the one without a change."""
    return {
        name: {
            **rates(outputs.scored, outputs.labels).model_dump(mode="json"),
            "ahead": {k: list(v) for k, v in differences_from(found[BASE], outputs).items()},
            "date": str(outputs.about.date),
        }
        for name, outputs in found.items()
    }


def markdown(records: Mapping[str, dict[str, Any]]) -> str:
    """Write the table of one split."""
    head = ["change", "accuracy", "against none", "balanced", "against none", "macro-F1", *RARE]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name, record in records.items():
        low, high = record["accuracy_interval"]
        cells = [
            name,
            f"{record['accuracy']:.1%} ({low:.1%} to {high:.1%})",
            _ahead(record, "accuracy"),
            f"{record['balanced_accuracy']:.1%}",
            _ahead(record, "balanced_accuracy"),
            f"{record['macro_f1']:.1%}",
            *(f"{record['per_class'][emotion]:.0%}" for emotion in RARE),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ahead(record: Mapping[str, Any], measure: str) -> str:
    """Points ahead of the run without a change; bold where the interval does not hold 0."""
    value, low, high = (100.0 * number for number in record["ahead"][measure])
    text = f"{value:+.1f}"
    return f"{f'**{text}**' if low > 0.0 or high < 0.0 else text} ({low:+.1f} to {high:+.1f})"


def draw(found: Mapping[str, Outputs], out: Path) -> None:
    """Draw the two pictures of the study."""
    others = {name: outputs for name, outputs in found.items() if name != BASE}
    ahead = {name: differences_from(found[BASE], outputs) for name, outputs in others.items()}
    draw_differences(ahead, BASE, out / "study-differences.png")
    curves = {name: tradeoff(found[name].scored, found[name].labels) for name in CURVES if name in found}
    draw_tradeoff(curves, out / "study-tradeoff.png")


def report(data: str, runs: Path, *, test: bool, out: Path | None) -> None:
    """Print the tables, and write the results and pictures of the last split into `out`."""
    results: dict[str, dict[str, Any]] = {}
    found: dict[str, Outputs] = {}
    for split in ("valid", "test") if test else ("valid",):
        found = read_all(data, runs, split)
        results[split] = records_of(found)
        print(f"\n{split}\n\n{markdown(results[split])}", flush=True)
    if out is not None:
        budget = base_config("ferplus:DIR").to_dict()
        text = json.dumps({"budget": budget, "changes": CHANGES, "results": results}, indent=1)
        write_text(out / "study.json", text + "\n")
        draw(found, out)


def main() -> None:
    """Train, or report what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "report"):
        command = commands.add_parser(name)
        command.add_argument("data", metavar="KIND:PATH")
        command.add_argument("runs", type=Path)
        if name == "report":
            command.add_argument(
                "--test", action="store_true", help="read the test split too: once, at the end"
            )
            command.add_argument("--out", type=Path, metavar="DIR", help="for study.json and the pictures")
    args = parser.parse_args()
    if args.command == "train":
        train_all(args.data, args.runs)
    else:
        report(args.data, args.runs, test=args.test, out=args.out)


if __name__ == "__main__":
    main()
