"""The engine: a photo in, every backbone's reading of every face out.

    from fer_space.engine import Engine
    comparisons = Engine().compare(image_rgb)

It holds models, never anything of a request, so one engine serves all visitors and threads.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from fer_space.affect import circumplex
from fer_space.backbones.base import Backbone
from fer_space.changes import Sensitivity
from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.pipeline import find_faces
from fer_space.emotions import EMOTIONS
from fer_space.errors import WeightsError
from fer_space.explain.gradcam import METHOD
from fer_space.explain.library import explain
from fer_space.explain.sensitivity import CELLS, patched
from fer_space.external.heads import OutsideNetwork
from fer_space.inference import outputs_of, read_with_maps, resolve_device
from fer_space.loading import card_of, load_network, readable
from fer_space.occlusion.cover import Cover
from fer_space.registry import DEFAULT_DETECTOR, detector_spec, look_up
from fer_space.types import Comparison, Explanation, Face, FaceCrop, Prediction, Reading, VASource
from fer_space.vision.alignment import crop_face
from fer_space.weights import WEIGHTS_DIR, Card

Image = NDArray[np.uint8]
LEAST = 1e-300  # a smaller probability has no logarithm


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A network on its device together with its card."""

    card: Card
    network: Backbone

    def read(self, crops: Sequence[FaceCrop], method: str = METHOD, lift: bool = False) -> list[Reading]:
        """Read all crops in one batch; `method` is a name in `fer_space.explain.library.METHODS`.

        With `lift` the emotions are those of the card's second operating point; valence and arousal stay.

        Outside models have no attention maps: their readings have no explanations.
        """
        started = time.perf_counter()
        pictures = self.card.preprocess.reduce([crop.image_rgb for crop in crops])
        logits, affect, maps = self._outputs(pictures, method)
        probabilities = self.card.probabilities(logits)
        lifted = self.card.lifted(probabilities) if lift else probabilities
        ms = (time.perf_counter() - started) * 1000.0 / len(crops)
        readings = []
        for i, crop in enumerate(crops):
            known, shown = self._by_emotion(probabilities[i]), self._by_emotion(lifted[i])
            valence, arousal = circumplex(known) if affect is None else affect[i].tolist()
            source: VASource = "circumplex" if affect is None else "head"
            prediction = Prediction(self.card.name, shown, valence, arousal, source, ms)
            drawn = () if maps is None else zip(self.card.labels, maps[i].numpy(), strict=True)
            explanations = {label: Explanation(heatmap, label, method) for label, heatmap in drawn}
            readings.append(Reading(prediction, explanations, crop))
        return readings

    def _by_emotion(self, row: torch.Tensor) -> dict[str, float]:
        """Probabilities (K,) of the card's labels, in the order of `EMOTIONS`."""
        by_label = dict(zip(self.card.labels, row.tolist(), strict=True))
        return {emotion: by_label[emotion] for emotion in EMOTIONS if emotion in by_label}

    def crop(self, image_rgb: Image, face: Face) -> FaceCrop:
        """Cut a face out as the card wants it, no smaller than the network reads it."""
        return crop_face(image_rgb, face, self.card.crop, self.card.crop_size)

    def sensitivity(self, crop: FaceCrop) -> Sensitivity:
        """Read a crop with a patch at every place (`fer_space.explain.sensitivity`), all in one batch."""
        crops = [crop.image_rgb, *patched(crop.image_rgb)]
        pictures = self.card.preprocess.reduce(crops)
        logits = outputs_of(self.network, self.card.preprocess, pictures).logits
        probabilities = np.maximum(self.card.probabilities(logits).numpy(), LEAST)
        top = int(probabilities[0].argmax())
        odds = np.log2(probabilities[:, top]) - np.log2(np.delete(probabilities, top, axis=1).sum(axis=1))
        worth = (odds[0] - odds[1:]).astype(np.float32)
        return Sensitivity(self.card.name, self.card.labels[top], worth.reshape(CELLS, CELLS))

    def _outputs(
        self, pictures: torch.Tensor, method: str
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Logits (B, K), valence and arousal (B, 2) and maps (B, K, h, w); None for what there is not."""
        preprocess = self.card.preprocess
        if isinstance(self.network, OutsideNetwork):
            readout = outputs_of(self.network, preprocess, pictures)
            return readout.logits, readout.affect, None
        logits, affect, maps = read_with_maps(self.network, preprocess, pictures)
        if method != METHOD:
            maps = explain(self.network, preprocess, pictures, range(len(self.card.labels)), method)
        return logits, affect, maps


class Engine:
    """Finds faces and reads them with every backbone whose weights are here, fetched outside models included.

    Models are loaded when they are first needed, each once, and verified by sha256.

    Args:
        weights_dir: holds the .safetensors files and cards.
        device: "auto", "cpu", "cuda" or "mps"; see `fer_space.inference.resolve_device`. On CUDA the
            bodies of the backbones run in half precision, outside models as their authors left them.

    Raises:
        InputError: the device is not here.
    """

    def __init__(self, weights_dir: Path = WEIGHTS_DIR, device: str = "auto") -> None:
        self.weights_dir = weights_dir
        self.device = resolve_device(device)
        self._lock = Lock()
        self._loaded: dict[str, LoadedBackbone] = {}
        self._detectors: dict[str, Detector] = {}
        self._landmarker = Landmarker()

    @cached_property
    def backbones(self) -> tuple[str, ...]:
        """Names of all that can read: shipped backbones, fetched outside models, then the user's own."""
        return readable(self.weights_dir)

    def card(self, name: str) -> Card:
        """The card of a backbone; raises the errors of `fer_space.loading.card_of` when there is none."""
        return card_of(name, self.weights_dir)

    def network(self, name: str) -> Backbone:
        """The loaded network of a backbone, in evaluation mode on the engine's device."""
        return self._backbone(name).network

    def preload(self) -> None:
        """Load every backbone, the default detector and the landmarks now, not at the first picture."""
        for name in self.backbones:
            self._backbone(name)
        self._detector(DEFAULT_DETECTOR)
        self._landmarker.load()

    def detect(self, image_rgb: Image, *, detector: str = DEFAULT_DETECTOR) -> list[Face]:
        """Find faces, with landmarks where they can be fitted, the largest first.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            detector: a name in `fer_space.registry.DETECTORS`.

        Returns:
            The faces; none is a normal answer.

        Raises:
            UnknownNameError: there is no such detector.
            MissingDependencyError: the detector is opt-in and not installed.
        """
        return find_faces(image_rgb, self._detector(detector), self._landmarker)

    def compare(
        self,
        image_rgb: Image,
        *,
        backbones: Sequence[str] | None = None,
        detector: str = DEFAULT_DETECTOR,
        faces: Sequence[Face] | None = None,
        cover: Cover | None = None,
        method: str = METHOD,
        lift: bool = False,
    ) -> list[Comparison]:
        """Read every face of a picture with every chosen backbone.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            backbones: names; None takes all that are here.
            detector: finds the faces, unless `faces` are given.
            faces: faces of this picture that are known already.
            cover: covers every face after it was found, so that it tries the backbones and not the detector.
            method: of the attention maps, a name in `fer_space.explain.library.METHODS`.
            lift: whether rare emotions are lifted, by the second operating point of each card.

        Returns:
            One comparison a face, the largest face first; empty where there is no face.

        Raises:
            UnknownNameError, MissingDependencyError, WeightsError: see the message.
        """
        names = self._chosen(backbones)
        found = self.detect(image_rgb, detector=detector) if faces is None else list(faces)
        if not found:
            return []
        shown = image_rgb if cover is None else cover.on_photo(image_rgb, found)
        weights = tuple(self.card(name).weight for name in names)
        columns = [self._read(self._backbone(name), shown, found, cover, method, lift) for name in names]
        return [
            Comparison(face, readings, weights)
            for face, readings in zip(found, zip(*columns, strict=True), strict=True)
        ]

    def sensitivity(
        self, image_rgb: Image, face: Face, *, backbones: Sequence[str] | None = None
    ) -> Iterator[Sensitivity]:
        """Measure what each region of one face is worth to each backbone, one after the other.

        Raises the errors of `compare`.
        """
        for name in self._chosen(backbones):
            loaded = self._backbone(name)
            yield loaded.sensitivity(loaded.crop(image_rgb, face))

    def _read(
        self,
        loaded: LoadedBackbone,
        image_rgb: Image,
        faces: Sequence[Face],
        cover: Cover | None,
        method: str,
        lift: bool,
    ) -> list[Reading]:
        crops = [loaded.crop(image_rgb, face) for face in faces]
        if cover is not None:
            crops = [cover.on_crop(crop, face) for crop, face in zip(crops, faces, strict=True)]
        return loaded.read(crops, method, lift)

    def _chosen(self, backbones: Sequence[str] | None) -> tuple[str, ...]:
        names = self.backbones if backbones is None else tuple(dict.fromkeys(backbones))
        if not names:
            wanted = "there are no weights" if backbones is None else "no backbone was chosen"
            raise WeightsError(f"Nothing can be read: {wanted}.")
        for name in names:
            look_up(name)
        return names

    def _backbone(self, name: str) -> LoadedBackbone:
        with self._lock:
            if name not in self._loaded:
                card = card_of(name, self.weights_dir)
                network = load_network(card, self.weights_dir)
                network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                if self.device.type == "cuda" and not isinstance(network, OutsideNetwork):
                    network.body.half()
                self._loaded[name] = LoadedBackbone(card, network)
            return self._loaded[name]

    def _detector(self, name: str) -> Detector:
        spec = detector_spec(name)
        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = spec.build()
            return self._detectors[name]
