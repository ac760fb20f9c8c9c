"""A whole run from its config: read the data, build the network, train, calibrate."""

from dataclasses import dataclass
from pathlib import Path

import torch

from fer_space.backbones.base import Backbone
from fer_space.data import open_data
from fer_space.labels import EMOTIONS
from fer_space.registry import backbone_spec
from fer_space.training.config import TrainConfig
from fer_space.training.finish import write_card
from fer_space.training.loop import initialise, preprocess_for, train
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.pictures import LabelledPictures


@dataclass(frozen=True)
class Job:
    """What each worker process does."""

    config: TrainConfig
    out: Path
    resume: bool
    stop_after: int

    def __call__(self, worker: Worker) -> None:
        """Train; the leading worker calibrates and writes the card."""
        train_set, valid_set = read_pictures(self.config)
        train(
            self.config,
            train_set,
            valid_set,
            start_network(self.config),
            self.out,
            resume=self.resume,
            stop_after=self.stop_after,
            worker=worker,
        )
        if worker.leads:
            write_card(self.config, train_set, valid_set, self.out)


def run(
    config: TrainConfig, out: Path, *, resume: bool = False, stop_after: int = 0, processes: int = 1
) -> None:
    """Train as `config` says into the folder `out`; see `fer_space.training.loop` for its files.

    With `stop_after` the run ends after that epoch, its schedule unfinished; 0 lets it run to its end.

    Raises InputError or DataError when the config or the data cannot be used.
    """
    run_workers(Job(config, out, resume, stop_after), processes)


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
    backbone = backbone_spec(config.backbone).build(len(EMOTIONS))
    initialise(backbone, config.init)
    return backbone
