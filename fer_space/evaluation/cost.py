"""What reading a face costs: parameters, multiply-adds, and time on one core.

Times are ratios to one backbone, all measured in turns in one run, because machines differ and are shared.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from fer_space.backbones.base import Backbone
from fer_space.inference import logits_of
from fer_space.vision.preprocess import Preprocess

ROUNDS = 15
UNMEASURED = 3


class Network(NamedTuple):
    """A network in evaluation mode on the CPU, and how it wants its pictures."""

    backbone: Backbone
    preprocess: Preprocess

    def face(self) -> torch.Tensor:
        """A gray face uint8 (1, C, n, n), as `Preprocess.reduce` leaves one."""
        side, channels = self.preprocess.native_size, 1 if self.preprocess.gray else 3
        return torch.full((1, channels, side, side), 128, dtype=torch.uint8)


@torch.no_grad()
def multiply_adds(network: Network) -> int:
    """Multiplications with additions in convolutions, linear layers and attention, for one face read once."""
    inputs = network.preprocess.normalise(network.face())
    with FlopCounterMode(display=False) as counter:
        network.backbone(inputs)
    return int(counter.get_total_flops()) // 2


def milliseconds(networks: Mapping[str, Network]) -> dict[str, float]:
    """Median time of reading one face with its mirror image on one core, backbones taking turns."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    with _one_thread():
        for _ in range(ROUNDS + UNMEASURED):
            for name, network in networks.items():
                face = network.face()
                started = time.perf_counter()
                logits_of(*network, face)
                times[name].append((time.perf_counter() - started) * 1000.0)
    return {name: statistics.median(spent[UNMEASURED:]) for name, spent in times.items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
