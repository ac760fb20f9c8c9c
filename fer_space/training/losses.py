"""Losses on logits (B, K) and targets (B, K); each returns the mean over the batch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from fer_space.data.ferplus import TargetMode

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy with target distributions, rows summing to 1."""
    return functional.cross_entropy(logits, targets)


def any_accepted(logits: Tensor, targets: Tensor) -> Tensor:
    """Multi-label loss of Barsoum et al. 2016, equation 3: any accepted emotion is a right answer.

    Minus the log of the largest probability among the emotions whose target is positive.
    """
    log_probabilities = functional.log_softmax(logits, dim=1)
    accepted = log_probabilities.masked_fill(targets <= 0, -torch.inf)
    return -accepted.amax(dim=1).mean()


def draw_labels(targets: Tensor, rng: torch.Generator) -> Tensor:
    """Draw a one-hot label (B, K) from each target distribution (probabilistic label drawing)."""
    drawn = torch.multinomial(targets, 1, generator=rng).squeeze(1)
    return functional.one_hot(drawn, targets.shape[1]).to(targets.dtype)


def smooth(targets: Tensor, amount: float) -> Tensor:
    """Spread the share `amount` of each target evenly over all emotions."""
    return targets * (1 - amount) + amount / targets.shape[1]


def loss_for(target: TargetMode) -> Loss:
    """The loss that belongs to a way of reading the votes."""
    return any_accepted if target == "multi" else cross_entropy
