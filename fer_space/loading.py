"""From a name to a card and a network, whatever reads faces under that name.

Backbones of the registry lie in the folder of weights, outside models where `fer-space fetch` put them, a
user's own ones in a folder of theirs; the engine reads all of them alike.
"""

from dataclasses import replace
from pathlib import Path

from fer_space.backbones.base import Backbone
from fer_space.errors import WeightsError
from fer_space.external.cache import receipt_of
from fer_space.external.names import present
from fer_space.external.own import ONNX, OwnSpec, name_taken
from fer_space.external.specs import OutsideSpec
from fer_space.registry import BACKBONES, BackboneSpec, look_up
from fer_space.weights import (
    WEIGHTS_DIR,
    Card,
    available,
    check_sha256,
    filled,
    load_backbone,
    read_card,
)


def readable(folder: Path = WEIGHTS_DIR) -> tuple[str, ...]:
    """Names of all that can read faces now: shipped, then fetched, then the user's own.

    Raises InputError when the user's own folder is not as `fer_space.external.own` wants it.
    """
    others = present()
    for name in others:
        if name in BACKBONES:
            raise name_taken(name)
    return (*available(folder), *others)


def card_of(name: str, folder: Path = WEIGHTS_DIR) -> Card:
    """The card of whatever has a name.

    Raises:
        UnknownNameError: there is nothing of that name.
        MissingDependencyError: it is an outside model that was not fetched.
        WeightsError: there are no weights for it, or its card is broken.
    """
    spec = look_up(name)
    if isinstance(spec, OutsideSpec):
        return _outside_card(spec)
    if isinstance(spec, OwnSpec):
        return replace(Card.from_json(spec.card.read_text(encoding="utf-8"), spec.card.name), name=name)
    return read_card(name, folder)


def load_network(card: Card, folder: Path = WEIGHTS_DIR) -> Backbone:
    """Build the network of a card on the CPU in float32, ready for reading.

    Raises:
        MissingDependencyError: a library that it needs is not installed, or it was not fetched.
        WeightsError: its file is missing, has changed, or does not fit its card.
    """
    spec = look_up(card.name)
    if isinstance(spec, BackboneSpec):
        return load_backbone(card, folder)
    network = _own(spec, card) if isinstance(spec, OwnSpec) else _outside(spec)
    return network.eval().requires_grad_(False)


def _outside_card(spec: OutsideSpec) -> Card:
    """The card of an outside model. Its probabilities are as it gives them: nothing was calibrated here."""
    receipt = receipt_of(spec)
    return Card(
        name=spec.name,
        architecture=spec.kind,
        labels=spec.labels,
        preprocess=spec.preprocess,
        crop=spec.crop,
        bias=(0.0,) * len(spec.labels),
        temperature=1.0,
        parameters=spec.parameters,
        sha256=spec.sha256 or receipt.weights_sha256,
        data=spec.data,
        licence=spec.licence,
        command=f"fer-space fetch {spec.name}",
        affect=spec.affect,
    )


def _outside(spec: OutsideSpec) -> Backbone:
    # ONNX Runtime and transformers are imported only for the models that need them.
    receipt = receipt_of(spec)
    paths = receipt.verified()
    if spec.sha256 and spec.sha256 != receipt.weights_sha256:
        raise WeightsError(f"{spec.name} is not the file that this version knows: fetch it again.")
    if spec.kind == "hub":
        from fer_space.external.hub_network import load_hub

        return load_hub(next(iter(paths.values())).parent, len(spec.labels))
    from fer_space.external.onnx_network import load_onnx

    (path,) = paths.values()
    return load_onnx(path, len(spec.labels), spec.affect, spec.preprocess.input_size)


def _own(spec: OwnSpec, card: Card) -> Backbone:
    if spec.weights.suffix == ".onnx":
        if card.architecture != ONNX:
            raise WeightsError(f"{spec.weights.name} needs a card whose architecture is “{ONNX}”.")
        check_sha256(card, spec.weights)
        from fer_space.external.onnx_network import load_onnx

        return load_onnx(spec.weights, len(card.labels), card.affect, card.preprocess.input_size)
    known = {backbone.target: backbone for backbone in BACKBONES.values()}
    if card.architecture not in known:
        raise WeightsError(
            f"The card of {card.name} is for “{card.architecture}”. Known: {', '.join(known)}."
        )
    return filled(known[card.architecture], card, spec.weights)
