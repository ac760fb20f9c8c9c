"""The end of a run: calibrate on validation and write the card.

fer-space train ... --out runs/lite0        writes runs/lite0/card.json
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import backbone_spec
from fer_space.card import Card, paths_of, read_card
from fer_space.data import KINDS, split_data, without_paths
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, WeightsError
from fer_space.evaluation.calibration import calibrate
from fer_space.files import sha256_of, write_text
from fer_space.model import mean_of_both
from fer_space.tensors import fill
from fer_space.training.config import TrainConfig, read_config
from fer_space.training.data import LabelledPictures
from fer_space.training.initialise import empty_network, file_of, preprocess_for, start_card
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

CPU_BATCH, GPU_BATCH = 128, 1024
CPU = torch.device("cpu")
PERMITTED = "MIT for the weights. "
CROPPED = "crops are aligned by dlib's 68-point predictor, whose training set excludes commercial use."

START_TERMS = {
    "hse:": "they start from a face-recognition network of HSE (Apache-2.0) that learned from VGGFace2, "
    "which is for research",
    "dlib:": "they start from dlib's face-recognition network (CC0)",
}


def licence_of(kinds: Sequence[str], before: Sequence[str] = ()) -> str:
    """Say what one may do with weights that learned from these kinds of data.

    Args:
        kinds: of data, names in `fer_space.data.KINDS`.
        before: clauses of what the weights started from, see `_clauses_of_start`.
    """
    terms = [KINDS[kind].terms or f"they learned from {kind} data, whose own terms hold" for kind in kinds]
    first, *others = dict.fromkeys([*before, *terms])
    return "; ".join([f"{PERMITTED}{first[0].upper()}{first[1:]}", *others, CROPPED])


def _card_of_start(init: str) -> Card | None:
    """The card of the network that a run started from; a damaged one costs no run its end."""
    try:
        return start_card(str(file_of(init)))
    except WeightsError:
        return None


def _clauses_of_start(init: str, start: Card | None) -> list[str]:
    """What the licence of a start says, clause by clause, without what holds for every network."""
    if start is not None:
        said = start.licence.removeprefix(PERMITTED).removesuffix(CROPPED)
        return [f"{clause[0].lower()}{clause[1:]}" for part in said.split(";") if (clause := part.strip())]
    return [terms for prefix, terms in START_TERMS.items() if init.startswith(prefix)]


def write_run_card(
    config: TrainConfig,
    train_set: LabelledPictures,
    valid_set: LabelledPictures,
    out: Path,
    device: torch.device = CPU,
) -> Card:
    """Calibrate a run's best weights on the validation split and write its card.json.

    The card names the emotions that the training faces taught; `export` drops the other columns of the head.
    Where they taught valence and arousal alone, emotions and calibration are those that the run started with.

    Args:
        config: of the run.
        train_set: whose emotions and priors count.
        valid_set: of joined sets the first one counts.
        out: the folder of the run.
        device: where the validation faces are read.

    Raises:
        DataError: no validation face shows one of the emotions.
        WeightsError: best.safetensors is missing or damaged.
    """
    if not train_set.has_emotions:
        card = _card_of_affect(config, out)
        write_text(out / "card.json", card.to_json())
        return card
    columns = torch.nonzero(train_set.present)[:, 0].tolist()
    priors = train_set.targets[:, columns].mean(dim=0)
    card = calibrated(config, columns, priors, valid_set, out, device)
    write_text(out / "card.json", card.to_json())
    return card


def finished_network(config: TrainConfig, columns: list[int], out: Path) -> Backbone:
    """Load a run's best weights, with the emotions at `columns` of `EMOTIONS` alone.

    Raises:
        WeightsError: best.safetensors is missing, damaged or not finite.
    """
    backbone = empty_network(config)
    fill(backbone, out / "best.safetensors")
    backbone.head.keep_classes(columns)
    return backbone.eval().requires_grad_(False)


@torch.no_grad()
def logits_of(network: Backbone, preprocess: Preprocess, pictures: Tensor) -> Tensor:
    """Read pictures and their mirror images with a network that has no card yet.

    Args:
        network: in evaluation mode.
        preprocess: how it wants its pictures.
        pictures: uint8 (N, C, h, w) on any device.

    Returns:
        float32 (N, K) on the CPU, the mean of both.
    """
    return answers_of(network, preprocess, pictures)[0]


@torch.no_grad()
def answers_of(network: Backbone, preprocess: Preprocess, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
    """Read pictures like `logits_of`, valence and arousal too where the head has them.

    Args:
        network: in evaluation mode.
        preprocess: how it wants its pictures.
        pictures: uint8 (N, C, h, w) on any device.

    Returns:
        Logits float32 (N, K) and valence and arousal float32 (N, 2) or None, on the CPU.
    """
    device = next(network.parameters()).device
    logits, affect = [], []
    for batch in torch.split(pictures, GPU_BATCH if device.type == "cuda" else CPU_BATCH):
        inputs = preprocess.normalise(batch.to(device))
        output = network(torch.cat([inputs, inputs.flip(3)]))
        logits.append(mean_of_both(output.logits))
        if output.affect is not None:
            affect.append(mean_of_both(output.affect))
    return torch.cat(logits).cpu(), torch.cat(affect).cpu() if affect else None


def calibrated(
    config: TrainConfig,
    columns: list[int],
    priors: Tensor,
    valid_set: LabelledPictures,
    out: Path,
    device: torch.device = CPU,
) -> Card:
    """Make the card of a trained network: bias, temperature and validation scores as the app will read faces.

    Validation faces that show another emotion take no part, nor do those of another set than the first.

    Args:
        config: of the run.
        columns: of `EMOTIONS`, K emotions that were trained.
        priors: float (K,), the share of each in the training targets.
        valid_set: of joined sets the first one counts.
        out: the folder of the run.
        device: where the validation faces are read.
    """
    backbone, preprocess = finished_network(config, columns, out).to(device), preprocess_for(config)
    shown = torch.isin(valid_set.labels, torch.tensor(columns)) & valid_set.first_member
    if not shown.any():
        raise DataError("No validation face shows an emotion that was trained: nothing can be calibrated.")
    labels = torch.searchsorted(torch.tensor(columns), valid_set.labels[shown])
    logits = logits_of(backbone, preprocess, valid_set.pictures[shown])
    start = _card_of_start(config.init)
    mine = [kind for kind, _ in split_data(config.data)]
    learned = dict.fromkeys([*(start.data.split("+") if start else ()), *mine])
    card = Card(
        name=config.backbone,
        architecture=backbone_spec(config.backbone).target,
        labels=tuple(EMOTIONS[column] for column in columns),
        preprocess=preprocess,
        crop=CropRule(),
        bias=(0.0,) * len(columns),
        temperature=1.0,
        affect=config.affect_weight > 0,
        parameters=backbone.parameter_count(),
        sha256=sha256_of(out / "best.safetensors"),
        data="+".join(learned),
        licence=licence_of(mine, _clauses_of_start(config.init, start)),
        command=command_of(config, str(out)),
    )
    return calibrate(card, logits, labels, priors)


def _card_of_affect(config: TrainConfig, out: Path) -> Card:
    """Make the card of a network that learned valence and arousal alone."""
    start = start_card(config.init)
    assert start is not None  # `check_faces` asked
    backbone = finished_network(config, start.columns, out)
    kinds = tuple(kind for kind, _ in split_data(config.data))
    return start.model_copy(
        update={
            "name": config.backbone,
            "preprocess": preprocess_for(config),
            "crop": CropRule(),
            "affect": True,
            "boost": (),
            "validation": None,
            "measurements": (),
            "parameters": backbone.parameter_count(),
            "sha256": sha256_of(out / "best.safetensors"),
            "data": "+".join(dict.fromkeys([*start.data.split("+"), *kinds])),
            "licence": licence_of(kinds, _clauses_of_start(config.init, start)),
            "command": command_of(config, str(out)),
        }
    )


def command_of(config: TrainConfig, out: str = "RUN") -> str:
    """Write the command line that repeats a run, after those of the runs that it started from.

    The data's path is replaced by DIR. A run that was stopped early says so.
    """
    commands, seen = [_command(config, out)], {Path(out)}
    while (before := _run_before(config.init)) and before.folder not in seen:
        seen.add(before.folder)
        config = before.config
        stopped = f" --stop-after {before.epochs}" if before.epochs < config.epochs else ""
        commands.insert(0, _command(config, str(before.folder)) + stopped)
    return " && ".join([*_exported(config.init, config.backbone), *commands])


def _command(config: TrainConfig, out: str) -> str:
    """The command line of a run alone."""
    words = ["fer-space", "train", "--backbone", config.backbone, "--data", without_paths(config.data)]
    words += ["--out", out]
    defaults = TrainConfig(backbone=config.backbone, data=config.data).to_dict()
    changed = {key: value for key, value in config.to_dict().items() if value != defaults[key]}
    for key, value in changed.items():
        words += _option(key.replace("_", "-"), value)
    return shlex.join(words)


class _Run(NamedTuple):
    """A run by what lies in its folder, with the number of its epochs."""

    folder: Path
    config: TrainConfig
    epochs: int


def _run_before(init: str) -> _Run | None:
    """The run that another starts from; None for another program's file, which may lie by a config.json."""
    file = file_of(init)
    if file.suffix != ".safetensors":
        return None
    try:
        rows = (file.parent / "history.csv").read_text(encoding="utf-8").splitlines()[1:]
        return _Run(file.parent, read_config(file.parent / "config.json"), len(rows))
    except (DataError, OSError, UnicodeDecodeError):
        return None


def _exported(init: str, backbone: str) -> list[str]:
    """The commands behind an exported network that a run starts from.

    One of another name is named by its file alone; one of the same name the run may replace.
    """
    file = file_of(init)
    if file.stem != backbone:
        return []
    try:
        command = read_card(paths_of(backbone, file.parent)[1]).command
        last = shlex.split(command.rpartition(" && ")[2])
    except (WeightsError, ValueError):
        return []
    if "--out" not in last[:-1]:  # it was not trained, or its export is in the command
        return [command] if command else []
    return [command, shlex.join(["fer-space", "export", last[last.index("--out") + 1]])]


def _option(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]
