"""What storing weights in half precision does to a network's answers, measured on faces."""

import copy
from dataclasses import replace

import torch

from fer_space.backbones.base import Backbone
from fer_space.data import open_data
from fer_space.inference import logits_of
from fer_space.training.pictures import LabelledPictures
from fer_space.weights import Card, stored

LIMIT = 0.0005  # of accuracy: 0.05 point


def with_half_effect(card: Card, network: Backbone, data: str) -> tuple[Card, bool]:
    """Read the valid split of `data` as trained and as stored in half precision.

    Args:
        card: of the network.
        network: float32, in evaluation mode.
        data: KIND:PATH.

    Returns:
        The card with `results["valid"]["half"]`, and whether accuracy changes by no more than `LIMIT`, up or
        down.
    """
    faces = LabelledPictures.read(open_data(data, "valid"), card.preprocess)
    narrow = copy.deepcopy(network)
    narrow.load_state_dict(stored(network.state_dict(), half=True))
    full, half = (
        card.probabilities(logits_of(net, card.preprocess, faces.pictures)).argmax(dim=1)
        for net in (network, narrow)
    )
    labels = torch.tensor(card.places)[faces.labels]
    before, after = (float((answers == labels).double().mean()) for answers in (full, half))
    effect: dict[str, float | str] = {
        "n": len(labels),
        "accuracy_full": round(before, 5),
        "accuracy_half": round(after, 5),
        "changed_answers": int((full != half).sum()),
        "kept": "fp16" if abs(after - before) <= LIMIT else "fp32",
    }
    valid = {**card.results.get("valid", {}), "half": effect}
    return replace(card, results={**card.results, "valid": valid}), effect["kept"] == "fp16"
