"""The controlled comparison of mixing, targets, losses and sampling: one small budget, one change at a time.

    python benchmarks/study.py train ferplus:DIR runs/study      hours; continues where it stopped
    python benchmarks/study.py table runs/study                  validation results so far
    python benchmarks/study.py test ferplus:DIR runs/study       once, at the end; prints the table

Every run has the same seed, pictures, steps and size; only the options in `CHANGES` differ. Choices are made
on the validation split. `table` and `test` write RUNS/results.json and a picture beside it.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from fer_space.data import open_data
from fer_space.evaluation.metrics import score
from fer_space.inference import logits_of
from fer_space.training.config import TrainConfig
from fer_space.training.pictures import LabelledPictures
from fer_space.training.run import run
from fer_space.training.start import empty_network, preprocess_for

CHANGES: dict[str, dict[str, Any]] = {
    "none": {},
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


def base_config(data: str) -> TrainConfig:
    """The budget that every run has: 10,000 training faces at 64 px, five epochs."""
    return TrainConfig(
        backbone="efficientnet_lite0", data=data, epochs=5, size=64, limit=10_000, ema_decay=0.99, processes=2
    )


def folder_of(name: str, runs: Path) -> Path:
    """Where a run is kept."""
    return runs / name.lower().replace(" ", "-").replace(",", "").replace(".", "")


def train_all(data: str, runs: Path) -> None:
    """Train what is not finished yet, in the order of `CHANGES`."""
    for name, change in CHANGES.items():
        if not (folder_of(name, runs) / "card.json").is_file():
            run(replace(base_config(data), **change), folder_of(name, runs), resume=True)


def measure(data: str, runs: Path, split: str) -> dict[str, dict[str, Any]]:
    """Scores of every finished run on a split, read once for all."""
    finished = {name: folder_of(name, runs) for name in CHANGES}
    finished = {name: folder for name, folder in finished.items() if (folder / "card.json").is_file()}
    preprocess = preprocess_for(base_config(data))
    held_out = LabelledPictures.read(open_data(data, split), preprocess)
    results = {}
    for name, folder in finished.items():
        network = empty_network(base_config(data)).eval()
        network.load_state_dict(load_file(folder / "best.safetensors"))
        logits = logits_of(network, preprocess, held_out.pictures)
        results[name] = score(logits.double().softmax(dim=1).numpy(), held_out.labels.numpy())
    return results


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """A table with the interval of the accuracy and the recalls of the rare emotions."""
    rare = ("disgust", "fear", "contempt")
    rows = [
        "| change | accuracy | balanced | macro-F1 | " + " | ".join(rare) + " |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, record in results.items():
        low, high = record["accuracy_interval"]
        recalls = " | ".join(f"{record['per_class'][emotion]:.2f}" for emotion in rare)
        rows.append(
            f"| {name} | {record['accuracy']:.1%} ({low:.1%} to {high:.1%}) | "
            f"{record['balanced_accuracy']:.1%} | {record['macro_f1']:.1%} | {recalls} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Train, or print the table of what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("train", "table", "test"):
        command = commands.add_parser(name)
        command.add_argument("data", metavar="KIND:PATH")
        command.add_argument("runs", type=Path)
    args = parser.parse_args()
    if args.command == "train":
        train_all(args.data, args.runs)
        return
    split = "test" if args.command == "test" else "valid"
    results = measure(args.data, args.runs, split)
    (args.runs / f"{split}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(markdown(results))


if __name__ == "__main__":
    main()
