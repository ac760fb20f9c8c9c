"""A whole run from its config: read the data, build the network, train, calibrate."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from fer_space.data import open_data
from fer_space.data.faceset import FaceSet
from fer_space.errors import InputError
from fer_space.memory import keep_freed_memory
from fer_space.runtime.device import resolve_device
from fer_space.training.config import TrainConfig
from fer_space.training.finish import write_card
from fer_space.training.loop import train
from fer_space.training.parallel import Worker, launched_size, leads_launch, leave, run_workers
from fer_space.training.pictures import LabelledPictures
from fer_space.training.recipe import Recipe
from fer_space.training.sampling import times_shown
from fer_space.training.start import guide_for, open_run, preprocess_for, start_network, teaching_for
from fer_space.training.step import Task

EXAMPLES = 512


@dataclass(frozen=True, eq=False)
class Job:
    """What each worker process does. Pictures and network reach the workers through shared memory."""

    config: TrainConfig
    train_set: LabelledPictures
    valid_set: LabelledPictures
    out: Path
    resume: bool
    stop_after: int

    def __call__(self, worker: Worker) -> None:
        """Train a network of this worker's own."""
        keep_freed_memory()
        config = self.config
        recipe = Recipe.of(config, guide_for(config, worker.device), teaching_for(config, worker.device))
        task = Task(config, self.train_set, self.valid_set, recipe, worker)
        network = start_network(config, self.example_faces())
        train(task, network, self.out, resume=self.resume, stop_after=self.stop_after)

    def example_faces(self) -> Tensor:
        """Training faces from all over the set, normalised float (N, 3, S, S), by which norms are put back."""
        count = min(len(self.train_set), EXAMPLES)
        rows = torch.arange(count) * len(self.train_set) // count
        return preprocess_for(self.config).normalise(self.train_set.pictures[rows])


def run(
    config: TrainConfig, out: Path, *, resume: bool = False, stop_after: int = 0, device: str = "auto"
) -> None:
    """Train as `config` says into the folder `out`; see `fer_space.training.loop` for its files.

    With `stop_after` the run ends after that epoch, its schedule unfinished; 0 lets it run to its end.
    `device` is one of `fer_space.inference.DEVICES`. Under `accelerate launch` the launched processes share
    every batch, and end here.
    Raises InputError or DataError when the config or the data cannot be used.
    """
    if Path(config.init).is_file() and Path(config.init).parent.resolve() == out.resolve():
        raise InputError("A run cannot start from its own folder; choose another --out.")
    if launched_size():
        config = replace(config, processes=launched_size())
    place = resolve_device(device)
    if place.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    if config.processes > 1 and not launched_size() and place.type != "cpu":
        raise InputError("--processes share a CPU. For several GPUs use “accelerate launch”.")
    start_network(config)  # what is wrong with --backbone or --init is said before the data is read
    guide_for(config, torch.device("cpu"))
    teaching_for(config, torch.device("cpu"))
    train_set, valid_set = read_pictures(config)
    if leads_launch():
        open_run(config, out, resume=resume)
    run_workers(Job(config, train_set, valid_set, out, resume, stop_after), config.processes, place)
    if leads_launch():
        write_card(config, train_set, valid_set, out, place)
    if launched_size():
        leave()


def read_pictures(config: TrainConfig) -> tuple[LabelledPictures, LabelledPictures]:
    """Training and validation pictures as the network will see them."""
    preprocess = preprocess_for(config)
    train_set = open_data(config.data, "train", config.target, config.second_label)
    valid_set = open_data(config.data, "valid")
    if leads_launch():
        train_set.say_dropped()
        valid_set.say_dropped()
        say_shared(train_set, valid_set)
    read = [LabelledPictures.read(faces, preprocess, config.limit) for faces in (train_set, valid_set)]
    times_shown(read[0], config.sampling)  # names a set that is not there
    if min(len(pictures) for pictures in read) < config.processes:
        raise InputError(f"{config.data} has fewer pictures in a split than the run has processes.")
    if config.affect_weight and not read[0].affect.isfinite().any():
        raise InputError(f"{config.data} has no valence and arousal to learn: leave out --affect-weight.")
    return read[0], read[1]


def say_shared(train_set: FaceSet, valid_set: FaceSet) -> None:
    """Say on stderr when the epoch is chosen, and any later test made, on faces that are trained on."""
    if shared := len(set(train_set.files) & set(valid_set.files)):
        print(
            f"{train_set.name}: {shared:,} training faces are valid faces too. The set has no training split "
            "of its own, so what is measured on it says nothing about new faces.",
            file=sys.stderr,
        )
