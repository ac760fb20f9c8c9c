"""The end of a run: calibrate on validation and write the card.

fer-space train ... --out runs/lite0        writes runs/lite0/card.json
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import backbone_spec
from fer_space.data import split_data, without_paths
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, WeightsError
from fer_space.evaluation.calibration import fit_adjustment, fit_temperature
from fer_space.evaluation.metrics import accuracy, balanced_accuracy, ece
from fer_space.inference import logits_of
from fer_space.training.config import TrainConfig
from fer_space.training.pictures import LabelledPictures
from fer_space.training.start import empty_network, preprocess_for
from fer_space.vision.alignment import CropRule
from fer_space.weights import Card, read_card, sha256_of

CPU = torch.device("cpu")
CROPPED = "crops are aligned by dlib's 68-point predictor, whose training set excludes commercial use."
TERMS = {
    "ferplus": "They learned from FER-2013, whose pictures are for research use",
    "fer2013": "They learned from FER-2013, whose pictures are for research use",
}


def licence_of(kinds: tuple[str, ...]) -> str:
    """What one may do with weights that learned from these kinds of data."""
    terms = dict.fromkeys(
        TERMS.get(kind, f"They learned from {kind} data, whose own terms hold") for kind in kinds
    )
    return f"MIT for the weights. {'; '.join(terms)}; {CROPPED}"


def write_card(
    config: TrainConfig,
    train_set: LabelledPictures,
    valid_set: LabelledPictures,
    out: Path,
    device: torch.device = CPU,
) -> Card:
    """Calibrate `out/best.safetensors` on the validation split, read on `device`, and write `out/card.json`.

    The card names the emotions that the training faces taught; `export` drops the other columns of the head.
    Raises InputError when no validation face shows one of them.
    """
    columns = torch.nonzero(train_set.present)[:, 0].tolist()
    card = calibrated(config, columns, train_set.targets[:, columns].mean(dim=0), valid_set, out, device)
    (out / "card.json").write_text(card.to_json(), encoding="utf-8")
    return card


def finished_network(config: TrainConfig, columns: list[int], out: Path) -> Backbone:
    """The network of `out/best.safetensors` with the emotions at `columns` of `EMOTIONS` alone."""
    backbone = empty_network(config)
    backbone.load_state_dict(load_file(out / "best.safetensors"))
    backbone.head.keep_classes(columns)
    return backbone.eval()


def calibrated(
    config: TrainConfig,
    columns: list[int],
    priors: Tensor,
    valid_set: LabelledPictures,
    out: Path,
    device: torch.device = CPU,
) -> Card:
    """The card of a trained network: bias, temperature and validation scores as the app will read faces.

    `priors` float (K,) is the share of each emotion at `columns` in the training targets. Validation faces
    that show another emotion take no part, nor do those of another set than the first.
    """
    backbone, preprocess = finished_network(config, columns, out).to(device), preprocess_for(config)
    first = next(n for n in range(len(valid_set.members)) if valid_set.of_member(n).any())
    shown = torch.isin(valid_set.labels, torch.tensor(columns)) & valid_set.of_member(first)
    if not shown.any():
        raise InputError("No validation face shows an emotion that was trained: nothing can be calibrated.")
    labels = torch.searchsorted(torch.tensor(columns), valid_set.labels[shown])
    logits = logits_of(backbone, preprocess, valid_set.pictures[shown])
    bias = fit_adjustment(logits, labels, priors)
    temperature = fit_temperature(logits + bias, labels)
    kinds = tuple(kind for kind, _ in split_data(config.data))
    card = Card(
        name=config.backbone,
        architecture=backbone_spec(config.backbone).target,
        labels=tuple(EMOTIONS[column] for column in columns),
        preprocess=preprocess,
        crop=CropRule(),
        bias=tuple(round(value, 4) for value in bias.tolist()),
        temperature=round(temperature, 4),
        affect=config.affect_weight > 0,
        parameters=backbone.parameter_count(),
        sha256=sha256_of(out / "best.safetensors"),
        data="+".join(kinds),
        licence=licence_of(kinds),
        command=command_of(config, str(out)),
    )
    plain = replace(card, bias=(0.0,) * len(columns), temperature=1.0)
    warm = replace(card, temperature=1.0)
    rows = {"plain": plain, "before_temperature": warm, "calibrated": card}
    results = {name: summary(c.probabilities(logits), labels.numpy()) for name, c in rows.items()}
    return replace(card, results={"valid": results})


def summary(probabilities: Tensor, labels: NDArray[np.int64]) -> dict[str, float]:
    """A few scores for the card."""
    rows = probabilities.numpy()
    return {
        "n": len(labels),
        "accuracy": round(accuracy(rows, labels), 5),
        "balanced_accuracy": round(balanced_accuracy(rows, labels), 5),
        "ece": round(ece(rows, labels), 5),
    }


def command_of(config: TrainConfig, out: str = "RUN") -> str:
    """The command line that repeats a run, after those of the runs that it started from.

    The data's path is replaced by DIR. A run that was stopped early says so.
    """
    words = [
        "fer-space train",
        f"--backbone {config.backbone}",
        f"--data {without_paths(config.data)}",
        f"--out {out}",
    ]
    defaults = TrainConfig(backbone=config.backbone, data=config.data).to_dict()
    changed = {key: value for key, value in config.to_dict().items() if value != defaults[key]}
    words += [_option(key.replace("_", "-"), value) for key, value in changed.items()]
    return " && ".join([*_earlier(config.init, config.backbone), " ".join(words)])


def _earlier(init: str, backbone: str) -> list[str]:
    """The commands behind a file that a run starts from: of a run's folder, or of an exported network.

    An exported network of another name is named by its file alone; one of the same name the run may replace.
    """
    run = Path(init).parent / "config.json"
    if run.is_file():
        before = TrainConfig.from_dict(json.loads(run.read_text(encoding="utf-8")))
        epochs = len((run.parent / "history.csv").read_text(encoding="utf-8").splitlines()) - 1
        stopped = f" --stop-after {epochs}" if epochs < before.epochs else ""
        return [command_of(before, str(run.parent)) + stopped]
    if Path(init).stem != backbone:
        return []
    try:
        command = read_card(backbone, Path(init).parent).command
    except WeightsError:
        return []
    return [command, f"fer-space export {command.split('--out ')[-1].split()[0]}"]


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {value}"
