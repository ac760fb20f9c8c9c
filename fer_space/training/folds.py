"""Cross-validation: a run on some faces that then reads others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.files import replacing
from fer_space.training.data import LabelledPictures
from fer_space.training.initialise import preprocess_for
from fer_space.training.parallel import Worker
from fer_space.training.trainer import Task, train
from fer_space.vision.preprocess import Preprocess

Read = Callable[[Backbone, Preprocess, Tensor], NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False)
class Fold:
    """Train on the faces of a task, then read held-out ones into a file of its folder.

    Attributes:
        task: the run.
        held_out: faces that the run must not see.
        read: gives an array, by network, preprocessing and pictures uint8 (N, C, n, n); a function of a
            module, because other processes call it.
        file: name of the .npy that keeps the array.
    """

    task: Task
    held_out: LabelledPictures
    read: Read
    file: str

    def __call__(self, worker: Worker) -> None:
        """Train and read, in each worker of the run; see `fer_space.training.parallel.run_workers`."""
        state = train(self.task, worker)
        if worker.leads:
            preprocess = preprocess_for(self.task.config)
            values = self.read(state.averaged.network, preprocess, self.held_out.pictures)
            with replacing(self.task.out / self.file) as temporary, temporary.open("wb") as file:
                np.save(file, values)
