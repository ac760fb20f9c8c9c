"""Optimiser, learning-rate schedule and averaged weights."""

import copy

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from fer_space.backbones.base import Backbone
from fer_space.training.config import TrainConfig


def build_optimizer(backbone: Backbone, config: TrainConfig) -> Optimizer:
    """Body and head at their own rates; biases and norms (one-dimensional) without weight decay."""
    groups = []
    for part, rate in ((backbone.body, config.lr_body), (backbone.head, config.lr_head)):
        weights = [p for p in part.parameters() if p.requires_grad]
        decayed = [p for p in weights if p.ndim > 1]
        plain = [p for p in weights if p.ndim <= 1]
        groups.append({"params": decayed, "lr": rate, "weight_decay": config.weight_decay})
        groups.append({"params": plain, "lr": rate, "weight_decay": 0.0})
    if config.optimizer == "sgd":
        return SGD(groups, momentum=0.9, nesterov=True, foreach=True)
    return AdamW(groups, foreach=True)


def build_schedule(optimizer: Optimizer, config: TrainConfig, steps_per_epoch: int) -> LRScheduler:
    """A schedule that is stepped after every batch.

    `onecycle` (Smith & Topin 2017, arXiv 1708.07120) rises for `config.warmup` of the steps, if that is more
    than one, and falls along a cosine; `cosine` falls from the start; `step` divides by ten at 60 % and at
    85 %.
    """
    total = steps_per_epoch * config.epochs
    if config.schedule == "onecycle":
        rates = [group["lr"] for group in optimizer.param_groups]
        rising = config.warmup * total
        return OneCycleLR(
            optimizer,
            max_lr=rates,
            total_steps=total,
            pct_start=config.warmup if rising > 1.0 else 0.0,  # torch divides by rising - 1
            cycle_momentum=False,
            final_div_factor=100,
        )
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=total)
    return MultiStepLR(optimizer, [int(total * 0.6), int(total * 0.85)])


class AveragedWeights:
    """Exponential moving average of all floating-point tensors of a network.

    The decay starts low, min(decay, (1 + t) / (10 + t)), so that the first average is not the
    initialisation. With decay 0 the average is the network itself.
    """

    def __init__(self, network: Backbone, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards `network`; counters are copied."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averaged, current = self.network.state_dict(), network.state_dict()
        floats = [name for name, tensor in averaged.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[n] for n in floats], [current[n] for n in floats], 1 - decay)
        for name in averaged.keys() - set(floats):
            averaged[name].copy_(current[name])


def parameter_state(network: nn.Module) -> dict[str, Tensor]:
    """A packed copy of every tensor of the network, for saving."""
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
    }
