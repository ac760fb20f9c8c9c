"""A whole run, to be read from top to bottom.

    Trainer(config, Path("runs/lite0")).run()

The folder of the run receives config.json, history.csv (a row an epoch), last.pt (to continue with --resume),
best.safetensors (averaged weights of the epoch that is best on the validation split), and in the end
card.json.
"""

import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from fer_space.backbones.base import Backbone
from fer_space.distributions import restrict
from fer_space.errors import InputError, TrainingError
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.files import write_text
from fer_space.memory import keep_freed_memory
from fer_space.model import Model, load_model
from fer_space.runtime.device import resolve_device
from fer_space.tensors import save_tensors
from fer_space.training.config import TrainConfig, read_config
from fer_space.training.data import LabelledPictures, epoch_length, epoch_order, read_faces, times_shown
from fer_space.training.distillation import Teaching, load_teachers
from fer_space.training.finish import answers_of, write_run_card
from fer_space.training.initialise import file_of, input_size, preprocess_for, start_of
from fer_space.training.losses import affect_loss, concordance, named
from fer_space.training.mixing import MIXES
from fer_space.training.optim import sharpest_nearby
from fer_space.training.parallel import Worker, launched_size, leads_launch, leave, run_workers
from fer_space.training.recipe import Batch, Recipe
from fer_space.training.state import TrainState

BEST = "best.safetensors"
CHECKPOINT = "last.pt"
GRADIENT_NORM = 5.0
EXAMPLES = 512  # faces by which folded norms are put back
CHECK_EVERY = 100  # steps after which the loss is looked at; each look stops a GPU's queue

Row = dict[str, float]  # of history.csv
Watch = Callable[[Sequence[Row]], None]


class Trainer:
    """Train a network as a config says.

    Args:
        config: of the run.
        out: its folder; made if need be.
        device: one of `fer_space.runtime.device.DEVICES`.
        resume: continue a run that was cut off.
        stop_after: end after this epoch, the schedule unfinished; 0 runs to the end.
        watch: called with the rows of history.csv after each epoch, whose files are written by then; what it
            raises ends the run. For a run of one process.
    """

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        *,
        device: str = "auto",
        resume: bool = False,
        stop_after: int = 0,
        watch: Watch | None = None,
    ) -> None:
        self.config = config.changed(processes=launched_size()) if launched_size() else config
        self.out = out
        self.device = resolve_device(device)
        if launched_size() and self.device.type == "cuda":
            # Teachers and guide are loaded before Accelerate says which GPU is this process's own.
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        self.resume = resume
        self.stop_after = stop_after
        self.watch = watch

    def run(self) -> None:
        """Train, calibrate and write the card.

        Under `accelerate launch` the launched processes share every batch, and end here.

        Raises:
            InputError, DataError, WeightsError: config, data or files cannot be used; nothing was trained.
            TrainingError: the loss was no number any more, or a worker was lost; `resume` continues.
        """
        config, leads = self.config, leads_launch()
        self._check()
        # 1. Network, teachers and guide: what is wrong with a name or a file is said before the data is read.
        _allow_fast_arithmetic(self.device)
        start = start_of(config)
        if leads and start.told:
            print(start.told, file=sys.stderr)
        recipe = Recipe.of(config, *self._helpers())
        # 2. Faces, decoded once.
        train_set, valid_set = read_faces(config, preprocess_for(config), aloud=leads)
        start.settle(config, _examples(train_set))
        # 3. The folder of the run.
        if leads:
            open_run(config, self.out, resume=self.resume)
        # 4. Epochs, in this process or in several.
        task = Task(
            config,
            start.network,
            recipe,
            train_set,
            valid_set,
            self.out,
            resume=self.resume,
            stop_after=self.stop_after,
            watch=self.watch,
        )
        run_workers(task, config.processes, self.device)
        # 5. Bias and temperature from the validation faces, and the card.
        if leads:
            write_run_card(config, train_set, valid_set, self.out, self.device)
        if launched_size():
            leave()

    def _check(self) -> None:
        start = file_of(self.config.init)
        if start.is_file() and start.parent.resolve() == self.out.resolve():
            raise InputError("A run cannot start from its own folder; choose another --out.")
        if self.config.processes > 1 and not launched_size() and self.device.type != "cpu":
            raise InputError("--processes share a CPU. For several GPUs use “accelerate launch”.")

    def _helpers(self) -> tuple[Model | None, Teaching | None]:
        """Load the guide of the mix and the teachers, where the config names some."""
        config = self.config
        guide, teaching = None, None
        if config.mix != "none" and MIXES[config.mix]().needs == "guide":
            guide = load_model(config.guide, device=self.device.type, runtime="torch")
            guide.require_maps()
        if config.teachers:
            teachers = load_teachers(config.teachers, self.device)
            teaching = Teaching(teachers, config.teacher_share, config.native_size)
        return guide, teaching


@dataclass(frozen=True, eq=False)
class Task:
    """What each process of a run works on; called with its worker, it trains.

    Attributes:
        config: of the run.
        network: before its first step.
        recipe: what happens to a batch.
        train_set, valid_set: decoded faces.
        out: the folder of the run.
        resume, stop_after, watch: as for `Trainer`.
    """

    config: TrainConfig
    network: Backbone
    recipe: Recipe
    train_set: LabelledPictures
    valid_set: LabelledPictures
    out: Path
    resume: bool = False
    stop_after: int = 0
    watch: Watch | None = None

    def __call__(self, worker: Worker) -> None:
        """Train, in one process of several or of one."""
        keep_freed_memory()
        train(self, worker)


def train(task: Task, worker: Worker) -> TrainState:
    """Train the network of a task in place, epoch by epoch.

    A run that was killed, or ended after some epochs, continues with `task.resume` and ends with the weights
    of an unbroken one. With several workers, each calls this with its own `worker` and the same task.

    Returns:
        The final state.
    """
    # 1. Network and pictures move to the device and stay there.
    config = task.config
    task.network.to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = replace(
        task, train_set=task.train_set.on(worker.device), valid_set=task.valid_set.on(worker.device)
    )
    # 2. Optimiser, schedule, averages; or all of them as a checkpoint left them.
    counts = task.train_set.targets.sum(dim=0)
    state = TrainState.start(task.network, config, steps_in_epoch(task), counts)
    if task.resume and (task.out / CHECKPOINT).is_file():
        state.restore(task.out / CHECKPOINT)
        if worker.leads and state.history:
            write_history(state.history, task.out / "history.csv")
    # 3. Epoch by epoch: train, validate, keep the best.
    while len(state.history) < min(task.stop_after or config.epochs, config.epochs):
        row = run_epoch(state, task, worker)
        figure = figure_of(row, config)
        improved = figure > state.best
        state.best = max(state.best, figure)
        if worker.leads:
            if improved:
                save_tensors(state.averaged.network.state_dict(), task.out / BEST, half=False)
            state.save(task.out / CHECKPOINT)
            write_history(state.history, task.out / "history.csv")
        if task.watch is not None:
            task.watch(state.history)
    return state


def figure_of(row: Row, config: TrainConfig) -> float:
    """Look up the validation figure by which a run's best epoch is chosen, in a row of history.csv.

    Where valence and arousal alone are learned that is their `valid_ccc`.
    """
    name = "valid_accuracy" if config.criterion == "accuracy" else "mixed"
    return row[name if name in row else "valid_ccc"]


def run_epoch(state: TrainState, task: Task, worker: Worker) -> dict[str, float]:
    """Pass over the training pictures once and over the validation pictures once.

    Returns:
        The row of history.csv, which is also appended to the state's history.

    Raises:
        TrainingError: a figure is not finite; the files of earlier epochs stay.
    """
    config = task.config
    epoch, started = len(state.history), time.monotonic()
    # 1. What is random: dropout by epoch and process, all else from the state's own generator.
    torch.manual_seed((config.seed * 10_000 + epoch) * 64 + worker.rank)
    size = config.early_size if epoch < config.early_epochs else input_size(config)
    state.backbone.train()
    state.backbone.body.train(config.freeze != "backbone")
    state.loss.at_epoch(epoch)
    # 2. Steps. Figures stay on the device; they are looked at now and then.
    title = f"epoch {epoch + 1}/{config.epochs}"
    steps = batches_of_epoch(task, state.rng)
    bar = tqdm(steps, desc=title, unit="step", mininterval=5, leave=False, disable=not worker.leads)
    figures: list[Tensor] = []
    for batches in bar:
        figures.append(train_step(state, task, worker, batches, size))
        if len(figures) % CHECK_EVERY == 0:
            _check_finite(figures[-CHECK_EVERY:], epoch, len(figures) - CHECK_EVERY)
    _check_finite(figures, epoch, 0)
    loss, right = worker.mean(torch.stack(figures).mean(dim=0)).tolist()
    # 3. Validation.
    row = {"epoch": epoch + 1, "train_loss": loss}
    row |= {"train_accuracy": right} if task.train_set.has_emotions else {}
    row |= validate(state, task, worker)
    if not np.isfinite(row["valid_loss"]):
        raise _diverged(epoch, len(figures))
    row["seconds"] = round(time.monotonic() - started, 1)
    state.history.append(row)
    if worker.leads:
        shown = (f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        tqdm.write(f"{title}: " + ", ".join(shown))
    return row


def train_step(state: TrainState, task: Task, worker: Worker, batches: Sequence[Tensor], size: int) -> Tensor:
    """Take one optimiser step.

    Args:
        state: changed in place.
        task: its pictures lie on the worker's device.
        worker: this process.
        batches: positions int64 (B,) of each batch; their gradients are averaged.
        size: side in pixels of the network's input.

    Returns:
        float32 (2,) on the device, which nobody waited for: the mean loss of this worker's share, and the
        share of its rows whose strongest emotion the network found.
    """
    config = task.config
    # 1. Random numbers of the whole step, the same in every process.
    sampled = [task.recipe.sample(task.train_set, picks, size, state.rng) for picks in batches]
    # 2. Gradients at the weights as they are.
    state.optimizer.zero_grad(set_to_none=True)
    made, figures = [], []
    for params in sampled:
        preprocess = preprocess_for(config, size)
        batch = task.recipe.batch(task.train_set, params, preprocess, state.backbone, worker)
        figures.append(_backward(state, config, worker, batch, len(sampled), learns=True))
        made += [batch] if config.sam else []
    worker.average(state.backbone)
    # 3. With SAM, gradients where the loss is largest nearby take their place.
    if config.sam:
        with sharpest_nearby(state.backbone, config.sam):
            for batch in made:
                _backward(state, config, worker, batch, len(sampled), learns=False)
        worker.average(state.backbone)
    # 4. The step, and the average of the weights.
    torch.nn.utils.clip_grad_norm_(state.backbone.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.schedule.step()
    state.averaged.update()
    return torch.stack(figures).mean(dim=0)


def _backward(
    state: TrainState, config: TrainConfig, worker: Worker, batch: Batch, parts: int, *, learns: bool
) -> Tensor:
    """Add one batch's gradient, a `parts`-th of it; returns its loss and accuracy, see `train_step`.

    Dynamic class weights move where `learns` says so.
    """
    with torch.autocast(worker.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        output = state.backbone(batch.inputs)
    logits, targets = output.logits.float(), batch.targets
    loss = logits.new_zeros(())
    if state.has_emotions:
        loss = state.loss(logits, targets) + state.backbone.head.own_loss(output, targets)
    if output.affect is not None:
        loss = loss + config.affect_weight * affect_loss(output.affect.float(), batch.affect)
    (loss / parts).backward()
    if learns and config.class_weights == "dynamic":
        state.loss.learn(worker.mean(state.loss.sums(logits, targets)))
    known = named(targets)
    right = (logits.detach().argmax(dim=1) == targets.argmax(dim=1)) & known
    return torch.stack([loss.detach(), right.sum() / known.sum().clamp(min=1)])


def validate(state: TrainState, task: Task, worker: Worker) -> dict[str, float]:
    """Score the averaged network on the validation split, which the workers share.

    Returns:
        `validation_figures` where there are emotions to learn, and `valid_ccc` where valence and arousal are
        learned, the mean of both; without emotions `valid_loss` is 1 less that.
    """
    pictures = worker.share(task.valid_set.pictures)
    seen, felt = answers_of(state.averaged.network, preprocess_for(task.config), pictures)
    logits = worker.merge(seen, len(task.valid_set))
    figures = validation_figures(logits, task.valid_set) if task.train_set.has_emotions else {}
    rated = task.valid_set.affect.isfinite().all(dim=1)
    if felt is not None and int(rated.sum()) > 1:
        affect = worker.merge(felt, len(task.valid_set))
        ccc = float(concordance(affect[rated], task.valid_set.affect[rated]).mean())
        figures = {"valid_loss": 1.0 - ccc, **figures, "valid_ccc": ccc}
    return figures


def validation_figures(logits: Tensor, faces: LabelledPictures) -> dict[str, float]:
    """Score logits of validation faces; those of which nobody named an emotion do not count.

    Args:
        logits: float32 (N, 8) on the CPU.
        faces: N of them.

    Returns:
        `valid_loss` (cross entropy in nats), `valid_accuracy` and `valid_balanced_accuracy` of the first of
        the joined sets that has a face; `mixed`, the mean recall of emotions in each set, averaged over the
        sets, each scored among the emotions that it knows. For one set alone that is its balanced accuracy.
    """
    first = faces.first_member
    figures = {
        "valid_loss": float(functional.cross_entropy(logits[first].double(), faces.labels[first])),
        "valid_accuracy": accuracy(_probabilities(logits[first]), faces.labels[first].numpy()),
        "valid_balanced_accuracy": balanced_accuracy(
            _probabilities(logits[first]), faces.labels[first].numpy()
        ),
    }
    balanced = []
    for number, member in enumerate(faces.members):
        mine = faces.of_member(number) & faces.labelled
        if mine.any():
            rows = restrict(_probabilities(logits[mine]), member.classes)
            balanced.append(balanced_accuracy(np.nan_to_num(rows), faces.labels[mine].numpy()))
    return {**figures, "mixed": sum(balanced) / len(balanced)}


def _probabilities(logits: Tensor) -> NDArray[np.float64]:
    return np.asarray(logits.double().softmax(dim=1).numpy(), dtype=np.float64)


def steps_in_epoch(task: Task) -> int:
    """Count the optimiser steps of an epoch."""
    times = times_shown(task.train_set, task.config.sampling)
    config = task.config
    shown = epoch_length(task.train_set.labels, config.imbalance, times, config.rebalance_limit)
    return max(1, shown // (config.batch_size * config.accumulate))


def batches_of_epoch(task: Task, rng: torch.Generator) -> list[tuple[Tensor, ...]]:
    """Sample the positions of every step, `accumulate` batches each; what does not fill a step is left out.

    Raises:
        InputError: an epoch shows too few pictures for a batch norm, two for each process.
    """
    config = task.config
    times = times_shown(task.train_set, config.sampling)
    order = epoch_order(task.train_set.labels, config.imbalance, rng, times, config.rebalance_limit)
    if len(order) < 2 * config.processes:
        raise InputError("An epoch shows fewer pictures than two for each process.")
    chunk = config.batch_size * config.accumulate
    steps = [order[start : start + chunk] for start in range(0, max(len(order) - chunk, 0) + 1, chunk)]
    batches = [torch.split(step, config.batch_size) for step in steps]
    enough = [tuple(batch for batch in step if len(batch) >= 2 * config.processes) for step in batches]
    return [step for step in enough if step]


def open_run(config: TrainConfig, out: Path, *, resume: bool) -> None:
    """Make the folder of a run and write its config.json, or check that it is there for a resumed one.

    Raises:
        InputError: the folder holds another run, or this one and `resume` is not asked for.
        DataError: its config.json is damaged.
    """
    path = out / "config.json"
    if path.is_file():
        if read_config(path) != config:
            raise InputError(f"{out} holds another run; resume it with its own settings ({path.name}).")
        if (out / CHECKPOINT).is_file() and not resume:
            raise InputError(f"{out} holds this run already: --resume continues it.")
    write_text(path, json.dumps(config.to_dict(), indent=2) + "\n")


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Write rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[-1]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


def _examples(train_set: LabelledPictures) -> Tensor:
    """Training faces from all over the set, uint8 (N, C, h, w)."""
    count = min(len(train_set), EXAMPLES)
    return train_set.pictures[torch.arange(count) * len(train_set) // count]


def _allow_fast_arithmetic(device: torch.device) -> None:
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def _check_finite(figures: list[Tensor], epoch: int, before: int) -> None:
    """Raise TrainingError that names the first step whose loss is no number."""
    wrong = torch.nonzero(~torch.stack(figures)[:, 0].isfinite())
    if len(wrong):
        raise _diverged(epoch, before + int(wrong[0]) + 1)


def _diverged(epoch: int, step: int) -> TrainingError:
    return TrainingError(
        f"The loss is no number any more (epoch {epoch + 1}, step {step}). Lower --lr-body and --lr-head, or "
        "raise --focal-gamma to 1 or more where it is used; the best weights of earlier epochs are kept."
    )
