"""Does making batches starve training? Pictures a second of whole steps, against steps on one fixed batch.

    python benchmarks/feeding.py

Faces are random bytes, as large as those of FERPlus, so that no data set is needed. Prints one JSON line a
recipe. `share` is the speed of whole steps in parts of the bare ones: 1 means that sampling, augmenting,
covering and mixing cost nothing. SnapMix and Attentive CutMix also run a network to know where it looks;
that is part of the method, and of `share`. Rounds of both kinds take turns, since machines are shared.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from fer_space.emotions import EMOTIONS
from fer_space.model import load_model
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.initialise import start_of
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Batch, Recipe
from fer_space.training.state import TrainState
from fer_space.training.trainer import Task, train_step

RECIPES: dict[str, dict[str, Any]] = {
    "augmentation": {},
    "masks": {"mask": 0.5},
    "cameras": {"blur": 0.5, "jpeg": 0.5, "noise": 0.5, "gamma": 0.5},
    "CutMix": {"mix": "cutmix"},
    "SnapMix": {"mix": "snapmix"},
    "Attentive CutMix": {"mix": "attentive-cutmix"},
}


class FixedBatch(Recipe):
    """A recipe whose batch is made once."""

    kept: Batch | None = None

    def batch(self, *args: Any) -> Batch:
        """The first batch, again and again."""
        if self.kept is None:
            object.__setattr__(self, "kept", super().batch(*args))
        assert self.kept is not None
        return self.kept


def random_faces(count: int) -> LabelledPictures:
    """Gray faces of 48 px with one label each."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(len(EMOTIONS), (count,), generator=rng)
    return LabelledPictures(
        torch.randint(256, (count, 1, 48, 48), generator=rng, dtype=torch.uint8),
        labels,
        torch.eye(len(EMOTIONS))[labels],
        torch.full((count, 2), torch.nan),
    )


def step_of(config: TrainConfig, faces: LabelledPictures, recipe: Recipe) -> Callable[[], object]:
    """A function that takes one training step."""
    network = start_of(config).network.to(memory_format=torch.channels_last).train()
    state = TrainState.start(network, config, 10_000, faces.targets.sum(dim=0))
    task, picks = Task(config, network, recipe, faces, faces, Path()), torch.arange(config.batch_size)
    return lambda: train_step(state, task, Worker(), [picks], config.size)


def seconds(job: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


def main() -> None:
    """Measure every recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=96, help="side of the network's input in pixels")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    base = TrainConfig(
        backbone="efficientnet_lite0", data="none:none", batch_size=64, size=args.size, init="none"
    )
    faces = random_faces(base.batch_size)
    for name, change in RECIPES.items():
        config = base.changed(**change)
        guide = load_model(config.guide, device="cpu") if config.mix == "attentive-cutmix" else None
        whole = step_of(config, faces, Recipe.of(config, guide))
        bare = step_of(config, faces, FixedBatch.of(config, guide))
        for job in (whole, bare):
            job()
        pairs = [(seconds(whole), seconds(bare)) for _ in range(args.rounds)]
        whole_s, bare_s = (statistics.median(column) for column in zip(*pairs, strict=True))
        record = {
            "recipe": name,
            "size": args.size,
            "pictures_a_second": round(config.batch_size / whole_s, 1),
            "bare_pictures_a_second": round(config.batch_size / bare_s, 1),
            "share": round(bare_s / whole_s, 3),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
