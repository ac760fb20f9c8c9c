"""One optimiser step: make the batch, run the network, follow the gradient, average the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fer_space.training.config import TrainConfig
from fer_space.training.losses import affect_loss
from fer_space.training.parallel import Worker
from fer_space.training.pictures import LabelledPictures
from fer_space.training.recipe import BatchDraw, Recipe
from fer_space.training.start import preprocess_for
from fer_space.training.state import TrainState

GRADIENT_NORM = 5.0


@dataclass(frozen=True, eq=False)
class Task:
    """What a run works on, the same from its first step to its last.

    Attributes:
        config, train_set, valid_set: as read.
        recipe: what happens to a batch.
        worker: this process's place among those of the run.
    """

    config: TrainConfig
    train_set: LabelledPictures
    valid_set: LabelledPictures
    recipe: Recipe
    worker: Worker


def train_step(state: TrainState, task: Task, batches: Sequence[Tensor], size: int) -> float:
    """One step on `batches` of positions int64 (B,), whose gradients are averaged.

    Returns the mean loss of this worker's share.
    """
    draws = [task.recipe.draw(task.train_set, picks, size, state.rng) for picks in batches]
    state.optimizer.zero_grad(set_to_none=True)
    losses = [_backward(state, task, draw, len(draws)) for draw in draws]
    task.worker.average(state.backbone)
    torch.nn.utils.clip_grad_norm_(state.backbone.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.schedule.step()
    state.averaged.update(state.backbone)
    return sum(losses) / len(losses)


def _backward(state: TrainState, task: Task, draw: BatchDraw, parts: int) -> float:
    """Add one batch's gradient, a `parts`-th of it; returns its loss."""
    config, device = task.config, task.worker.device
    preprocess = preprocess_for(config, draw.size)
    batch = task.recipe.batch(task.train_set, draw, preprocess, state.backbone, task.worker)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        output = state.backbone(batch.inputs.to(device))
    logits, targets = output.logits.float(), batch.targets.to(device)
    loss: Tensor = state.loss(logits, targets) + state.backbone.head.own_loss(output, targets)
    if output.affect is not None:
        loss = loss + config.affect_weight * affect_loss(output.affect.float(), batch.affect.to(device))
    (loss / parts).backward()  # type: ignore[no-untyped-call]
    if config.class_weights == "dynamic":
        state.loss.learn(task.worker.mean(state.loss.sums(logits, targets)))
    return float(loss.detach())
