"""What reading a face costs: parameters, multiply-adds, and time on one core.

Times are ratios to one model, all measured in turns in one run, because machines differ and are shared.
"""

import copy
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from fer_space.model import Model

ROUNDS = 15
UNMEASURED = 3
REFERENCE = "efficientnet_lite0"


class Cost(NamedTuple):
    """What a model costs: weights and biases, multiply-adds for one face, time as a multiple of another's."""

    parameters: int
    multiply_adds: int
    time: float


def gray_face(model: Model, count: int = 1) -> torch.Tensor:
    """Make gray faces as `Model.reduce` leaves them, uint8 (count, C, n, n)."""
    preprocess = model.card.preprocess
    side, channels = preprocess.native_size, 1 if preprocess.gray else 3
    return torch.full((count, channels, side, side), 128, dtype=torch.uint8)


@torch.no_grad()
def multiply_adds(model: Model) -> int:
    """Count multiplications with additions in convolutions, linear layers and attention, for one face.

    Args:
        model: the face is read once, without its mirror image.
    """
    network = copy.deepcopy(model.network).to("meta")  # counted from shapes alone
    inputs = model.card.preprocess.normalise(gray_face(model)).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(inputs)
    return int(counter.get_total_flops()) // 2


def milliseconds(models: Mapping[str, Model]) -> dict[str, float]:
    """Time the reading of one face with its mirror image on one core, models taking turns.

    Returns:
        Medians by name.
    """
    times: dict[str, list[float]] = {name: [] for name in models}
    with one_thread():
        for _ in range(ROUNDS + UNMEASURED):
            for name, model in models.items():
                face = gray_face(model)
                started = time.perf_counter()
                model.logits(face)
                times[name].append((time.perf_counter() - started) * 1000.0)
    return {name: statistics.median(spent[UNMEASURED:]) for name, spent in times.items()}


def reference_of(names: Sequence[str]) -> str:
    """Name the model whose time is 1: Lite0, or the first where it is missing; "" where there is none."""
    return REFERENCE if REFERENCE in names else next(iter(names), "")


def costs_of(models: Mapping[str, Model]) -> dict[str, Cost]:
    """Measure what each model costs, by name, relative to `reference_of` them."""
    spent = milliseconds(models)
    base = spent.get(reference_of(list(models)), 1.0)
    return {
        name: Cost(model.card.parameters, multiply_adds(model), round(spent[name] / base, 2))
        for name, model in models.items()
    }


def cost_of_all(costs: Mapping[str, Cost], members: Sequence[str]) -> Cost | None:
    """Add up what several models cost together, or None where the cost of one is not known."""
    if not costs.keys() >= set(members):
        return None
    parameters, operations, times = zip(*(costs[name] for name in members), strict=True)
    return Cost(sum(parameters), sum(operations), round(sum(times), 2))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, and networks that are converted or loaded meanwhile, compute on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
