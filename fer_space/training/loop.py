"""The training loop: read, augment, step, average, validate, keep the best epoch.

    fer-space train --backbone efficientnet_lite0 --data ferplus:DIR --out runs/lite0

The folder given by --out receives config.json, history.csv, last.pt (for --resume) and
best.safetensors (averaged weights of the epoch that is best on the validation split).
"""

import csv
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from fer_space.backbones.base import Backbone
from fer_space.evaluation.classes import on_data_classes
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.inference import logits_of
from fer_space.training.optim import parameter_state
from fer_space.training.pictures import LabelledPictures
from fer_space.training.sampling import epoch_length, epoch_order, times_shown
from fer_space.training.start import input_size, preprocess_for
from fer_space.training.state import TrainState
from fer_space.training.step import Task, train_step

CPU_BATCH, GPU_BATCH = 128, 1024


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
    task = replace(
        task, train_set=task.train_set.on(task.worker.device), valid_set=task.valid_set.on(task.worker.device)
    )
    state = TrainState.start(backbone, config, steps_in_epoch(task), task.train_set.targets.sum(dim=0))
    checkpoint = out / "last.pt"
    if resume and checkpoint.is_file():
        state.restore(checkpoint)
    while len(state.history) < min(stop_after or config.epochs, config.epochs):
        row = run_epoch(state, task)
        figure = row["valid_accuracy" if config.criterion == "accuracy" else "mixed"]
        improved = figure > state.best
        state.best = max(state.best, figure)
        if task.worker.leads:
            if improved:
                save_file(parameter_state(state.averaged.network), out / "best.safetensors")
            state.save(checkpoint)
            write_history(state.history, out / "history.csv")
    return state


def steps_in_epoch(task: Task) -> int:
    """Optimiser steps in an epoch."""
    times = times_shown(task.train_set, task.config.sampling)
    shown = epoch_length(task.train_set.labels, task.config.imbalance, times)
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
    figures = [train_step(state, task, batches, size) for batches in bar]
    loss, right = worker.mean(torch.stack(figures).mean(dim=0)).tolist()
    row = {
        "epoch": epoch + 1,
        "train_loss": loss,
        "train_accuracy": right,
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
    faces = task.valid_set
    pictures = task.worker.share(faces.pictures)
    size = GPU_BATCH if task.worker.device.type == "cuda" else CPU_BATCH
    seen = logits_of(state.averaged.network, preprocess_for(task.config), pictures, batch_size=size)
    logits = task.worker.merge(seen, len(faces))
    return validation_figures(logits, faces)


def validation_figures(logits: Tensor, faces: LabelledPictures) -> dict[str, float]:
    """Scores of logits float32 (N, 8) of N validation faces, on the CPU.

    `valid_accuracy`, `valid_loss` (cross entropy in nats) and `valid_balanced_accuracy` are of the first of the
    joined sets that has a face. `mixed` is the mean recall of emotions in each set, averaged over the sets; each
    set is scored among the emotions that it knows. For one set alone it is the balanced accuracy.
    """
    balanced = []
    first: dict[str, float] = {}
    for number, member in enumerate(faces.members):
        mine = faces.of_member(number)
        if not mine.any():
            continue
        seen, truth = logits[mine].double(), faces.labels[mine]
        probabilities, labels = seen.softmax(dim=1).numpy(), truth.numpy()
        if not first:
            first = {
                "valid_loss": float(functional.cross_entropy(seen, truth)),
                "valid_accuracy": accuracy(probabilities, labels),
                "valid_balanced_accuracy": balanced_accuracy(probabilities, labels),
            }
        balanced.append(balanced_accuracy(on_data_classes(probabilities, member.classes), labels))
    return {**first, "mixed": sum(balanced) / len(balanced)}


def batches_of_epoch(task: Task, rng: torch.Generator) -> list[tuple[Tensor, ...]]:
    """The positions of every step, `accumulate` batches each; what does not fill a step is left out."""
    config = task.config
    times = times_shown(task.train_set, config.sampling)
    order = epoch_order(task.train_set.labels, config.imbalance, rng, times)
    chunk = config.batch_size * config.accumulate
    steps = [order[start : start + chunk] for start in range(0, max(len(order) - chunk, 0) + 1, chunk)]
    return [torch.split(step, config.batch_size) for step in steps]


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Rows as CSV with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
