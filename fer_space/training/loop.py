"""The training loop: read, augment, step, average, validate, keep the best epoch.

    fer-space train --backbone efficientnet_lite0 --data ferplus:DIR --out runs/lite0

The folder given by --out receives config.json, history.csv, last.pt (for --resume) and
best.safetensors (averaged weights of the epoch that is best on the validation split).
"""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from fer_space.backbones.base import Backbone
from fer_space.errors import InputError
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.inference import logits_of
from fer_space.preprocess import Preprocess
from fer_space.registry import BackboneSpec, backbone_spec
from fer_space.training.augment import Augment
from fer_space.training.config import TrainConfig
from fer_space.training.losses import draw_labels, loss_for, smooth
from fer_space.training.optim import parameter_state
from fer_space.training.parallel import Worker
from fer_space.training.pictures import LabelledPictures
from fer_space.training.state import TrainState

GRADIENT_NORM = 5.0
ALONE = Worker()


def train(
    config: TrainConfig,
    train_set: LabelledPictures,
    valid_set: LabelledPictures,
    backbone: Backbone,
    out: Path,
    *,
    resume: bool = False,
    stop_after: int = 0,
    worker: Worker = ALONE,
) -> TrainState:
    """Train `backbone` in place and return the final state; see the module for the files in `out`.

    A run that was killed, or ended after `stop_after` epochs, continues with `resume=True` and ends with
    the weights of an unbroken one.
    With several workers, each calls this with its own `worker` and the same other arguments.
    """
    backbone.to(memory_format=torch.channels_last)
    steps = max(1, len(train_set) // config.batch_size)
    state = TrainState.start(backbone, config, steps)
    checkpoint = out / "last.pt"
    if resume and checkpoint.is_file():
        state.restore(checkpoint)
    while len(state.history) < min(stop_after or config.epochs, config.epochs):
        row = run_epoch(state, config, train_set, valid_set, worker)
        improved = row["valid_accuracy"] > state.best
        state.best = max(state.best, row["valid_accuracy"])
        if worker.leads:
            if improved:
                save_file(parameter_state(state.averaged.network), out / "best.safetensors")
            state.save(checkpoint)
            write_history(state.history, out / "history.csv")
    return state


def run_epoch(
    state: TrainState,
    config: TrainConfig,
    train_set: LabelledPictures,
    valid_set: LabelledPictures,
    worker: Worker = ALONE,
) -> dict[str, float]:
    """One pass over the training pictures and one over the validation pictures; appends to history."""
    epoch, started = len(state.history), time.monotonic()
    torch.manual_seed((config.seed * 10_000 + epoch) * 64 + worker.rank)  # dropout
    size = config.early_size if epoch < config.early_epochs else input_size(config)
    state.backbone.train()
    batches = list(shuffled(len(train_set), config.batch_size, state.rng))
    title = f"epoch {epoch + 1}/{config.epochs}"
    bar = tqdm(batches, desc=title, unit="batch", mininterval=5, leave=False, disable=not worker.leads)
    losses = [train_step(state, config, train_set, picks, size, worker) for picks in bar]
    train_loss = float(worker.mean(torch.tensor(losses).mean()))
    seen = logits_of(state.averaged.network, preprocess_for(config), worker.share(valid_set.pictures))
    probabilities = worker.merge(seen, len(valid_set)).softmax(dim=1).numpy()
    labels = valid_set.labels.numpy()
    row = {
        "epoch": epoch + 1,
        "train_loss": train_loss,
        "valid_accuracy": accuracy(probabilities, labels),
        "valid_balanced_accuracy": balanced_accuracy(probabilities, labels),
        "seconds": round(time.monotonic() - started, 1),
    }
    state.history.append(row)
    if worker.leads:
        tqdm.write(
            f"{title}: " + ", ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "epoch")
        )
    return row


def train_step(
    state: TrainState,
    config: TrainConfig,
    train_set: LabelledPictures,
    picks: Tensor,
    size: int,
    worker: Worker = ALONE,
) -> float:
    """One optimiser step on the pictures at `picks`; returns the loss of this worker's share."""
    augment = Augment(
        config.rotate,
        config.zoom,
        config.shift,
        config.brightness,
        config.contrast,
        config.flip,
        config.erase,
    )
    draw = augment.draw(len(picks), state.rng)
    targets = train_set.targets[picks]
    if config.target == "pld":
        targets = draw_labels(targets, state.rng)
    mine, targets = worker.share(picks), worker.share(targets)
    pictures = augment.apply(train_set.pictures[mine], draw.map(worker.share), size)
    if config.label_smoothing:
        targets = smooth(targets, config.label_smoothing)
    inputs = preprocess_for(config, size).normalise(pictures)
    loss = loss_for(config.target)(state.backbone(inputs).logits, targets)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    worker.average(state.backbone)
    torch.nn.utils.clip_grad_norm_(state.backbone.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.schedule.step()
    state.averaged.update(state.backbone)
    return float(loss.detach())


def shuffled(count: int, batch_size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Random positions in batches; a last batch smaller than the others is left out."""
    order = torch.randperm(count, generator=rng)
    for start in range(0, max(count - batch_size, 0) + 1, batch_size):
        yield order[start : start + batch_size]


def input_size(config: TrainConfig) -> int:
    """The side in pixels that the finished network reads."""
    return config.size or backbone_spec(config.backbone).input_size


def preprocess_for(config: TrainConfig, size: int = 0) -> Preprocess:
    """The preprocessing that a config trains for (at `size` instead of the final one, if given)."""
    return Preprocess(size or input_size(config), config.native_size, config.gray)


def initialise(backbone: Backbone, spec: BackboneSpec, init: str) -> None:
    """Fill the network before the first step: "imagenet", "none" or a .safetensors file.

    Raises InputError when there are no such weights for this backbone.
    """
    if init == "imagenet":
        spec.load_imagenet(backbone)
    elif init != "none":
        try:
            backbone.load_state_dict(load_file(init))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise InputError(f"--init: {init} does not hold the weights of {spec.name}.") from error


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Rows as CSV with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def open_run(config: TrainConfig, out: Path, *, resume: bool) -> None:
    """Make the folder of a run and write its config.json, or check that it is there for a resumed one.

    Raises InputError when the folder holds another run, or this one and `resume` is not asked for.
    """
    path = out / "config.json"
    if path.is_file():
        if TrainConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))) != config:
            raise InputError(f"{out} holds another run; resume it with its own settings ({path.name}).")
        if (out / "last.pt").is_file() and not resume:
            raise InputError(f"{out} holds this run already: --resume continues it.")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
