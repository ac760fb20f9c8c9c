"""A model: a card, a network, and the one way to ask it about faces.

    model = load_model("dan")
    output = model.predict([crop_rgb], maps="default")
    output.probabilities                     float64 (1, 8), calibrated

`Model` alone knows how its network wants its pictures. Every picture is read together with its mirror image
and the logits of the two are averaged, because an expression does not depend on its side.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_space.backbones.base import Backbone, Output
from fer_space.card import WEIGHTS_DIR, Card
from fer_space.distributions import Distributions
from fer_space.emotions import EMOTIONS, to_eight
from fer_space.errors import InputError, WeightsError
from fer_space.explain.library import METHODS, library_maps, require_method
from fer_space.explain.maps import DEFAULT, attend
from fer_space.memory import give_back_memory
from fer_space.registry import ModelSource, source_of
from fer_space.runtime.device import Runtime, resolve_device, resolve_runtime
from fer_space.runtime.openvino import converted_runner, kept_runner
from fer_space.runtime.process import require_own_threads
from fer_space.runtime.runner import Runner, TorchRunner
from fer_space.runtime.threads import turn

Picture = NDArray[np.uint8]

BATCH_SIZE = 128
MAP_BATCH_SIZE = 8  # maps of all classes take eight times the memory of an answer

_building = RLock()  # of all models: one of its own would keep a model from other processes


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """What a model says of N faces.

    Attributes:
        probabilities: float64 (N, 8) over `EMOTIONS`, calibrated, rows summing to 1; NaN for emotions that
            the model lacks.
        affect: float32 (N, 2), valence and arousal in [-1, 1] from the model's head, or None without one.
        maps: float32 (N, 8, h, w) in [0, 1], one attention map an emotion over the whole crop, NaN for
            emotions that the model lacks; None where none were asked for, or the model has none.
        embedding: float32 (N, C), what the classifier reads; None where it was not asked for.
    """

    probabilities: Distributions
    affect: NDArray[np.float32] | None = None
    maps: NDArray[np.float32] | None = None
    embedding: NDArray[np.float32] | None = None

    @property
    def labels(self) -> list[str]:
        """The most probable emotion of each face."""
        return [EMOTIONS[column] for column in np.nanargmax(self.probabilities, axis=1)]


class Model:
    """A trained network together with its card, on one device; any number of threads may use it.

    Args:
        card: how it wants its pictures, and what its logits mean.
        network: filled; it is put into evaluation mode and channels-last memory on `device`. Or where to get
            it when it is needed: a network that was converted for OpenVINO on this machine is only verified.
        device: where it runs. On CUDA the bodies of backbones run in half precision, external models as their
            authors left them.
        runtime: what computes body and head, as `fer_space.runtime.device.resolve_runtime` gives it.

    Example:
        >>> model = load_model("efficientnet_lite0", device="cpu")
        >>> face = np.full((64, 64, 3), 128, np.uint8)
        >>> model.predict([face]).probabilities.shape
        (1, 8)
    """

    def __init__(
        self,
        card: Card,
        network: Backbone | ModelSource,
        device: torch.device | str = "cpu",
        runtime: Runtime = "torch",
    ) -> None:
        self.card = card
        self.device = torch.device(device)
        if self.device.type == "cpu":
            require_own_threads()
        self._origin = network
        self._network: Backbone | None = None
        # While one is converted no other may be built: torch's exporter changes modules for all threads.
        with turn() if runtime == "openvino" else nullcontext():
            kept = None if runtime == "torch" else kept_runner(card.network_key)
            if kept is None:
                self._network = _built(network)
            elif isinstance(network, ModelSource):
                network.check()
            self._runner: Runner = kept or TorchRunner(self.network, self.device)
            if runtime == "openvino":
                self.compile()
        # Copied once: a copy at every batch would stop a GPU's queue.
        self._bias = torch.tensor(card.bias).to(self.device)
        self._columns = torch.tensor(card.columns).to(self.device)

    def __getstate__(self) -> dict[str, Any]:
        """Leave a compiled network behind: whoever unpickles or copies the model reads its graphs again."""
        state = vars(self).copy()
        if self.runtime != "torch":
            del state["_runner"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "_runner" in state:
            return
        kept = kept_runner(self.card.network_key)
        if kept is None:
            if not isinstance(self._origin, ModelSource):
                raise WeightsError(
                    f"{self.name} was compiled and is not kept on this machine: load it by name."
                )
            self._network = self._built_again()
        self._runner = kept or TorchRunner(self.network, self.device)

    @property
    def name(self) -> str:
        """The name of its card."""
        return self.card.name

    @property
    def runtime(self) -> str:
        """What computes its body and head: "torch" or "openvino"."""
        return self._runner.name

    @property
    def network(self) -> Backbone:
        """The network in torch, built when it is asked for; its body is empty where OpenVINO computes it."""
        with _building:
            if self._network is None:
                self._network = self._built_again()
                self._network.body.to_empty(device="meta")
            return self._network

    def _built_again(self) -> Backbone:
        """Build the network now; raises WeightsError where its files are another model's by now."""
        origin = self._origin
        if isinstance(origin, ModelSource) and origin.card().network_key != self.card.network_key:
            raise WeightsError(f"{self.name} has changed on the disk since it was loaded: load it again.")
        return _built(origin)

    def compile(self, *, convert: bool = True) -> None:
        """Let OpenVINO compute body and head from now on; where it cannot take them they stay in torch.

        Probabilities move by less than 1e-4. The default maps are computed there, too; others are made
        by torch, from the same features. The body in torch is given up, and its memory with it.

        Args:
            convert: convert a network that has not been converted on this machine, which takes seconds, in
                which no model of this process answers.
        """
        if self.runtime != "torch":
            return
        size = self.card.preprocess.input_size
        key, network = self.card.network_key, self.network
        runner = kept_runner(key)
        if runner is None and convert:
            with turn():
                runner = converted_runner(network, size, key)
        if runner is not None:
            with turn():  # nobody is inside the body while it goes
                self._runner = runner
                network.body.to_empty(device="meta")

    def prepare_maps(self) -> None:
        """Load what the default maps need now, not at the first map."""
        self._runner.prepare_maps()

    @property
    def has_maps(self) -> bool:
        """Whether it can say where it looked."""
        return bool(self._runner.method)

    def require_maps(self) -> None:
        """Raise InputError unless it can say where it looked."""
        if not self.has_maps:
            raise InputError(f"{self.name} makes no attention maps: choose a model that is built in.")

    def method(self, asked: str) -> str:
        """Name the method of maps that is meant: for the default, what this model takes for it."""
        return self._runner.method if asked == DEFAULT else asked

    def reduce(self, crops: Sequence[Picture]) -> Tensor:
        """Reduce face crops to what the card wants to keep of them.

        Args:
            crops: uint8 (H, W, 3) RGB, each of any size.

        Returns:
            uint8 (N, C, n, n) on the CPU, C = 1 if the card is gray, n its native size.
        """
        return self.card.preprocess.reduce(crops)

    def predict(
        self,
        crops: Sequence[Picture],
        *,
        maps: str | None = None,
        flip: bool = True,
        boost_rare: bool = False,
        embed: bool = False,
    ) -> ModelOutput:
        """Read the emotions of face crops.

        Args:
            crops: N > 0 pictures uint8 (H, W, 3) RGB, each of any size, cut around one face.
            maps: also make attention maps by this method (`fer_space.explain.library.METHODS`).
            flip: average each face with its mirror image.
            boost_rare: answer at the second operating point, which names rare emotions more often.
            embed: also return what the classifier reads.

        Raises:
            UnknownNameError: there is no such method of maps.
            WeightsError: its answers are not finite numbers.
        """
        return self.predict_reduced(
            self.reduce(crops), maps=maps, flip=flip, boost_rare=boost_rare, embed=embed
        )

    @torch.no_grad()
    def predict_reduced(
        self,
        pictures: Tensor,
        *,
        maps: str | None = None,
        flip: bool = True,
        boost_rare: bool = False,
        embed: bool = False,
    ) -> ModelOutput:
        """Read pictures uint8 (N, C, n, n) that `reduce` made; otherwise as `predict`."""
        if maps is not None:
            require_method(maps)
        if self.device.type == "cpu":
            require_own_threads()
        wanted = maps if self.has_maps else None
        parts = [
            self._read(batch, wanted, flip, embed)
            for batch in torch.split(pictures, MAP_BATCH_SIZE if wanted else BATCH_SIZE)
        ]
        logits, affect, heat, embedding = (_joined(column) for column in zip(*parts, strict=True))
        assert logits is not None
        self._require_finite(logits, affect)
        probabilities = self.card.probabilities(logits)
        return ModelOutput(
            self.card.boosted(probabilities) if boost_rare else probabilities,
            affect,
            None if heat is None else to_eight(heat, self.card.labels),
            embedding,
        )

    @torch.no_grad()
    def logits(self, pictures: Tensor, *, flip: bool = True) -> NDArray[np.float32]:
        """Give the logits of reduced pictures, before bias and temperature.

        Args:
            pictures: uint8 (N, C, n, n) that `reduce` made, N > 0.
            flip: average each with its mirror image.

        Returns:
            float32 (N, K), one column a label of the card.

        Raises:
            WeightsError: they are not finite.
        """
        parts = (self._read(batch, None, flip, embed=False)[0] for batch in torch.split(pictures, BATCH_SIZE))
        logits = np.concatenate([part for part in parts if part is not None])
        self._require_finite(logits)
        return logits

    @torch.no_grad()
    def distribution(self, pictures: Tensor, native_size: int = 0) -> Tensor:
        """Answer augmented training pictures where they lie, without mirror images.

        Args:
            pictures: float (B, C, S, S), values 0 to 255, on the model's device; C = 1 gray or 3 RGB.
            native_size: side that they were reduced to before; 0 for none that is known.

        Returns:
            Calibrated probabilities float32 (B, 8) on the same device, 0 for emotions that the model lacks.
        """
        inputs = self.card.preprocess.see(pictures, native_size)
        with turn():
            output = self._runner.head(self._runner.body(inputs))
        known = ((output.logits.float() + self._bias) / self.card.temperature).softmax(dim=1)
        return known.new_zeros(len(known), len(EMOTIONS)).index_copy(1, self._columns, known)

    @torch.no_grad()
    def class_maps(self, pictures: Tensor, classes: Tensor, native_size: int = 0) -> Tensor:
        """Say where the model looks for one emotion in each augmented training picture.

        Args:
            pictures: float (B, C, S, S), values 0 to 255, on the model's device; C = 1 gray or 3 RGB.
            classes: int64 (B,), columns of `EMOTIONS` that the model has.
            native_size: side that the pictures were reduced to before; 0 for none that is known.

        Returns:
            float32 (B, h, w) in [0, 1], by the default method, on the same device.

        Raises:
            InputError: the model makes no maps.
        """
        self.require_maps()
        inputs = self.card.preprocess.see(pictures, native_size)
        with turn():
            _, maps = self._explained(self._runner.body(inputs), DEFAULT)
        assert maps is not None  # (B, K, h, w)
        known = self._columns == classes[:, None]  # (B, K)
        return maps[torch.arange(len(maps), device=maps.device), known.long().argmax(dim=1)]

    @torch.no_grad()
    def features(self, pictures: Tensor, *, flip: bool = True) -> Tensor:
        """Give what the body makes of reduced pictures, and after them of their mirror images.

        Args:
            pictures: uint8 (B, C, n, n) that `reduce` made.
            flip: whether the mirror images are read too.

        Returns:
            float32 (B, C', h, w) or, with the mirror images, (2 B, C', h, w), on the model's device.
        """
        with turn():
            return self._runner.body(self._inputs(pictures, flip))

    def _inputs(self, pictures: Tensor, flip: bool) -> Tensor:
        """What the network sees of reduced pictures, and after them of their mirror images."""
        inputs = self.card.preprocess.normalise(pictures.to(self.device))
        return torch.cat([inputs, inputs.flip(3)]) if flip else inputs

    def _require_finite(self, *answers: NDArray[np.float32] | None) -> None:
        if not all(np.isfinite(rows).all() for rows in answers if rows is not None):
            raise WeightsError(f"{self.name} gives answers that are not finite numbers.")

    def _read(
        self, pictures: Tensor, method: str | None, flip: bool, embed: bool
    ) -> tuple[NDArray[np.float32] | None, ...]:
        """Logits (B, K), affect (B, 2), maps (B, K, h, w), embedding (B, C) of one batch; None where not."""
        with turn():
            features = self._runner.body(self._inputs(pictures, flip))
            output, maps = self._explained(features, method)
            if output is None or (embed and output.embedding is None):
                output = self._runner.head(features)
            rows = [output.logits, output.affect, maps, output.embedding if embed else None]
            if flip:
                rows = [None if row is None else mean_of_both(row) for row in rows]
            return _to_cpu(rows)

    def _explained(self, features: Tensor, method: str | None) -> tuple[Output | None, Tensor | None]:
        """The maps (B, K, h, w) of features, and the head's output where they tell it as well."""
        if method is None:
            return None, None
        if self.method(method) == self._runner.method:
            return self._runner.maps(features)
        head = self.network.head
        if not METHODS[method].source:
            return attend(head, features, method)
        return None, library_maps(head, features, method)


def load_model(
    name: str, *, device: str = "auto", runtime: str = "auto", weights_dir: str | Path = WEIGHTS_DIR
) -> Model:
    """Load a model by name, verified by its sha256.

    Args:
        name: shipped, fetched or the user's own, see `list_models`; or a model's folder, "folder:PATH".
        device: "auto", "cpu", "cuda" or "mps".
        runtime: "auto", "torch" or "openvino": see `fer_space.runtime.device`.
        weights_dir: holds the weights and cards of shipped backbones.

    Raises:
        UnknownNameError: there is no model of that name.
        MissingDependencyError: it was not fetched, or a library that it needs is not installed.
        WeightsError: its files are missing, damaged, or do not belong together.
        InputError: the device or the runtime is not here.
    """
    source = source_of(name, weights_dir)
    where = resolve_device(device)
    model = Model(source.card(), source, where, resolve_runtime(runtime, where))
    give_back_memory()
    return model


def _built(origin: Backbone | ModelSource) -> Backbone:
    return origin.build() if isinstance(origin, ModelSource) else origin


def mean_of_both(rows: Tensor) -> Tensor:
    """Average rows (2 B, ...) of pictures with those of their mirror images; maps are mirrored back first."""
    straight, mirrored = rows.chunk(2)
    if rows.ndim == 4:  # maps (2 B, K, h, w)
        mirrored = mirrored.flip(3)
    return (straight + mirrored) / 2


def _to_cpu(rows: list[Tensor | None]) -> tuple[NDArray[np.float32] | None, ...]:
    """Bring tensors to the CPU in one transfer."""
    present = [row for row in rows if row is not None]
    flat = torch.cat([row.reshape(-1).float() for row in present]).cpu()
    pieces = iter(torch.split(flat, [row.numel() for row in present]))
    return tuple(None if row is None else next(pieces).view(row.shape).numpy() for row in rows)


def _joined(parts: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """Put the batches of one output after each other."""
    present = [part for part in parts if part is not None]
    return np.concatenate(present) if present else None
