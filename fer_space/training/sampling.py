"""Which pictures an epoch shows: the order of one epoch, for balanced and long-tailed training sets."""

import torch
from torch import Tensor

from fer_space.training.config import Imbalance

POWER = {"balanced": 0.0, "sqrt": 0.5}


def epoch_length(labels: Tensor, imbalance: Imbalance) -> int:
    """How many pictures an epoch shows of labels int64 (N,), the same in every epoch."""
    counts = torch.bincount(labels)
    counts = counts[counts > 0]
    per_class = {"oversample": counts.max(), "undersample": counts.min()}.get(imbalance)
    return len(labels) if per_class is None else int(per_class) * len(counts)


def epoch_order(labels: Tensor, imbalance: Imbalance, rng: torch.Generator) -> Tensor:
    """Positions int64 (`epoch_length`,) into labels int64 (N,), in random order.

    `none` shows every picture once. `oversample` repeats the pictures of each emotion until all have as many
    as the most frequent one, `undersample` takes as many of each as the rarest has. `balanced` draws the
    emotion evenly and then a picture of it, N times with replacement; `sqrt` draws the emotion in proportion
    to the square root of its count (Mahajan et al. 2018, arXiv 1805.00932).
    """
    if imbalance == "none":
        return torch.randperm(len(labels), generator=rng)
    if imbalance in POWER:
        counts = torch.bincount(labels).float()
        chance = torch.where(counts > 0, counts ** (POWER[imbalance] - 1.0), torch.zeros_like(counts))
        return torch.multinomial(chance[labels], len(labels), replacement=True, generator=rng)
    present = torch.nonzero(torch.bincount(labels))[:, 0]
    each = epoch_length(labels, imbalance) // len(present)
    picked = torch.cat([_repeat(torch.nonzero(labels == k)[:, 0], each, rng) for k in present])
    return picked[torch.randperm(len(picked), generator=rng)]


def _repeat(positions: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` of the positions: all of them as often as they fit, then a random part once more."""
    rounds = -(-count // len(positions))
    return torch.cat([positions[torch.randperm(len(positions), generator=rng)] for _ in range(rounds)])[
        :count
    ]
