"""Several processes on one training run: each takes its share of every batch.

All processes draw the same random numbers, so they agree on every batch and every augmentation without
talking; only gradients and running statistics are exchanged. On a CPU two processes of one thread each
finish a step of a small network sooner than one process of two threads, whose threads wait for each other
after every layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn


@dataclass(frozen=True)
class Worker:
    """One process of a run, number `rank` among `size`; number 0 writes the files."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """The rows of a batch that fall to this process: every `size`-th from `rank` on."""
        return rows[self.rank :: self.size]

    @torch.no_grad()
    def average(self, network: nn.Module) -> None:
        """Replace gradients and floating-point buffers by their means over all processes."""
        if self.size == 1:
            return
        tensors = [p.grad for p in network.parameters() if p.grad is not None]
        tensors += [b for b in network.buffers() if b.is_floating_point()]
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        pieces = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, piece in zip(tensors, pieces, strict=True):
            tensor.copy_(piece.view(tensor.shape))

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value / self.size

    def merge(self, rows: Tensor, count: int) -> Tensor:
        """Put the rows that each process computed for its `share` of `count` rows back in order."""
        if self.size == 1:
            return rows
        merged = rows.new_zeros(count, *rows.shape[1:])
        merged[self.rank :: self.size] = rows
        distributed.all_reduce(merged)
        return merged


def run_workers(job: Callable[[Worker], None], size: int) -> None:
    """Run `job` in `size` processes of one thread each (in this process if `size` is 1)."""
    if size == 1:
        job(Worker())
        return
    with TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        spawn(_enter, args=(job, size, meeting), nprocs=size)  # type: ignore[no-untyped-call]


def _enter(rank: int, job: Callable[[Worker], None], size: int, meeting: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        job(Worker(rank, size))
    finally:
        distributed.destroy_process_group()
