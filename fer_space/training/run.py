"""A whole run from its config: read the data, build the network, train, calibrate."""

from dataclasses import dataclass
from pathlib import Path

import torch

from fer_space.backbones.base import Backbone
from fer_space.data import open_data
from fer_space.errors import InputError
from fer_space.labels import EMOTIONS
from fer_space.registry import backbone_spec
from fer_space.training.config import TrainConfig
from fer_space.training.finish import write_card
from fer_space.training.loop import initialise, open_run, preprocess_for, train
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.pictures import LabelledPictures


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
        train(
            self.config,
            self.train_set,
            self.valid_set,
            start_network(self.config),
            self.out,
            resume=self.resume,
            stop_after=self.stop_after,
            worker=worker,
        )


def run(config: TrainConfig, out: Path, *, resume: bool = False, stop_after: int = 0) -> None:
    """Train as `config` says into the folder `out`; see `fer_space.training.loop` for its files.

    With `stop_after` the run ends after that epoch, its schedule unfinished; 0 lets it run to its end.
    Raises InputError or DataError when the config or the data cannot be used.
    """
    if Path(config.init).parent.resolve() == out.resolve():
        raise InputError("A run cannot start from its own folder; choose another --out.")
    start_network(config)  # what is wrong with --backbone or --init is said before the data is read
    train_set, valid_set = read_pictures(config)
    open_run(config, out, resume=resume)
    run_workers(Job(config, train_set, valid_set, out, resume, stop_after), config.processes)
    write_card(config, train_set, valid_set, out)


def read_pictures(config: TrainConfig) -> tuple[LabelledPictures, LabelledPictures]:
    """Training and validation pictures as the network will see them."""
    preprocess = preprocess_for(config)
    train_set = open_data(config.data, "train", config.target)
    valid_set = open_data(config.data, "valid")
    return (
        LabelledPictures.read(train_set, preprocess, config.limit),
        LabelledPictures.read(valid_set, preprocess, config.limit),
    )


def start_network(config: TrainConfig) -> Backbone:
    """The network before its first step, the same for equal configs."""
    torch.manual_seed(config.seed)
    spec = backbone_spec(config.backbone)
    backbone = spec.build(len(EMOTIONS))
    initialise(backbone, spec, config.init)
    return backbone
