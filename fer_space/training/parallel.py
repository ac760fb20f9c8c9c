"""Several processes on one training run: each takes its share of every batch.

All processes draw the same random numbers, so they agree on every batch and every augmentation without
talking; only gradients and running statistics are exchanged. On a CPU two processes of one thread each
finish a step of a small network sooner than one process of two threads, whose threads wait for each other
after every layer.

The processes are started here (`--processes`), or by `accelerate launch`, on one or several GPUs or machines.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from types import FrameType
from typing import Any, NoReturn

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import ProcessException, ProcessExitedException, spawn
from tqdm import tqdm

from fer_space.errors import FerSpaceError, TrainingError
from fer_space.files import replacing

FAILURE = "failure.txt"
JOB = "job.pt"
GRACE_S = 20.0  # in which an interrupted process ends by itself
HUP = getattr(signal, "SIGHUP", None)  # of a closed terminal; Windows has none
ENDING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HUP) if number is not None)


@dataclass(frozen=True)
class Worker:
    """Stand for one process of a run, number `rank` among `size`, on `device`; number 0 writes the files."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """Take the rows of a batch that fall to this process: every `size`-th from `rank` on."""
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
        """Average each number over all processes, float of any shape."""
        if self.size == 1:
            return value
        total = value.to(self.device)
        distributed.all_reduce(total)
        return total / self.size

    def merge(self, rows: Tensor, count: int) -> Tensor:
        """Put the rows that each process computed for its `share` of `count` rows back in order."""
        if self.size == 1:
            return rows
        merged = torch.zeros(count, *rows.shape[1:], dtype=rows.dtype, device=self.device)
        merged[self.rank :: self.size] = rows.to(self.device)
        distributed.all_reduce(merged)
        return merged.to(rows.device)


def launched_size() -> int:
    """Count the processes that `accelerate launch` started for this run; 0 when it did not."""
    return int(os.environ.get("WORLD_SIZE", "0"))


def leads_launch() -> bool:
    """Whether this is the first of the launched processes, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def run_workers(job: Callable[[Worker], None], size: int, device: torch.device) -> None:
    """Run `job` in `size` processes: in this one, in new ones of one thread each, or as launched.

    New processes all work on the CPU; launched ones take a device of the kind of `device` each.

    Raises:
        TrainingError: one of the new processes failed or was killed.
        OutputError: there is no room for what they work on in the system's folder of temporary files.
    """
    if launched_size():
        job(_launched(device))
        _part()
        return
    if size == 1:
        job(Worker(device=device))
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        # Through a file, which each process maps: shared memory is as small as 64 MB in a container.
        with replacing(folder / JOB) as temporary, temporary.open("wb") as file:
            torch.save(job, file)
        try:
            _run(folder, size)
        except ProcessException as error:
            raise TrainingError(_loss_of(folder, error)) from error


def _run(folder: Path, size: int) -> None:
    """Start the processes and wait for them; however that ends, none of them is left."""
    context = None
    try:
        # The new ones are born with it: while they import they are not stopped.
        with _interrupts("SIG_BLOCK"):
            context = spawn(_enter, args=(size, folder), nprocs=size, join=False)  # type: ignore[no-untyped-call]
        while not context.join():
            pass
    finally:
        if context is not None:  # an interrupt that waited comes before the first join
            _end(context)


def _launched(device: torch.device) -> Worker:
    """The place of this process among those that `accelerate launch` started."""
    from accelerate import PartialState

    state = PartialState(cpu=device.type == "cpu")
    return Worker(state.process_index, state.num_processes, state.device)


def _end(context: Any) -> None:
    """Tell all processes to end, which they may know already, wait for them, and tidy up."""
    for process in context.processes:
        process.terminate()
    until = time.monotonic() + GRACE_S
    for process in context.processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
        process.join()
    for file in context.error_files:  # torch leaves them
        Path(file).unlink(missing_ok=True)


@contextmanager
def _interrupts(how: str) -> Iterator[None]:
    """Have signals that end a run wait, or come, as long as this lasts; nothing where they cannot."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # whose own start would undo this
    before = signal.pthread_sigmask(getattr(signal, how), ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _enter(rank: int, size: int, folder: Path) -> None:
    with _interrupts("SIG_UNBLOCK"):  # what waited comes here, where `spawn` ends a process without a word
        _work(rank, size, folder)


def _work(rank: int, size: int, folder: Path) -> None:
    _end_at_first_signal()
    torch.set_num_threads(1)
    tqdm.set_lock(RLock())  # its own is a semaphore of the system, which `leave` would leave behind
    job: Callable[[Worker], None] = torch.load(folder / JOB, weights_only=False, mmap=True)
    meeting = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    try:
        job(Worker(rank, size))
    except FerSpaceError as error:
        (folder / FAILURE).write_text(str(error), encoding="utf-8")
        distributed.destroy_process_group()
        raise
    except KeyboardInterrupt:
        leave()
    except BaseException:
        distributed.destroy_process_group()
        raise
    _part()
    leave()


def _end_at_first_signal() -> None:
    """Have the first signal end what is being written, too, and those behind it not break that off."""
    # torch sends SIGINT when the parent dies: it is heeded also where the & of a script had it ignored.
    heeded = [number for number in ENDING if number != HUP or signal.getsignal(number) != signal.SIG_IGN]

    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:  # setting SIG_IGN here would have Python complain of a signal that has come by then
            told = True
            raise KeyboardInterrupt

    for number in heeded:
        signal.signal(number, end)


def _loss_of(folder: Path, error: ProcessException) -> str:
    """Why a process was lost: what it said itself, or how it ended."""
    said = folder / FAILURE
    if said.is_file():
        return said.read_text(encoding="utf-8")
    if isinstance(error, ProcessExitedException):
        how = error.signal_name or f"exit status {error.exit_code}"
        return (
            f"A worker process of the run was lost ({how}), perhaps for want of memory; --resume continues."
        )
    return f"A worker process of the run failed: {str(error).strip().splitlines()[-1]}"


def _part() -> None:
    """Leave the group of processes, together: nobody goes while another still talks."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def leave() -> NoReturn:
    """End a process of several, its work done or broken off, without the interpreter's own end.

    That races with threads of torch, and now and then aborts; on a busy machine it takes many seconds.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
