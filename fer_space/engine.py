"""The engine: a photo in, every backbone's reading of every face out.

    from fer_space.engine import Engine
    comparisons = Engine().compare(image_rgb)

It holds models, never anything of a request, so one engine serves all visitors and threads.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from fer_space.affect import circumplex
from fer_space.alignment import CropRule, crop_face
from fer_space.backbones.base import Backbone
from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.pipeline import find_faces
from fer_space.errors import WeightsError
from fer_space.gradcam import METHOD
from fer_space.inference import read_with_maps, resolve_device
from fer_space.labels import EMOTIONS
from fer_space.registry import DEFAULT_DETECTOR, backbone_spec, detector_spec
from fer_space.types import Comparison, Explanation, Face, FaceCrop, Prediction, Reading, VASource
from fer_space.weights import WEIGHTS_DIR, Card, available, load_backbone, read_card

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A network on its device together with its card."""

    card: Card
    network: Backbone

    def read(self, crops: Sequence[FaceCrop]) -> list[Reading]:
        """Read all crops in one batch."""
        started = time.perf_counter()
        pictures = self.card.preprocess.reduce([crop.image_rgb for crop in crops])
        logits, affect, maps = read_with_maps(self.network, self.card.preprocess, pictures)
        probabilities = self.card.probabilities(logits)
        ms = (time.perf_counter() - started) * 1000.0 / len(crops)
        readings = []
        for i, crop in enumerate(crops):
            by_label = dict(zip(self.card.labels, probabilities[i].tolist(), strict=True))
            known = {emotion: by_label[emotion] for emotion in EMOTIONS if emotion in by_label}
            valence, arousal = circumplex(known) if affect is None else affect[i].tolist()
            source: VASource = "circumplex" if affect is None else "head"
            prediction = Prediction(self.card.name, known, valence, arousal, source, ms)
            explanations = {
                label: Explanation(maps[i, k].numpy(), label, METHOD)
                for k, label in enumerate(self.card.labels)
            }
            readings.append(Reading(prediction, explanations, crop))
        return readings


class Engine:
    """Finds faces and reads them with every backbone whose weights are here.

    Models are loaded when they are first needed, each once, and verified by sha256.

    Args:
        weights_dir: holds the .safetensors files and cards.
        device: "auto", "cpu", "cuda" or "mps"; see `fer_space.inference.resolve_device`. On CUDA the
            bodies run in half precision.

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
        """Names of the backbones whose weights are here, in the order of the registry."""
        return available(self.weights_dir)

    def card(self, name: str) -> Card:
        """The card of a backbone; raises WeightsError or UnknownNameError when there is none."""
        return read_card(name, self.weights_dir)

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
    ) -> list[Comparison]:
        """Read every face of a picture with every chosen backbone.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            backbones: names; None takes all that are here.
            detector: finds the faces, unless `faces` are given.
            faces: faces of this picture that are known already.

        Returns:
            One comparison a face, the largest face first; empty where there is no face.

        Raises:
            UnknownNameError, MissingDependencyError, WeightsError: see the message.
        """
        names = self._chosen(backbones)
        found = self.detect(image_rgb, detector=detector) if faces is None else list(faces)
        if not found:
            return []
        columns = [self._read(self._backbone(name), image_rgb, found) for name in names]
        return [
            Comparison(face, readings)
            for face, readings in zip(found, zip(*columns, strict=True), strict=True)
        ]

    def _read(self, loaded: LoadedBackbone, image_rgb: Image, faces: Sequence[Face]) -> list[Reading]:
        rule: CropRule = loaded.card.crop
        return loaded.read([crop_face(image_rgb, face, rule) for face in faces])

    def _chosen(self, backbones: Sequence[str] | None) -> tuple[str, ...]:
        names = self.backbones if backbones is None else tuple(dict.fromkeys(backbones))
        if not names:
            wanted = "there are no weights" if backbones is None else "no backbone was chosen"
            raise WeightsError(f"Nothing can be read: {wanted}.")
        for name in names:
            backbone_spec(name)
        return names

    def _backbone(self, name: str) -> LoadedBackbone:
        with self._lock:
            if name not in self._loaded:
                card = read_card(name, self.weights_dir)
                network = load_backbone(card, self.weights_dir)
                network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                if self.device.type == "cuda":
                    network.body.half()
                self._loaded[name] = LoadedBackbone(card, network)
            return self._loaded[name]

    def _detector(self, name: str) -> Detector:
        spec = detector_spec(name)
        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = spec.build()
            return self._detectors[name]
