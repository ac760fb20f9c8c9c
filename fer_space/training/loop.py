"""The training loop: read, augment, step, average, validate, keep the best epoch.

    fer-space train --backbone efficientnet_lite0 --data ferplus:DIR --out runs/lite0

The folder given by --out receives config.json, history.csv, last.pt (for --resume) and
best.safetensors (averaged weights of the epoch that is best on the validation split).
"""

import csv
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from fer_space.backbones.base import Backbone
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.inference import logits_of
from fer_space.training.optim import parameter_state
from fer_space.training.sampling import epoch_length, epoch_order
from fer_space.training.start import input_size, preprocess_for
from fer_space.training.state import TrainState
from fer_space.training.step import Task, train_step


def train(
    task: Task, backbone: Backbone, out: Path, *, resume: bool = False, stop_after: int = 0
) -> TrainState:
    """Train `backbone` in place and return the final state; see the module for the files in `out`.

    A run that was killed, or ended after `stop_after` epochs, continues with `resume=True` and ends with
    the weights of an unbroken one.
    With several workers, each calls this with its own `task.worker` and the same other arguments.
    """
    config = task.config
    backbone.to(task.worker.device).to(memory_format=torch.channels_last)
    state = TrainState.start(backbone, config, steps_in_epoch(task), task.train_set.targets.sum(dim=0))
    checkpoint = out / "last.pt"
    if resume and checkpoint.is_file():
        state.restore(checkpoint)
    while len(state.history) < min(stop_after or config.epochs, config.epochs):
        row = run_epoch(state, task)
        improved = row["valid_accuracy"] > state.best
        state.best = max(state.best, row["valid_accuracy"])
        if task.worker.leads:
            if improved:
                save_file(parameter_state(state.averaged.network), out / "best.safetensors")
            state.save(checkpoint)
            write_history(state.history, out / "history.csv")
    return state


def steps_in_epoch(task: Task) -> int:
    """Optimiser steps in an epoch."""
    shown = epoch_length(task.train_set.labels, task.config.imbalance)
    return max(1, shown // (task.config.batch_size * task.config.accumulate))


def run_epoch(state: TrainState, task: Task) -> dict[str, float]:
    """One pass over the training pictures and one over the validation pictures; appends to history."""
    config, worker = task.config, task.worker
    epoch, started = len(state.history), time.monotonic()
    torch.manual_seed((config.seed * 10_000 + epoch) * 64 + worker.rank)  # dropout
    size = config.early_size if epoch < config.early_epochs else input_size(config)
    state.backbone.train()
    state.backbone.body.train(config.freeze != "backbone")
    state.loss.at_epoch(epoch)
    title = f"epoch {epoch + 1}/{config.epochs}"
    steps = batches_of_epoch(task, state.rng)
    bar = tqdm(steps, desc=title, unit="step", mininterval=5, leave=False, disable=not worker.leads)
    losses = [train_step(state, task, batches, size) for batches in bar]
    row = {
        "epoch": epoch + 1,
        "train_loss": float(worker.mean(torch.tensor(losses).mean())),
        **validate(state, task),
        "seconds": round(time.monotonic() - started, 1),
    }
    state.history.append(row)
    if worker.leads:
        shown = (f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        tqdm.write(f"{title}: " + ", ".join(shown))
    return row


def validate(state: TrainState, task: Task) -> dict[str, float]:
    """Scores of the averaged network on the validation split, which the workers share."""
    pictures = task.worker.share(task.valid_set.pictures)
    seen = logits_of(state.averaged.network, preprocess_for(task.config), pictures)
    probabilities = task.worker.merge(seen, len(task.valid_set)).softmax(dim=1).numpy()
    labels = task.valid_set.labels.numpy()
    return {
        "valid_accuracy": accuracy(probabilities, labels),
        "valid_balanced_accuracy": balanced_accuracy(probabilities, labels),
    }


def batches_of_epoch(task: Task, rng: torch.Generator) -> list[tuple[Tensor, ...]]:
    """The positions of every step, `accumulate` batches each; what does not fill a step is left out."""
    config = task.config
    order = epoch_order(task.train_set.labels, config.imbalance, rng)
    chunk = config.batch_size * config.accumulate
    steps = [order[start : start + chunk] for start in range(0, max(len(order) - chunk, 0) + 1, chunk)]
    return [torch.split(step, config.batch_size) for step in steps]


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Rows as CSV with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
