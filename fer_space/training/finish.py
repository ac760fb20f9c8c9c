"""From a finished run to weights that the app loads: calibrate on validation, then export.

fer-space train ... --out runs/lite0        writes runs/lite0/card.json
fer-space export runs/lite0 weights         writes weights/NAME.safetensors and NAME.json
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from fer_space.alignment import CropRule
from fer_space.backbones.base import Backbone
from fer_space.data import split_data, without_paths
from fer_space.errors import InputError
from fer_space.evaluation.calibration import fit_adjustment, fit_temperature
from fer_space.evaluation.metrics import accuracy, balanced_accuracy, ece
from fer_space.inference import logits_of
from fer_space.labels import EMOTIONS
from fer_space.registry import backbone_spec
from fer_space.training.config import TrainConfig
from fer_space.training.pictures import LabelledPictures
from fer_space.training.start import empty_network, preprocess_for
from fer_space.weights import Card, paths_of, save_tensors, sha256_of

LICENCE = (
    "MIT for the weights. They learned from FER-2013, whose pictures are for research use; crops are aligned "
    "by dlib's 68-point predictor, whose training set excludes commercial use."
)


def write_card(
    config: TrainConfig, train_set: LabelledPictures, valid_set: LabelledPictures, out: Path
) -> Card:
    """Calibrate `out/best.safetensors` on the validation split and write `out/card.json`."""
    backbone = empty_network(config)
    backbone.load_state_dict(load_file(out / "best.safetensors"))
    card = calibrated(backbone, config, train_set.targets.mean(dim=0), valid_set, out)
    (out / "card.json").write_text(card.to_json(), encoding="utf-8")
    return card


def calibrated(
    backbone: Backbone, config: TrainConfig, priors: Tensor, valid_set: LabelledPictures, out: Path
) -> Card:
    """The card of a trained network: bias, temperature and validation scores as the app will read faces.

    `priors` float (8,) is the share of each emotion in the training targets.
    """
    parameters = backbone.parameter_count()
    preprocess = preprocess_for(config)
    logits = logits_of(backbone.eval(), preprocess, valid_set.pictures)
    bias = fit_adjustment(logits, valid_set.labels, priors)
    temperature = fit_temperature(logits + bias, valid_set.labels)
    card = Card(
        name=config.backbone,
        architecture=backbone_spec(config.backbone).target,
        labels=EMOTIONS,
        preprocess=preprocess,
        crop=CropRule(),
        bias=tuple(round(value, 4) for value in bias.tolist()),
        temperature=round(temperature, 4),
        affect=config.affect_weight > 0,
        parameters=parameters,
        sha256=sha256_of(out / "best.safetensors"),
        data="+".join(kind for kind, _ in split_data(config.data)),
        licence=LICENCE,
        command=command_of(config, str(out)),
    )
    plain = replace(card, bias=(0.0,) * len(EMOTIONS), temperature=1.0)
    warm = replace(card, temperature=1.0)
    labels = valid_set.labels.numpy()
    rows = {"plain": plain, "before_temperature": warm, "calibrated": card}
    return replace(
        card, results={"valid": {name: summary(c.probabilities(logits), labels) for name, c in rows.items()}}
    )


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
    parent = Path(config.init).parent
    if not (parent / "config.json").is_file():
        return " ".join(words)
    before = TrainConfig.from_dict(json.loads((parent / "config.json").read_text(encoding="utf-8")))
    epochs = len((parent / "history.csv").read_text(encoding="utf-8").splitlines()) - 1
    stopped = f" --stop-after {epochs}" if epochs < before.epochs else ""
    return command_of(before, str(parent)) + stopped + " && " + " ".join(words)


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {value}"


def export(run: Path, folder: Path, *, half: bool = True) -> Card:
    """Copy a run's best weights and card into `folder` under the backbone's name.

    Raises InputError when `run` holds no finished run.
    """
    if not (run / "card.json").is_file():
        raise InputError(f"{run} holds no finished run (card.json is missing).")
    values = json.loads((run / "card.json").read_text(encoding="utf-8"))
    tensors: dict[str, Tensor] = load_file(run / "best.safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    target, card_path = paths_of(values["name"], folder)
    values["sha256"] = save_tensors(tensors, target, half=half)
    card = Card.from_json(json.dumps(values), "card.json")
    card_path.write_text(card.to_json(), encoding="utf-8")
    return card
