"""What a figure on FERPlus owes to its protocol: the same networks, counted in the ways that papers count.

    fer-space test --backbone all --data ferplus:DIR --split test --without-near-duplicates --out stored
    python benchmarks/ladder.py ferplus:DIR --predictions stored --out runs/ladder --table docs/ladder.json
    python benchmarks/ladder.py --predictions stored --table docs/ladder.json      the shipped networks alone
    python benchmarks/ladder.py --table docs/ladder.json      the table again

A learns from train and takes the epoch that is best on valid, as everything that this project ships. B also
learns from valid, after all choices were made, and takes the last epoch, as many papers do. C takes the epoch
that is best on test: the number that others print. It is shown to be understood, and chooses nothing here.

B and C need trainings: `NETWORK` continues from its shipped weights at a low rate, over FERPlus alone, in
EPOCHS short epochs that show a sixth of the faces each. So one training gives A and C, and a second one B,
over train and valid, with 240 steps where the first has 216; "A, continued" is what B and C have to be
compared with. Without bias and temperature. Finished trainings are kept in --out.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer_space.card import WEIGHTS_DIR, paths_of, read_fits
from fer_space.data import open_data
from fer_space.data.collection import SEVEN
from fer_space.data.faceset import Member
from fer_space.distributions import restrict
from fer_space.emotions import EMOTIONS, columns_of
from fer_space.evaluation.ensemble import fitted_mean
from fer_space.evaluation.metrics import rates
from fer_space.evaluation.outputs import Outputs, today
from fer_space.files import write_text
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.finish import logits_of
from fer_space.training.initialise import preprocess_for, start_of
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.recipe import Recipe
from fer_space.training.state import TrainState
from fer_space.training.trainer import Task, open_run, run_epoch, steps_in_epoch

NETWORK = "mobilenet_v1_faces"  # that is trained on
BEST = "efficientnet_b3"  # the best single network
EPOCHS, SHARE = 3, 0.166
CPU = torch.device("cpu")


class Ladder:
    """Train the network of a task and score it on two splits after every epoch, into `looks.json`.

    Args:
        task: whose validation faces are the valid split.
        test_set: the test split.
    """

    def __init__(self, task: Task, test_set: LabelledPictures) -> None:
        self.task, self.test_set = task, test_set

    def __call__(self, worker: Worker) -> None:
        """Train; there is one worker."""
        task = self.task
        task.network.to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        counts = task.train_set.targets.sum(dim=0)
        state = TrainState.start(task.network, task.config, steps_in_epoch(task), counts)
        looks = [self._look(state)]
        for _ in range(task.config.epochs):
            run_epoch(state, task, worker)
            looks.append(self._look(state))
        write_text(task.out / "looks.json", json.dumps(looks, indent=1) + "\n")

    def _look(self, state: TrainState) -> dict[str, dict[str, Any]]:
        preprocess = preprocess_for(self.task.config)
        found = {}
        for name, faces in (("valid", self.task.valid_set), ("test", self.test_set)):
            logits = logits_of(state.averaged.network, preprocess, faces.pictures)
            found[name] = _rates(logits.double().softmax(dim=1).numpy(), faces.labels.numpy())
        return found


def ladder_config(data: str) -> TrainConfig:
    """Continue the recipe of the shipped network at a low rate."""
    return TrainConfig(
        backbone=NETWORK,
        data=data,
        init=str(paths_of(NETWORK, WEIGHTS_DIR)[0]),
        epochs=EPOCHS,
        sampling=f"ferplus={SHARE}",
        imbalance="sqrt",
        lr_body=1e-4,
        lr_head=2e-4,
        warmup=0.1,
        ema_decay=0.98,
        blur=0.3,
        jpeg=0.3,
        noise=0.3,
        gamma=0.3,
    )


def train(data: str, out: Path) -> dict[str, list[dict[str, Any]]]:
    """Train on train, and on train and valid, unless that is done; gives what every look saw, by both."""
    config = ladder_config(data)
    preprocess = preprocess_for(config)
    valid, test = (LabelledPictures.read(open_data(data, split), preprocess) for split in ("valid", "test"))
    taught = [
        LabelledPictures.read(open_data(data, split, config.target), preprocess)
        for split in ("train", "valid")
    ]
    looks = {}
    for name, parts in (("train", taught[:1]), ("train+valid", taught)):
        folder = out / name
        open_run(config, folder, resume=True)  # refuses what another config left there
        if not (folder / "looks.json").is_file():
            network, recipe = start_of(config).network, Recipe.of(config)
            task = Task(config, network, recipe, _as_ferplus(LabelledPictures.joined(parts)), valid, folder)
            run_workers(Ladder(task, test), 1, CPU)
        looks[name] = json.loads((folder / "looks.json").read_text(encoding="utf-8"))
    return looks


def _as_ferplus(faces: LabelledPictures) -> LabelledPictures:
    """Name all faces as those of FERPlus, so that an epoch shows a share of them."""
    member = Member("ferplus", EMOTIONS)
    return replace(faces, members=(member,), origins=torch.zeros_like(faces.labels))


def shipped(predictions: Path) -> dict[str, dict[str, Any]]:
    """Score stored answers of the best single network and of the fitted mean in three ways."""
    (fit, *_) = read_fits()
    members = {
        name: replace(Outputs.load(predictions / f"{name}-ferplus-test.parquet"), embeddings=None)
        for name in {BEST, *fit.shares}
    }
    mean = fitted_mean(list(members.values()), fit)
    assert mean is not None
    return {BEST: _three_ways(members[BEST]), "fitted mean": _three_ways(mean)}


def _three_ways(outputs: Outputs) -> dict[str, Any]:
    rows, labels, near = outputs.probabilities, outputs.labels, outputs.near_duplicate
    assert near is not None, "stored without --without-near-duplicates"
    seven = np.isin(labels, columns_of(SEVEN))
    return {
        "A": _rates(rows, labels),
        "A, seven emotions": _rates(np.nan_to_num(restrict(rows[seven], SEVEN)), labels[seven]),
        "A, without near-duplicates": _rates(rows[~near], labels[~near]),
    }


def _rates(rows: Any, labels: Any) -> dict[str, Any]:
    found = rates(rows, labels).model_dump(mode="json")
    return {key: found[key] for key in ("n", "accuracy", "accuracy_interval", "balanced_accuracy")}


def markdown(record: Mapping[str, Any]) -> str:
    """Write the table of the docs."""
    rows = []
    for name, ways in record.get("shipped", {}).items():
        rows += [_row(name, protocol, found) for protocol, found in ways.items()]
    head = "| network | protocol | faces | accuracy (95 % interval) | balanced |\n|---|---|---:|---:|---:|"
    if "looks" not in record:
        return "\n".join([head, *rows])
    control, more = record["looks"]["train"], record["looks"]["train+valid"]
    title = f"{NETWORK}, continued"
    rows.append(_row(title, "A", max(control[1:], key=lambda look: look["valid"]["accuracy"])["test"]))
    rows.append(_row(title, "B: train and valid, last epoch", more[-1]["test"]))
    best = max((look["test"] for look in control[1:]), key=lambda found: found["accuracy"])
    rows.append(_row(title, "C: best of three looks at test", best))
    return "\n".join([head, *rows])


def _row(name: str, protocol: str, found: Mapping[str, Any]) -> str:
    low, high = found["accuracy_interval"]
    accuracy = f"{found['accuracy']:.2%} ({low:.1%} to {high:.1%})"
    return f"| {name} | {protocol} | {found['n']:,} | {accuracy} | {found['balanced_accuracy']:.1%} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for into the file of the table, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", metavar="ferplus:DIR")
    parser.add_argument("--predictions", type=Path, metavar="DIR", help="stored answers, see above")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where finished trainings are kept")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE", help="the figures as JSON")
    args = parser.parse_args(arguments)
    if (args.data is None) != (args.out is None):
        parser.error("ferplus:DIR needs --out, and --out ferplus:DIR")
    record = json.loads(args.table.read_text(encoding="utf-8")) if args.table.exists() else {}
    if args.predictions is not None:
        record["shipped"] = shipped(args.predictions)
        record["shipped_on"] = today().isoformat()
    if args.data is not None:
        record["looks"] = train(args.data, args.out)
        record["looks_on"] = today().isoformat()
    if args.predictions is not None or args.data is not None:
        record["command"] = "python benchmarks/ladder.py ferplus:DIR --out DIR --predictions DIR"
        write_text(args.table, json.dumps(record, indent=1) + "\n")
    print(markdown(record))


if __name__ == "__main__":
    main()
