"""From a finished run to weights that the app loads.

fer-space export runs/lite0 weights         writes weights/NAME.safetensors and NAME.json
"""

import json
from dataclasses import replace
from pathlib import Path

from fer_space.backbones.base import Backbone
from fer_space.data import open_data, without_paths
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.training.affect_head import fit_affect, with_affect
from fer_space.training.config import TrainConfig
from fer_space.training.finish import finished_network
from fer_space.training.halving import with_half_effect
from fer_space.training.pictures import LabelledPictures
from fer_space.weights import Card, paths_of, save_card, save_tensors


def export(run: Path, folder: Path, *, half: bool = True, check: str = "", affect: str = "") -> Card:
    """Copy a run's best weights and card into `folder` under the backbone's name.

    Args:
        run: what `fer-space train --out` wrote.
        folder: made if need be.
        half: whether weights are stored in fp16.
        check: KIND:PATH of data; half precision is tried on its valid split first, the card says what came
            of it, and fp32 is kept where accuracy would change (`fer_space.training.halving`).
        affect: KIND:PATH of data with valence and arousal; a readout of them is fitted on its valid split
            and added to the head (`fer_space.training.affect_head`).

    Raises:
        InputError: `run` holds no finished run, or `affect` no face with valence and arousal.
    """
    if not (run / "card.json").is_file():
        raise InputError(f"{run} holds no finished run (card.json is missing).")
    card = Card.from_json((run / "card.json").read_text(encoding="utf-8"), "card.json")
    config = TrainConfig.from_dict(json.loads((run / "config.json").read_text(encoding="utf-8")))
    network = finished_network(config, [EMOTIONS.index(label) for label in card.labels], run)
    if affect:
        network, card = _with_readout(network, card, affect, run)
    if half and check:
        card, half = with_half_effect(card, network, check)
    folder.mkdir(parents=True, exist_ok=True)
    target, _ = paths_of(card.name, folder)
    card = replace(card, sha256=save_tensors(network.state_dict(), target, half=half))
    save_card(card, folder)
    return card


def _with_readout(network: Backbone, card: Card, data: str, run: Path) -> tuple[Backbone, Card]:
    """The network with a readout of valence and arousal fitted on the valid split of `data`, and its card."""
    if card.affect:
        raise InputError(f"{run} learned valence and arousal itself: leave out --affect.")
    faces = LabelledPictures.read(open_data(data, "valid"), card.preprocess)
    rated = faces.affect.isfinite().all(dim=1)
    if int(rated.sum()) < 2 * len(EMOTIONS):
        raise InputError(f"{data} has too few faces with valence and arousal to fit a readout.")
    wider = with_affect(card.name, network, [EMOTIONS.index(label) for label in card.labels])
    reached = fit_affect(wider, card.preprocess, faces.pictures[rated], faces.affect[rated])
    named = without_paths(data)
    return wider, replace(
        card,
        affect=True,
        parameters=wider.parameter_count(),
        data=f"{card.data}+{named.replace(':DIR', '')}",
        command=f"{card.command} && fer-space export {run} --affect {named}",
        results={**card.results, "valid": {**card.results.get("valid", {}), "affect": reached}},
    )
