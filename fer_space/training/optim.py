"""Optimiser, learning-rate schedule and averaged weights."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from fer_space.backbones.base import Backbone
from fer_space.training.config import TrainConfig


def build_optimizer(backbone: Backbone, config: TrainConfig) -> Optimizer:
    """Build the optimiser: body and head at their own rates, biases and norms without weight decay."""
    groups = []
    for part, rate in ((backbone.body, config.lr_body), (backbone.head, config.lr_head)):
        weights = [p for p in part.parameters() if p.requires_grad]
        decayed = [p for p in weights if p.ndim > 1]
        plain = [p for p in weights if p.ndim <= 1]
        groups.append({"params": decayed, "lr": rate, "weight_decay": config.weight_decay})
        groups.append({"params": plain, "lr": rate, "weight_decay": 0.0})
    on_gpu = next(backbone.parameters()).is_cuda
    fused, foreach = (True, None) if on_gpu else (None, True)  # one kernel for all weights, or for a few
    if config.optimizer == "sgd":
        return SGD(groups, momentum=0.9, nesterov=True, fused=fused, foreach=foreach)
    kind = Adam if config.optimizer == "adam" else AdamW
    return kind(groups, fused=fused, foreach=foreach)


def build_schedule(optimizer: Optimizer, config: TrainConfig, steps_per_epoch: int) -> LRScheduler:
    """Build the schedule of the rates, which is stepped after every optimiser step.

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
    """Keep the exponential moving average of all floating-point tensors of a network.

    The decay starts low, min(decay, (1 + t) / (10 + t)), so that the first average is not the
    initialisation. With decay 0 the average is the network itself.
    """

    def __init__(self, network: Backbone, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._pairs = _pairs(self.network, network)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network; counters are copied."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averaged, current, counters, counts = self._pairs
        torch._foreach_lerp_(averaged, current, 1 - decay)
        if counters:
            torch._foreach_copy_(counters, counts)


def _pairs(
    averaged: nn.Module, network: nn.Module
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Tensors of both that are averaged, then those that are copied: looked up once, not at every step."""
    mine, theirs = averaged.state_dict(), network.state_dict()
    floats = [name for name, tensor in mine.items() if tensor.is_floating_point()]
    rest = [name for name in mine if name not in set(floats)]
    return (
        [mine[name] for name in floats],
        [theirs[name] for name in floats],
        [mine[name] for name in rest],
        [theirs[name] for name in rest],
    )


@contextmanager
def sharpest_nearby(backbone: Backbone, radius: float) -> Iterator[None]:
    """Move weights to where the loss is largest nearby, for as long as the context lasts.

    Foret et al. 2021, arXiv 2010.01412, equation 2: radius times the gradient over its norm is added. Inside,
    gradients are empty again, and batch norms learn no statistics: they have seen these pictures already.
    """
    weights: list[Tensor] = [p for p in backbone.parameters() if p.grad is not None]
    gradients = [p.grad for p in weights if p.grad is not None]
    with torch.no_grad():
        kept = [p.detach().clone() for p in weights]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        torch._foreach_mul_(gradients, radius / (norm + 1e-12))
        torch._foreach_add_(weights, gradients)
    norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for module in norms:
        module.momentum = 0.0
    backbone.zero_grad(set_to_none=True)
    try:
        yield
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        with torch.no_grad():
            torch._foreach_copy_(weights, kept)
