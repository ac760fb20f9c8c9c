"""What models exist here, behind one protocol: shipped, external and the user's own.

    Registry().names()                     all that can predict now
    Registry().card("dan").labels

A registry looks at its folders anew at every call, so a model that is fetched or trained while the page runs
appears without a restart; cards are parsed again only when their files change.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from fer_space.backbones.specs import BACKBONES, BackboneSpec
from fer_space.card import WEIGHTS_DIR, Card, check_sha256, paths_of, read_card
from fer_space.errors import FerSpaceError, InputError, UnknownNameError, WeightsError
from fer_space.external.cache import Receipt, not_fetched, receipts
from fer_space.external.specs import MANIFEST, ExternalSpec, colour_of
from fer_space.external.user import FOLDER_VARIABLE, ONNX, UserFiles, user_files

if TYPE_CHECKING:
    from fer_space.backbones.base import Backbone

Kind = Literal["built in", "rival", "external", "user"]


class ModelSource(Protocol):
    """A model that can be loaded: who it is, its card, and its network."""

    @property
    def name(self) -> str:
        """What it is called everywhere."""

    @property
    def title(self) -> str:
        """How the page and tables write it."""

    @property
    def colour(self) -> str:
        """Hex colour that marks it on the page."""

    @property
    def kind(self) -> Kind:
        """Whose it is."""

    def card(self) -> Card:
        """Read its card; raises WeightsError or MissingDependencyError when there is none."""

    def build(self) -> "Backbone":
        """Build and fill its network on the CPU in float32, verified, in evaluation mode, without gradients.

        Raises WeightsError when its file is missing, has changed or does not fit its card, and
        MissingDependencyError when a library that it needs is not installed.
        """


@dataclass(frozen=True)
class ShippedModel:
    """A backbone of this project whose weights and card lie in a folder."""

    spec: BackboneSpec
    folder: Path

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def colour(self) -> str:
        return self.spec.colour

    @property
    def kind(self) -> Kind:
        return self.spec.kind

    def is_here(self) -> bool:
        """Whether both of its files are there; what is in them is looked at when it is loaded."""
        return all(path.is_file() for path in paths_of(self.name, self.folder))

    def card(self) -> Card:
        tensors, path = paths_of(self.name, self.folder)
        if not tensors.is_file() or not path.is_file():
            raise WeightsError(
                f"There are no weights for {self.name} in {self.folder}. Train it, or copy them there."
            )
        card = _cached_card(path)
        if card.name != self.name:
            raise WeightsError(f"{path.name} is the card of {card.name}, not of {self.name}.")
        if card.architecture != self.spec.target:
            raise WeightsError(
                f"{self.name} is {self.spec.target} here, but its card is for {card.architecture}."
            )
        return card

    def build(self) -> "Backbone":
        return _filled(self.spec, self.card(), paths_of(self.name, self.folder)[0])


@dataclass(frozen=True)
class ExternalModel:
    """A model that others trained, fetched on request; its probabilities are as it gives them."""

    spec: ExternalSpec
    receipt: Receipt | None

    kind: Kind = "external"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def colour(self) -> str:
        return self.spec.colour

    def card(self) -> Card:
        return self.spec.card(self._receipt().weights_sha256)

    def build(self) -> "Backbone":
        # ONNX Runtime and transformers are imported only for the models that need them.
        receipt = self._receipt()
        paths = receipt.verified()
        if self.spec.sha256 and self.spec.sha256 != receipt.weights_sha256:
            raise WeightsError(f"{self.name} is not the file that this version knows: fetch it again.")
        if self.spec.kind == "hub":
            from fer_space.external.hub_network import load_hub

            network: Backbone = load_hub(next(iter(paths.values())).parent, len(self.spec.labels))
        else:
            from fer_space.external.onnx_network import load_onnx

            (path,) = paths.values()
            network = load_onnx(
                path, len(self.spec.labels), self.spec.affect, self.spec.preprocess.input_size
            )
        return network.eval().requires_grad_(False)

    def _receipt(self) -> Receipt:
        if self.receipt is None:
            raise not_fetched(self.spec)
        return self.receipt


@dataclass(frozen=True)
class UserModel:
    """A model of the user's own: an ONNX graph, or weights of a network that is known here."""

    files: UserFiles

    kind: Kind = "user"

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def title(self) -> str:
        return self.files.name

    @property
    def colour(self) -> str:
        return colour_of(self.files.name)

    def card(self) -> Card:
        return _cached_card(self.files.card).model_copy(update={"name": self.name})

    def build(self) -> "Backbone":
        card, weights = self.card(), self.files.weights
        if weights.suffix == ".onnx":
            if card.architecture != ONNX:
                raise WeightsError(f"{weights.name} needs a card whose architecture is “{ONNX}”.")
            check_sha256(card, weights)
            from fer_space.external.onnx_network import load_onnx

            network: Backbone = load_onnx(weights, len(card.labels), card.affect, card.preprocess.input_size)
            return network.eval().requires_grad_(False)
        known = {spec.target: spec for spec in BACKBONES.values()}
        if card.architecture not in known:
            raise WeightsError(
                f"The card of {self.name} is for “{card.architecture}”. Known: {', '.join(known)}."
            )
        return _filled(known[card.architecture], card, weights)


class Registry:
    """The models of a folder of weights, the fetched ones, and those of the user's own folder.

    Args:
        weights_dir: holds the .safetensors files and cards of the backbones.

    Example:
        >>> "efficientnet_lite0" in Registry().names()
        True
    """

    def __init__(self, weights_dir: Path = WEIGHTS_DIR) -> None:
        self.weights_dir = weights_dir

    def present(self) -> dict[str, ModelSource]:
        """List all models that can be loaded now, by name: shipped, fetched, then the user's own.

        Raises:
            InputError: the user's own folder is not as `fer_space.external.user` wants it.
        """
        shipped = (ShippedModel(spec, self.weights_dir) for spec in BACKBONES.values())
        found: dict[str, ModelSource] = {source.name: source for source in shipped if source.is_here()}
        found |= {name: ExternalModel(receipt.spec, receipt) for name, receipt in receipts().items()}
        for name, files in user_files().items():
            if name in found or name in BACKBONES or name in MANIFEST:
                raise InputError(
                    f"{FOLDER_VARIABLE} holds a model named {name}, a name taken here: rename its files."
                )
            found[name] = UserModel(files)
        return found

    def names(self) -> tuple[str, ...]:
        """Names of all models that can be loaded now."""
        return tuple(self.present())

    def source(self, name: str) -> ModelSource:
        """Look up a model by name, whether its files are here or not.

        Raises:
            UnknownNameError: there is no model of that name; the message lists those that exist.
        """
        present = self.present()
        if name in present:
            return present[name]
        if name in BACKBONES:
            return ShippedModel(BACKBONES[name], self.weights_dir)
        if name in MANIFEST:
            return ExternalModel(MANIFEST[name], None)
        raise UnknownNameError.of("model", name, dict.fromkeys([*BACKBONES, *present, *MANIFEST]))

    def card(self, name: str) -> Card:
        """Read the card of a model; raises the errors of `source` and of `ModelSource.card`."""
        return self.source(name).card()

    def cards(self) -> Iterator[Card]:
        """Read the cards of all that are here, skipping none; raises for the first damaged one."""
        return (source.card() for source in self.present().values())


def list_models() -> tuple[str, ...]:
    """List the names of all models that can be loaded now.

    Example:
        >>> "dan" in list_models()
        True
    """
    return Registry().names()


def title_of(name: str) -> str:
    """Write a model's name as the page and tables do; a name that nobody knows stays as it is."""
    try:
        return Registry().source(name).title
    except FerSpaceError:
        return name


def file_name_of(name: str) -> str:
    """Write a model's name as it can stand in a file's name: hub:OWNER/REPO -> hub-OWNER-REPO."""
    return re.sub(r"[^\w.-]+", "-", name)


def _filled(spec: BackboneSpec, card: Card, path: Path) -> "Backbone":
    """Build the network of `spec` and fill it from a verified file, divided for reading."""
    from fer_space.tensors import fill

    check_sha256(card, path)
    backbone = spec.build(len(card.labels), card.affect)
    fill(backbone, path)
    return backbone.for_reading().eval().requires_grad_(False)


def _cached_card(path: Path) -> Card:
    """A card, parsed once for each state of its file."""
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(f"There is no card {path.name}: {error.strerror}.") from error
    return _parsed_card(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _parsed_card(path: Path, modified_ns: int, size: int) -> Card:
    return read_card(path)
