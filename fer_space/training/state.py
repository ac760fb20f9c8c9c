"""All that a run carries from one epoch to the next, and its checkpoint."""

import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fer_space.backbones.base import Backbone
from fer_space.errors import WeightsError
from fer_space.files import replacing
from fer_space.training.config import TrainConfig
from fer_space.training.losses import TrainingLoss
from fer_space.training.optim import AveragedWeights, build_optimizer, build_schedule


@dataclass
class TrainState:
    """Hold network, averaged network, loss, optimiser, schedule, random generator, and what happened so far.

    Attributes:
        has_emotions: whether there is an emotion to learn; else valence and arousal are all that is known.
        history: one row an epoch, as written to history.csv.
        best: validation figure of the best epoch so far, -1 before the first.
    """

    backbone: Backbone
    averaged: AveragedWeights
    loss: TrainingLoss
    optimizer: Optimizer
    schedule: LRScheduler
    rng: torch.Generator
    has_emotions: bool = True
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = -1.0

    @classmethod
    def start(
        cls, backbone: Backbone, config: TrainConfig, steps_per_epoch: int, counts: Tensor
    ) -> "TrainState":
        """Begin before the first epoch.

        Args:
            backbone: on the training device.
            config: of the run.
            steps_per_epoch: optimiser steps in an epoch.
            counts: float (K,), training faces of each emotion.
        """
        optimizer = build_optimizer(backbone, config)
        return cls(
            backbone=backbone,
            averaged=AveragedWeights(backbone, config.ema_decay),
            loss=TrainingLoss(config, counts).to(next(backbone.parameters()).device),
            optimizer=optimizer,
            schedule=build_schedule(optimizer, config, steps_per_epoch),
            rng=torch.Generator().manual_seed(config.seed),
            has_emotions=bool(counts.sum() > 0),
        )

    def save(self, path: Path) -> None:
        """Write the checkpoint; a crash while writing leaves the previous one whole."""
        values = {
            "backbone": self.backbone.state_dict(),
            "averaged": self.averaged.network.state_dict(),
            "loss": self.loss.state_dict(),
            "updates": self.averaged.updates,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": self.rng.get_state(),
            "history": self.history,
            "best": self.best,
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            torch.save(values, file)

    def restore(self, path: Path) -> None:
        """Continue exactly where `save` left off.

        Raises:
            WeightsError: the file is damaged, or it is of another network.
        """
        saved = load_checkpoint(path)
        try:
            self.backbone.load_state_dict(saved["backbone"])
            self.averaged.network.load_state_dict(saved["averaged"])
            self.loss.load_state_dict(saved["loss"])
            self.averaged.updates = saved["updates"]
            self.optimizer.load_state_dict(saved["optimizer"])
            self.schedule.load_state_dict(saved["schedule"])
            self.rng.set_state(saved["rng"])
            self.history, self.best = saved["history"], saved["best"]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise WeightsError(f"{path} is no checkpoint of this run.") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint: tensors and plain values only, no pickled code.

    The file is an archive with a checksum of each part, which torch itself does not look at.

    Raises:
        WeightsError: it is damaged, even by one flipped byte.
    """
    damaged = f"{path} is damaged: begin the run again in another --out, or bring back a copy of this file."
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise WeightsError(damaged)
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise WeightsError(damaged) from error
    if not isinstance(saved, dict):
        raise WeightsError(damaged)
    return saved
