"""Which pictures an epoch shows: the order of one epoch, for balanced, long-tailed and joined training sets."""

import torch
from torch import Tensor

from fer_space.errors import InputError
from fer_space.training.config import Imbalance, parse_shares
from fer_space.training.pictures import LabelledPictures

POWER = {"balanced": 0.0, "sqrt": 0.5}


def times_shown(faces: LabelledPictures, sampling: str) -> Tensor | None:
    """How often an epoch shows each face, float32 (N,), as `TrainConfig.sampling` says; None for all once.

    Raises InputError for a set that is not among the joined ones.
    """
    shares = parse_shares(sampling)
    names = [member.name for member in faces.members]
    if unknown := [name for name in shares if name not in names]:
        raise InputError(f"--sampling: there is no set “{unknown[0]}” in --data, only {', '.join(names)}.")
    if not shares:
        return None
    times = torch.ones(len(faces))
    for number, name in enumerate(names):
        times[faces.of_member(number)] = shares.get(name, 1.0)
    return times


def epoch_length(labels: Tensor, imbalance: Imbalance, times: Tensor | None = None) -> int:
    """How many pictures an epoch shows of labels int64 (N,), the same in every epoch."""
    if times is not None:
        labels = labels[_repeated(times, None)]
    counts = torch.bincount(labels)
    counts = counts[counts > 0]
    per_class = {"oversample": counts.max(), "undersample": counts.min()}.get(imbalance)
    return len(labels) if per_class is None else int(per_class) * len(counts)


def epoch_order(
    labels: Tensor, imbalance: Imbalance, rng: torch.Generator, times: Tensor | None = None
) -> Tensor:
    """Positions int64 (`epoch_length`,) into labels int64 (N,), in random order.

    `none` shows every picture once. `oversample` repeats the pictures of each emotion until all have as many
    as the most frequent one, `undersample` takes as many of each as the rarest has. `balanced` samples the
    emotion evenly and then a picture of it, N times with replacement; `sqrt` samples the emotion in proportion
    to the square root of its count (Mahajan et al. 2018, arXiv 1805.00932).

    `times` float (N,) says how often a picture stands in the set before any of this: 2.5 twice, and half of
    the pictures of its kind a third time, others in each epoch.
    """
    if times is not None:
        places = _repeated(times, rng)
        length = epoch_length(labels, imbalance, times)
        return places[epoch_order(labels[places], imbalance, rng)][:length]
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


def _repeated(times: Tensor, rng: torch.Generator | None) -> Tensor:
    """Positions int64 (M,) in which each one stands `times` float (N,) times, M the same whatever is random.

    The part behind the point falls to a random part of the positions with one number of times, or without a
    generator to the first of them.
    """
    parts = []
    for number in times.unique().tolist():
        positions = torch.nonzero(times == number)[:, 0]
        whole, rest = int(number), round((number - int(number)) * len(positions))
        parts += [positions] * whole
        if rest and rng is not None:
            parts.append(positions[torch.randperm(len(positions), generator=rng)[:rest]])
        elif rest:
            parts.append(positions[:rest])
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _repeat(positions: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` of the positions: all of them as often as they fit, then a random part once more."""
    rounds = -(-count // len(positions))
    return torch.cat([positions[torch.randperm(len(positions), generator=rng)] for _ in range(rounds)])[
        :count
    ]
