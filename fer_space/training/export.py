"""From a finished run to weights that the app loads.

fer-space export runs/lite0 weights         writes weights/NAME.safetensors and NAME.json
"""

import copy
import re
from pathlib import Path
from typing import Literal

import numpy as np

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import BACKBONES
from fer_space.card import WEIGHTS_DIR, Card, Fp16Check, check_sha256, paths_of, read_card
from fer_space.data import open_data, without_paths
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.external.official import read_official
from fer_space.files import replacing
from fer_space.model import Model
from fer_space.tensors import save_tensors, stored
from fer_space.training.affect_head import fit_affect, with_affect
from fer_space.training.config import read_config
from fer_space.training.data import LabelledPictures
from fer_space.training.finish import finished_network

LIMIT = 0.0005  # of accuracy: 0.05 point
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")


def export(
    run: Path,
    folder: Path,
    *,
    name: str = "",
    half: bool = True,
    check: str = "",
    affect: str = "",
    force: bool = False,
) -> Card:
    """Copy a run's best weights and card into a folder of weights.

    Args:
        run: what `fer-space train --out` wrote.
        folder: made if need be.
        name: of the exported model; "" takes the backbone's.
        half: store weights in fp16.
        check: KIND:PATH of data; half precision is tried on its valid split first, the card says what came
            of it, and fp32 is kept where accuracy would change.
        affect: KIND:PATH of data with valence and arousal; a readout of them is fitted on its valid split
            and added to the head (`fer_space.training.affect_head`).
        force: replace a model of that name that is in the folder.

    Returns:
        The card that was written.

    Raises:
        InputError: `run` holds no finished run, the name is taken or no name for this folder, or `affect` has
            no face with valence and arousal.
        WeightsError: the run's weights or card are damaged.
    """
    # 1. The run.
    if not (run / "card.json").is_file():
        raise InputError(f"{run} holds no finished run (card.json is missing).")
    card, config = read_card(run / "card.json"), read_config(run / "config.json")
    check_sha256(card, run / "best.safetensors")
    name = name or card.name
    _check_name(name, card, folder, force)
    network = finished_network(config, card.columns, run)
    # 2. A readout of valence and arousal, where it is asked for.
    if affect:
        network, card = _with_readout(network, card, affect, run)
    # 3. Half precision, where it does no harm.
    if half and check:
        card, half = with_fp16_check(card, network, check)
    return _write(card, network, name, folder, half=half)


def export_official(path: Path, folder: Path, kind: str, *, name: str = "", force: bool = False) -> Card:
    """Write a checkpoint of a paper's authors as a model of one's own.

    Args:
        path: of the checkpoint, converted to .safetensors.
        folder: made if need be; FER_SPACE_OWN may name it.
        kind: of `fer_space.external.official.OFFICIALS`.
        name: of the exported model; "" takes `kind`.
        force: replace a model of that name that is in the folder.

    Raises:
        InputError: the file holds another network, or the name is taken or none for this folder.
    """
    card, network = read_official(kind, path)
    name = name or kind
    _check_name(name, card, folder, force)
    return _write(card, network, name, folder, half=False)


def _write(card: Card, network: Backbone, name: str, folder: Path, *, half: bool) -> Card:
    """Write both files, or neither: weights without their own card cannot be used."""
    weights, told = paths_of(name, folder)
    with replacing(told) as temporary_card, replacing(weights) as temporary_weights:
        sha256 = save_tensors(network.state_dict(), temporary_weights, half=half)
        card = card.model_copy(update={"name": name, "sha256": sha256})
        temporary_card.write_text(card.to_json(), encoding="utf-8")
    return card


def _check_name(name: str, card: Card, folder: Path, force: bool) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"--name: “{name}” is no name of a file.")
    ships = folder.resolve() == WEIGHTS_DIR.resolve()
    if ships and (name not in BACKBONES or BACKBONES[name].target != card.architecture):
        fitting = [spec.name for spec in BACKBONES.values() if spec.target == card.architecture]
        raise InputError(f"--name: {folder} takes {', '.join(fitting)} for this network, not “{name}”.")
    if not force and any(path.exists() for path in paths_of(name, folder)):
        raise InputError(f"{folder} holds {name} already: --force replaces it, --name NAME writes another.")


def with_fp16_check(card: Card, network: Backbone, data: str) -> tuple[Card, bool]:
    """Read validation faces as trained and as stored in half precision.

    Args:
        card: of the network.
        network: float32, in evaluation mode.
        data: KIND:PATH; its valid split is read.

    Returns:
        The card with the check, and whether accuracy changes by no more than `LIMIT`, up or down.

    Raises:
        InputError: nobody named an emotion of any of the faces.
    """
    known = open_data(data, "valid")
    if not known.labelled.any():
        raise InputError(f"{known.name} has valence and arousal alone: --check needs faces with an emotion.")
    faces = LabelledPictures.read(known.select(np.flatnonzero(known.labelled)), card.preprocess)
    narrow = copy.deepcopy(network)
    narrow.load_state_dict(stored(network.state_dict(), half=True))
    full, rounded = (
        np.nanargmax(Model(card, net).predict_reduced(faces.pictures).probabilities, axis=1)
        for net in (network, narrow)
    )
    labels = faces.labels.numpy()
    before, after = (float((answers == labels).mean()) for answers in (full, rounded))
    kept: Literal["fp16", "fp32"] = "fp16" if abs(after - before) <= LIMIT else "fp32"
    check = Fp16Check(
        n=len(labels),
        accuracy_full=round(before, 5),
        accuracy_half=round(after, 5),
        changed_answers=int((full != rounded).sum()),
        kept=kept,
    )
    return _with_validation(card, fp16=check), kept == "fp16"


def _with_readout(network: Backbone, card: Card, data: str, run: Path) -> tuple[Backbone, Card]:
    """The network with a readout of valence and arousal fitted on the valid split of `data`, and its card."""
    if card.affect:
        raise InputError(f"{run} learned valence and arousal itself: leave out --affect.")
    faces = LabelledPictures.read(open_data(data, "valid"), card.preprocess)
    rated = faces.affect.isfinite().all(dim=1)
    if int(rated.sum()) < 2 * len(EMOTIONS):
        raise InputError(f"{data} has too few faces with valence and arousal to fit a readout.")
    wider = with_affect(card.name, network, card.columns)
    model = Model(card.model_copy(update={"affect": True}), wider)
    reached = fit_affect(model, faces.pictures[rated], faces.affect[rated])
    named = without_paths(data)
    told = model.card.model_copy(
        update={
            "parameters": wider.parameter_count(),
            "data": f"{card.data}+{named.replace(':DIR', '')}",
            "command": f"{card.command} && fer-space export {run} --affect {named}",
        }
    )
    return wider, _with_validation(told, affect=reached)


def _with_validation(card: Card, **changes: object) -> Card:
    if card.validation is None:
        raise InputError(f"The card of {card.name} has no validation figures: it is not of a run.")
    return card.model_copy(update={"validation": card.validation.model_copy(update=changes)})
