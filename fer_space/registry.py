"""What models exist here, behind one protocol: shipped, external and the user's own.

    Registry().names()                     all that can predict now
    Registry().card("dan").labels

A registry looks at its folders anew at every call, so a model that is fetched or trained while the page runs
appears without a restart; cards are parsed again only when their files change.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fer_space.backbones.specs import BACKBONES, BackboneSpec
from fer_space.card import WEIGHTS_DIR, Card, check_sha256, paths_of, read_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import (
    FerSpaceError,
    MissingDependencyError,
    UnknownNameError,
    WeightsError,
)
from fer_space.external.cache import Receipt, damaged_receipts, not_fetched, receipts
from fer_space.external.published import CARD_FILE, folder_of, pair_in
from fer_space.external.specs import HUB, MANIFEST, ExternalSpec, colour_of
from fer_space.external.user import FOLDER_VARIABLE, ONNX, UserFiles, user_files

if TYPE_CHECKING:
    from fer_space.backbones.base import Backbone

Kind = Literal["built in", "rival", "external", "user"]


@dataclass(frozen=True)
class ModelSource(ABC):
    """A model that can be loaded: who it is, its card, and its network.

    Attributes:
        name: what it is called everywhere.
        title: how the page and tables write it.
        colour: hex colour that marks it on the page.
        kind: whose it is.
    """

    name: str
    title: str
    colour: str
    kind: Kind

    @abstractmethod
    def card(self) -> Card:
        """Read its card; raises WeightsError or MissingDependencyError when there is none."""

    @abstractmethod
    def build(self) -> "Backbone":
        """Build its verified network on the CPU in float32, in evaluation mode, without gradients.

        Raises:
            WeightsError: its file is missing, has changed or does not fit its card.
            MissingDependencyError: it was not fetched, or a library that it needs is not installed.
        """

    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Name the files that `build` reads."""

    def check(self) -> None:
        """Read the card and compare the weights with it, building nothing; raises what `build` raises."""
        check_sha256(self.card(), self.files()[0])

    def state(self) -> tuple[tuple[int, int], ...]:
        """When each file was changed last, and its size: another state may be worth another try."""
        found = (path.stat() for path in self.files() if path.is_file())
        return tuple((stat.st_mtime_ns, stat.st_size) for stat in found)


@dataclass(frozen=True)
class ShippedModel(ModelSource):
    """A backbone of this project whose weights and card lie in a folder."""

    spec: BackboneSpec
    folder: Path

    def is_here(self) -> bool:
        """Whether both of its files are there; what is in them is looked at when it is loaded."""
        return all(path.is_file() for path in paths_of(self.name, self.folder))

    def card(self) -> Card:
        """Read NAME.json."""
        if not self.is_here():
            raise WeightsError(
                f"There are no weights for {self.name} in {self.folder}. Install fer-space-weights, name a"
                " folder that holds them (FER_SPACE_WEIGHTS), or train it."
            )
        card = _cached_card(paths_of(self.name, self.folder)[1])
        if card.name != self.name:
            raise WeightsError(f"{self.name}.json is the card of {card.name}, not of {self.name}.")
        if card.architecture != self.spec.target:
            raise WeightsError(
                f"{self.name} is {self.spec.target} here, but its card is for {card.architecture}."
            )
        return card

    def files(self) -> tuple[Path, ...]:
        """NAME.safetensors and NAME.json."""
        return paths_of(self.name, self.folder)

    def build(self) -> "Backbone":
        """Fill the network from NAME.safetensors."""
        return _filled(self.spec, self.card(), paths_of(self.name, self.folder)[0])


@dataclass(frozen=True)
class ExternalModel(ModelSource):
    """A model that others trained, fetched on request; its probabilities are as it gives them."""

    spec: ExternalSpec
    receipt: Receipt | None

    def card(self) -> Card:
        """Write a card of what its manifest and its receipt say."""
        receipt = self._receipt()
        return self.spec.card(receipt.weights_sha256, receipt.config_sha256)

    def files(self) -> tuple[Path, ...]:
        """What was fetched."""
        return tuple(self._receipt().paths.values())

    def check(self) -> None:
        """Compare what was fetched with its receipt, and with what this version knows."""
        self._verified()

    def build(self) -> "Backbone":
        """Read the fetched files; ONNX Runtime and transformers are imported only where they are needed."""
        paths = self._verified()
        if self.spec.kind == "hub":
            from fer_space.external.hub_network import load_hub

            folder = next(iter(paths.values())).parent
            return load_hub(folder, len(self.spec.labels)).eval().requires_grad_(False)
        (path,) = paths.values()
        return _graph(path, self.card())

    def _verified(self) -> dict[str, Path]:
        receipt = self._receipt()
        paths = receipt.verified()
        if self.spec.sha256 and self.spec.sha256 != receipt.weights_sha256:
            raise WeightsError(f"{self.name} is not the file that this version knows: fetch it again.")
        return paths

    def _receipt(self) -> Receipt:
        if self.receipt is None:
            raise not_fetched(self.spec)
        return self.receipt


@dataclass(frozen=True)
class UserModel(ModelSource):
    """A model of the user's own: an ONNX graph, or weights of a network that is built here."""

    files_here: UserFiles

    def card(self) -> Card:
        """Read the JSON file beside the weights; the name is that of the files."""
        return _cached_card(self.files_here.card).model_copy(update={"name": self.name})

    def files(self) -> tuple[Path, ...]:
        """The weights and the card."""
        return self.files_here.weights, self.files_here.card

    def build(self) -> "Backbone":
        """Read the file with the weights as the card's architecture says."""
        return _built(self.card(), self.files_here.weights)


@dataclass(frozen=True)
class FolderModel(ModelSource):
    """A model in a folder of its own (`fer_space.external.published`), here or fetched from the Hub."""

    folder: Path
    receipt: Receipt | None = None

    def files(self) -> tuple[Path, Path]:
        """The weights and the card; raises InputError where the folder does not hold one model."""
        return pair_in(self.folder)

    def card(self) -> Card:
        """Read its card; the name is that by which it was asked for."""
        return _cached_card(self.files()[1]).model_copy(update={"name": self.name})

    def check(self) -> None:
        """Compare the weights with the card, and both with the receipt of what was fetched."""
        if self.receipt is not None:
            self.receipt.verified()
        super().check()

    def build(self) -> "Backbone":
        """Read the weights as the card's architecture says, as they were fetched."""
        if self.receipt is not None:
            self.receipt.verified()
        return _built(self.card(), self.files()[0])


class Registry:
    """The models of a folder of weights, the fetched ones, and those of the user's own folder.

    Args:
        weights_dir: holds the .safetensors files and cards of the backbones.

    Example:
        >>> "efficientnet_lite0" in Registry().names()
        True
    """

    def __init__(self, weights_dir: str | Path = WEIGHTS_DIR) -> None:
        self.weights_dir = Path(weights_dir)

    def present(self) -> dict[str, ModelSource]:
        """List all models that are here with a card that can be read: shipped, fetched, the user's own."""
        return self._look()[0]

    def problems(self) -> dict[str, str]:
        """Say in a sentence each, by name, which models are here and cannot be used by what is on disk.

        Weights are not looked at: `ModelSource.check` does that.
        """
        return self._look()[1]

    def _look(self) -> tuple[dict[str, ModelSource], dict[str, str]]:
        """Models with a readable card, and what is wrong with the others."""
        own, problems = user_files()
        problems |= damaged_receipts()
        shipped = map(self._shipped, BACKBONES.values())
        found: list[ModelSource] = [source for source in shipped if source.is_here()]
        found += [_external(_described(receipt), receipt) for receipt in receipts().values()]
        taken = {source.name for source in found} | set(BACKBONES) | set(MANIFEST)
        for name, files in own.items():
            if name in taken:
                problems[f"{name} of {FOLDER_VARIABLE}"] = (
                    f"{FOLDER_VARIABLE} holds a model named {name}, a name taken here: rename its files."
                )
            else:
                found.append(UserModel(name, name, colour_of(name), "user", files))
        here: dict[str, ModelSource] = {}
        for source in found:
            try:
                source.card()
            except FerSpaceError as error:
                problems[source.name] = str(error)
            else:
                here[source.name] = source
        return here, problems

    def names(self) -> tuple[str, ...]:
        """Names of all models that can be loaded now."""
        return tuple(self.present())

    def source(self, name: str) -> ModelSource:
        """Look up a model by name; see `sources`."""
        (source,) = self.sources((name,))
        return source

    def sources(self, names: Iterable[str]) -> list[ModelSource]:
        """Look up models by name, whether their files are here or not.

        Args:
            names: of models that are shipped, fetched or the user's own. Paths are not looked up: visitors of
                the page name models, too.

        Raises:
            UnknownNameError: there is no model of that name; the message lists those that exist.
            WeightsError: it is a user model that cannot be used.
            MissingDependencyError: a model of the Hub was not fetched.
        """
        present, problems = self._look()
        return [present.get(name) or self._absent(name, present, problems) for name in names]

    def _absent(
        self, name: str, present: Mapping[str, ModelSource], problems: Mapping[str, str]
    ) -> ModelSource:
        """A model whose files are not here, which says so when it is built; otherwise what is wrong."""
        if name in BACKBONES:
            return self._shipped(BACKBONES[name])
        if name in MANIFEST:
            return _external(MANIFEST[name], None)
        if name in problems:
            raise WeightsError(problems[name])
        if name.startswith(HUB):
            raise MissingDependencyError(f"{name} is not here: `fer-space fetch {name}` downloads it.")
        raise UnknownNameError.of("model", name, dict.fromkeys([*BACKBONES, *present, *MANIFEST]))

    def card(self, name: str) -> Card:
        """Read the card of a model; raises the errors of `source` and of `ModelSource.card`."""
        return self.source(name).card()

    def _shipped(self, spec: BackboneSpec) -> ShippedModel:
        return ShippedModel(spec.name, spec.title, spec.colour, spec.kind, spec, self.weights_dir)


def source_of(name: str, weights_dir: str | Path = WEIGHTS_DIR) -> ModelSource:
    """Look up a model by name or by the path of its folder.

    Args:
        name: as `Registry.source` takes it; or "folder:PATH", or a path that starts with ".", "/" or "~".
        weights_dir: holds the weights and cards of shipped backbones.

    Raises the errors of `Registry.source`.
    """
    folder = folder_of(name)
    if folder is not None:
        return FolderModel(name, folder.name, colour_of(name), "user", folder)
    return Registry(weights_dir).source(name)


def list_models() -> tuple[str, ...]:
    """List the names of all models that can be loaded now.

    Example:
        >>> "dan" in list_models()
        True
    """
    return Registry().names()


def file_name_of(name: str) -> str:
    """Write a model's name as it can stand in a file's name: hub:OWNER/REPO -> hub-OWNER-REPO."""
    return re.sub(r"[^\w.-]+", "-", name)


def _described(receipt: Receipt) -> ExternalSpec:
    """What is known of a fetched model: the manifest knows best of a file, a repository of itself."""
    own = receipt.spec
    return own if own.kind == "hub" else MANIFEST.get(own.name, own)


def _external(spec: ExternalSpec, receipt: Receipt | None) -> ModelSource:
    if receipt is not None and CARD_FILE in receipt.sha256:
        folder = receipt.paths[CARD_FILE].parent
        return FolderModel(spec.name, spec.title, spec.colour, "external", folder, receipt)
    return ExternalModel(spec.name, spec.title, spec.colour, "external", spec, receipt)


def _built(card: Card, weights: Path) -> "Backbone":
    """Read weights as their card's architecture says."""
    if weights.suffix == ".onnx":
        if card.architecture != ONNX:
            raise WeightsError(f"{weights.name} needs a card whose architecture is “{ONNX}”.")
        check_sha256(card, weights)
        return _graph(weights, card)
    known = {spec.target: spec for spec in BACKBONES.values()}
    if card.architecture not in known:
        raise WeightsError(
            f"The card of {card.name} is for “{card.architecture}”. Known: {', '.join(known)}."
        )
    return _filled(known[card.architecture], card, weights, run=True)


def _graph(path: Path, card: Card) -> "Backbone":
    """Read an ONNX graph."""
    from fer_space.external.onnx_network import load_onnx

    network = load_onnx(path, len(card.labels), card.affect, card.preprocess.input_size)
    return network.eval().requires_grad_(False)


def _filled(spec: BackboneSpec, card: Card, path: Path, *, run: bool = False) -> "Backbone":
    """Build the network of `spec` and fill it from a verified file, divided for reading.

    Args:
        spec: of the network.
        card: of the file.
        path: of the file.
        run: whether it may be the best weights of a run, which answer with all eight emotions also where the
            card names fewer.
    """
    from fer_space.tensors import Unfilled, fill

    check_sha256(card, path)
    with Unfilled():
        backbone = spec.build(len(card.labels), card.affect)
    try:
        fill(backbone, path)
    except WeightsError:
        if not run or len(card.labels) == len(EMOTIONS):
            raise
        with Unfilled():
            backbone = spec.build(len(EMOTIONS), card.affect)
        fill(backbone, path)
        backbone.head.keep_classes(card.columns)
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
