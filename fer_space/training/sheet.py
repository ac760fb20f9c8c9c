"""What training does to faces, to look at: a row a face, a column a step, with the target that results.

fer-space plot augment ferplus:DIR -o sheet.png
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_space.emotions import EMOTIONS
from fer_space.model import Model
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Recipe

LOOK = ("rotate", "zoom", "shift", "brightness", "contrast", "flip", "erase")
STILL: dict[str, Any] = dict.fromkeys(LOOK, 0.0)
STEPS: dict[str, dict[str, Any]] = {
    "as they are": {},
    "augmented": {name: TrainConfig.model_fields[name].default for name in LOOK},
    "mixup": {"mix": "mixup"},
    "CutMix": {"mix": "cutmix"},
    "SnapMix": {"mix": "snapmix"},
    "Attentive CutMix": {"mix": "attentive-cutmix"},
    "cameras": {"gamma": 1.0, "blur": 1.0, "noise": 1.0, "jpeg": 1.0},
    "masks": {"mask": 1.0},
    "upper face": {"upper": 1.0},
}

SheetRow = tuple[str, list[NDArray[np.uint8]], list[str]]


def sheet_rows(faces: LabelledPictures, guide: Model, seed: int = 27) -> list[SheetRow]:
    """Make every step of `STEPS` on the same faces.

    Args:
        faces: a handful; each is mixed with the one before it.
        guide: whose attention SnapMix and Attentive CutMix follow.
        seed: of what is sampled; with the default, mixup shows both faces.

    Returns:
        For each face its emotion, a picture uint8 (S, S, 3) a step, and a caption a picture, as
        `draw_sheet` takes them.
    """
    base = TrainConfig(backbone="efficientnet_lite0", data="none:none", mix_share=1.0, **STILL)
    columns = [_column(faces, base.changed(**changes), guide, seed) for changes in STEPS.values()]
    rows = []
    for i, label in enumerate(faces.labels.tolist()):
        captions = [f"{title}\n{targets[i]}" for title, (_, targets) in zip(STEPS, columns, strict=True)]
        rows.append((EMOTIONS[label], [pictures[i] for pictures, _ in columns], captions))
    return rows


def _column(
    faces: LabelledPictures, config: TrainConfig, guide: Model, seed: int
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    recipe, rng = Recipe.of(config, guide), torch.Generator().manual_seed(seed)
    preprocess = guide.card.preprocess
    size = preprocess.input_size
    params = recipe.sample(faces, torch.arange(len(faces)), size, rng)
    batch = recipe.batch(faces, params, preprocess, guide.network, Worker())
    pictures = preprocess.pictures(batch.inputs).permute(0, 2, 3, 1).numpy()
    return list(pictures), [_caption(target) for target in batch.targets]


def _caption(target: Tensor) -> str:
    """The two strongest emotions of a target float (K,)."""
    best = target.argsort(descending=True)[:2].tolist()
    return "\n".join(f"{EMOTIONS[k]} {target[k]:.2f}" for k in best if target[k] > 0)
