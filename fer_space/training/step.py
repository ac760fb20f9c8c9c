"""One optimiser step: make the batch, run the network, follow the gradient, average the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fer_space.training.config import TrainConfig
from fer_space.training.losses import affect_loss
from fer_space.training.optim import sharpest_nearby
from fer_space.training.parallel import Worker
from fer_space.training.pictures import LabelledPictures
from fer_space.training.recipe import Batch, Recipe
from fer_space.training.start import preprocess_for
from fer_space.training.state import TrainState

GRADIENT_NORM = 5.0


@dataclass(frozen=True, eq=False)
class Task:
    """What a run works on, the same from its first step to its last.

    Attributes:
        config, train_set, valid_set: as read; pictures lie on the worker's device.
        recipe: what happens to a batch.
        worker: this process's place among those of the run.
    """

    config: TrainConfig
    train_set: LabelledPictures
    valid_set: LabelledPictures
    recipe: Recipe
    worker: Worker


def train_step(state: TrainState, task: Task, batches: Sequence[Tensor], size: int) -> Tensor:
    """One step on `batches` of positions int64 (B,), whose gradients are averaged.

    Returns float32 (2,) on the training device, which nobody waited for: the mean loss of this worker's share,
    and the share of its rows whose strongest emotion the network found.
    """
    draws = [task.recipe.draw(task.train_set, picks, size, state.rng) for picks in batches]
    state.optimizer.zero_grad(set_to_none=True)
    made, figures = [], []
    for draw in draws:
        preprocess = preprocess_for(task.config, draw.size)
        batch = task.recipe.batch(task.train_set, draw, preprocess, state.backbone, task.worker)
        figures.append(_backward(state, task, batch, len(draws), learns=True))
        made += [batch] if task.config.sam else []
    task.worker.average(state.backbone)
    if task.config.sam:
        with sharpest_nearby(state.backbone, task.config.sam):
            for batch in made:
                _backward(state, task, batch, len(draws), learns=False)
        task.worker.average(state.backbone)
    torch.nn.utils.clip_grad_norm_(state.backbone.parameters(), GRADIENT_NORM)
    state.optimizer.step()
    state.schedule.step()
    state.averaged.update()
    return torch.stack(figures).mean(dim=0)


def _backward(state: TrainState, task: Task, batch: Batch, parts: int, *, learns: bool) -> Tensor:
    """Add one batch's gradient, a `parts`-th of it; returns its loss and accuracy, see `train_step`.

    Dynamic class weights move where `learns` says so.
    """
    config = task.config
    with torch.autocast(task.worker.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        output = state.backbone(batch.inputs)
    logits, targets = output.logits.float(), batch.targets
    loss: Tensor = state.loss(logits, targets) + state.backbone.head.own_loss(output, targets)
    if output.affect is not None:
        loss = loss + config.affect_weight * affect_loss(output.affect.float(), batch.affect)
    (loss / parts).backward()  # type: ignore[no-untyped-call]
    if learns and config.class_weights == "dynamic":
        state.loss.learn(task.worker.mean(state.loss.sums(logits, targets)))
    right = (logits.detach().argmax(dim=1) == targets.argmax(dim=1)).float().mean()
    return torch.stack([loss.detach(), right])
