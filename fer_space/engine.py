"""The engine: a photo in, every model's reading of every face out.

    from fer_space import Engine, load_image
    comparisons = Engine().compare(load_image("photo.jpg"))

It holds models, never anything of a request, so one engine serves all visitors and threads.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from fer_space.card import ENSEMBLE_FILE, WEIGHTS_DIR, Card, Fit, read_fits
from fer_space.comparison import Comparison, Covered, pair
from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.pipeline import MAX_FACES, MAX_OVERLAP, find_faces
from fer_space.detectors.specs import DEFAULT_DETECTOR, detector_spec
from fer_space.distributions import Distributions, by_emotion, circumplex
from fer_space.emotions import column_of
from fer_space.errors import FerSpaceError, UnknownNameError, WeightsError
from fer_space.explain.maps import DEFAULT
from fer_space.explain.sensitivity import Sensitivity, patched, worth_of
from fer_space.model import Model
from fer_space.occlusion.cover import Cover
from fer_space.registry import ModelSource, Registry
from fer_space.runtime.conversion import converting
from fer_space.runtime.device import resolve_device, resolve_runtime
from fer_space.runtime.process import require_own_threads
from fer_space.runtime.threads import cores, keep_to_cores
from fer_space.types import Explanation, Face, FaceCrop, Prediction, Reading
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import as_image
from fer_space.vision.pool import warm_up
from fer_space.vision.quality import with_doubts
from fer_space.vision.video import Frame
from fer_space.watch import Watched, Watcher

_TRIAL = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

Image = NDArray[np.uint8]
Progress = Callable[[int, int, str], None]  # models done, models in all, name of the next one ("" at the end)


class Engine:
    """Finds faces and reads them with every model that is here.

    Models are loaded when they are first needed, each once, and verified by sha256. A model that is fetched
    or replaced while the engine runs is read from then on.

    Args:
        weights_dir: holds the .safetensors files and cards.
        device: "auto", "cpu", "cuda" or "mps"; see `fer_space.runtime.device`.
        runtime: "auto", "torch" or "openvino"; see `fer_space.runtime.device`.

    Raises:
        InputError: the device or the runtime is not here.

    Example:
        >>> photo = load_image("examples/astronaut.jpg")
        >>> [face] = Engine().compare(photo, backbones=["efficientnet_lite0"])
        >>> face.consensus
        'happiness'
    """

    def __init__(
        self, weights_dir: str | Path = WEIGHTS_DIR, device: str = "auto", runtime: str = "auto"
    ) -> None:
        self.registry = Registry(weights_dir)
        self.device = resolve_device(device)
        self.runtime = resolve_runtime(runtime, self.device)
        keep_to_cores()
        self._locks: dict[str, Lock] = {}  # by name: each is loaded once, several at the same time
        self._models: dict[str, Model] = {}
        self._detectors: dict[str, Detector] = {}
        self._landmarker = Landmarker()
        self._failed: dict[str, tuple[object, str]] = {}  # state of the files, and what is wrong with them
        _engines.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the choice of models, device and runtime; another process loads them itself."""
        return type(self), (self.registry.weights_dir, self.device.type, self.runtime)

    @property
    def backbones(self) -> tuple[str, ...]:
        """Names of all models that can be read now: shipped, fetched, then the user's own."""
        return tuple(name for name, source in self.registry.present().items() if not self._has_failed(source))

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, in a sentence each, with models that are here and cannot be used, by name."""
        found = self.registry.problems()
        found |= {
            name: self._failed[name][1]
            for name, source in self.registry.present().items()
            if self._has_failed(source)
        }
        try:
            read_fits(self.registry.weights_dir)
        except WeightsError as error:
            found[ENSEMBLE_FILE] = str(error)
        return found

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The fitted ensembles of the folder of weights; none where their file is damaged."""
        try:
            return read_fits(self.registry.weights_dir)
        except WeightsError:
            return ()

    def shares(self, names: Sequence[str], ensemble: str = "") -> tuple[float, ...]:
        """Look up how much each model counts in a fitted ensemble.

        Args:
            names: of the models that answer.
            ensemble: name of the fit; "" takes the first one, if there is one.

        Returns:
            One number a name; () where a member does not answer, so that all models count alike.

        Raises:
            UnknownNameError: there is no such fit.
        """
        fits = {fit.name: fit for fit in self.fits}
        if ensemble and ensemble not in fits:
            raise UnknownNameError.of("ensemble", ensemble, fits)
        fit = fits.get(ensemble) or next(iter(fits.values()), None)
        return fit.shares_of(names) if fit else ()

    def card(self, name: str) -> Card:
        """Read the card of a model; raises the errors of `Registry.card` when there is none."""
        return self.registry.card(name)

    def model(self, name: str) -> Model:
        """Give the loaded model of a name, on the engine's device; raises the errors of `load_model`."""
        return self._model(self.registry.source(name))

    def preload(self, *, maps: bool = False) -> None:
        """Load every model, the default detector and the landmarks now, not at the first picture.

        A model that cannot be loaded is left out, and `problems` says why.

        Args:
            maps: also load what attention maps need.
        """
        warm_up()
        if self.device.type == "cpu":
            with ThreadPoolExecutor(cores()) as pool:
                tried = pool.map(self._tried, self.registry.present().values())
                models = [model for model in tried if model is not None]
                if maps:
                    list(pool.map(Model.prepare_maps, models))  # what goes wrong is raised here
        else:
            self._usable()  # not in other threads: what ZeroGPU shows of a GPU, this one alone sees
        self._detector(DEFAULT_DETECTOR)
        self._landmarker.load()

    def convert_in_background(self) -> Thread | None:
        """Convert the loaded models for OpenVINO in a child process, and use each as soon as it is there.

        Until then they answer in torch. The child leaves this process its memory and most of its time.

        Returns:
            The thread that waits for the child; None where nothing is to be converted.
        """
        waiting = {name: model for name, model in self._models.copy().items() if model.runtime == "torch"}
        if self.runtime == "torch" or not waiting:
            return None

        def wait() -> None:
            for name in converting(self.registry.weights_dir):
                if name in waiting:
                    waiting[name].compile(convert=False)

        thread = Thread(target=wait, name="conversion", daemon=True)
        thread.start()
        return thread

    def detect(
        self,
        image_rgb: Image,
        *,
        detector: str = DEFAULT_DETECTOR,
        limit: int = MAX_FACES,
        side: int | None = None,
    ) -> list[Face]:
        """Find faces, with landmarks where they can be fitted, the largest first.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            detector: a name in `fer_space.detectors.specs.DETECTORS`.
            limit: how many faces are kept, the largest first.
            side: pixels to which the longer side is reduced before the detector looks, for frames of a video.

        Returns:
            The faces; none is a normal answer.

        Raises:
            UnknownNameError: there is no such detector.
            MissingDependencyError: the detector is opt-in and not installed.
        """
        image_rgb = as_image(image_rgb)
        found = find_faces(image_rgb, self._detector(detector), self._landmarker, limit, side)
        return [with_doubts(image_rgb, face) for face in found]

    def follow(self, image_rgb: Image, faces: Sequence[Face]) -> list[Face] | None:
        """Find the faces of the frame before in the next one by their landmarks, which is faster.

        Args:
            image_rgb: uint8 (H, W, 3) RGB, the next frame.
            faces: what `detect` or `follow` found in the frame before.

        Returns:
            The same faces where they are now; None where one of them was lost, or two became one.
        """
        followed = [self._landmarker.follow(image_rgb, face) for face in faces]
        found = [face for face in followed if face is not None]
        met = any(one.overlap(other) > MAX_OVERLAP for one, other in combinations(found, 2))
        return None if met or len(found) < len(faces) else found

    def watch(
        self,
        frames: Iterable[Frame],
        *,
        backbones: Sequence[str] | None = None,
        detector: str = DEFAULT_DETECTOR,
        boost_rare: bool = False,
        ensemble: str = "",
    ) -> Iterator[Watched]:
        """Read the faces of a video frame by frame, following each face from frame to frame.

        Memory does not grow with the number of frames.

        Args:
            frames: for example those of `fer_space.vision.video.frames`.
            backbones: names of models; None takes all that are here.
            detector: finds the faces in each frame.
            boost_rare: whether rare emotions are boosted.
            ensemble: see `compare`.

        Yields:
            What was read in each frame, as soon as it was.

        Raises:
            As `compare`, and what `frames` raises.
        """
        watcher = Watcher(self, detector=detector)
        for frame in frames:
            yield watcher.look(frame, backbones=backbones, boost_rare=boost_rare, ensemble=ensemble)

    def compare(
        self,
        image_rgb: Image,
        *,
        backbones: Sequence[str] | None = None,
        detector: str = DEFAULT_DETECTOR,
        faces: Sequence[Face] | None = None,
        cover: Cover | None = None,
        method: str | None = DEFAULT,
        boost_rare: bool = False,
        ensemble: str = "",
        progress: Progress | None = None,
    ) -> list[Comparison]:
        """Read every face of a picture with every chosen model.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            backbones: names of models; None takes all that are here.
            detector: finds the faces, unless `faces` are given.
            faces: faces of this picture that are known already.
            cover: occludes every face after it was found, so that it tries the models and not the detector.
            method: of the attention maps, a name in `fer_space.explain.library.METHODS`; None makes none,
                which is faster.
            boost_rare: whether rare emotions are boosted, by the second operating point of each card.
            ensemble: the fit by which the models become one answer, a name in `fits`; "" takes the first.
            progress: is told before each model, and once at the end; an exception that it raises cancels the
                work and is passed on.

        Returns:
            One comparison a face, the largest face first; empty where there is no face.

        Raises:
            ImageError: the array can not only mean one picture (`fer_space.vision.imaging.as_image`).
            UnknownNameError, MissingDependencyError, WeightsError: see the message.
        """
        image_rgb = as_image(image_rgb)
        sources = self._chosen(backbones)
        if faces is None:
            with self._loading(sources):
                found = self.detect(image_rgb, detector=detector)
        else:
            found = list(faces)
        if not found:
            return []
        stream = self._stream(sources, image_rgb, found, cover, method, boost_rare, progress)
        columns = [readings for _, readings in stream]
        if progress is not None:
            progress(len(sources), len(sources), "")
        return self.together(found, columns, ensemble)

    def compare_covered(
        self,
        image_rgb: Image,
        cover: Cover,
        *,
        before: Sequence[Comparison] | None = None,
        backbones: Sequence[str] | None = None,
        detector: str = DEFAULT_DETECTOR,
        method: str | None = DEFAULT,
        boost_rare: bool = False,
        ensemble: str = "",
        progress: Progress | None = None,
    ) -> list[Covered]:
        """Read every face twice, free and occluded, and pair the answers.

        Args:
            image_rgb: uint8 (H, W, 3) RGB, without the occlusion.
            cover: occludes every face.
            before: what `compare` said of the free faces with the same options, if that is known; it then
                says which faces and models are read.
            backbones: names of models; None takes all that are here.
            detector: finds the faces.
            method: of the attention maps, or None.
            boost_rare: whether rare emotions are boosted.
            ensemble: see `compare`.
            progress: see `compare`; it is told of both readings.

        Returns:
            One pair a face; empty where there is no face.

        Raises:
            As `compare`.
        """
        if before is None:
            before = self.compare(
                image_rgb,
                backbones=backbones,
                detector=detector,
                method=method,
                boost_rare=boost_rare,
                ensemble=ensemble,
                progress=progress,
            )
        if not before:
            return []
        after = self.compare(
            image_rgb,
            backbones=[prediction.backbone for prediction in before[0].predictions],
            faces=[comparison.face for comparison in before],
            cover=cover,
            method=method,
            boost_rare=boost_rare,
            ensemble=ensemble,
            progress=progress,
        )
        return pair(before, after, cover.kind)

    def stream(
        self,
        image_rgb: Image,
        faces: Sequence[Face],
        *,
        backbones: Sequence[str] | None = None,
        covers: Sequence[Cover | None] = (None,),
        at_once: int | None = None,
        method: str | None = DEFAULT,
        boost_rare: bool = False,
    ) -> Iterator[tuple[str, list[Reading]]]:
        """Read known faces model by model, giving each model's readings as soon as they are there.

        Args:
            image_rgb: uint8 (H, W, 3) RGB.
            faces: at least one face of this picture.
            backbones: names of models; None takes all that are here.
            covers: what occludes every face, one after the other; None is the free face.
            at_once: how many faces all models read before the next ones; None takes all.
            method: of the attention maps, or None.
            boost_rare: whether rare emotions are boosted.

        Yields:
            A model's name and one reading for each of `at_once` faces, by cover, then by faces, then by
            model; `together` makes comparisons of any number of them.
        """
        sources, size = self._chosen(backbones), at_once or len(faces)
        for cover in covers:
            for start in range(0, len(faces), size):
                part = faces[start : start + size]
                yield from self._stream(sources, image_rgb, part, cover, method, boost_rare, None)

    def together(
        self, faces: Sequence[Face], columns: Sequence[Sequence[Reading]], ensemble: str = ""
    ) -> list[Comparison]:
        """Make one comparison a face of what several models said.

        Args:
            faces: N faces.
            columns: N readings from each of one or more models.
            ensemble: the fit by which they become one answer; "" takes the first.

        Raises:
            UnknownNameError: there is no such fit.
        """
        names = [column[0].prediction.backbone for column in columns] if faces else []
        shares = self.shares(names, ensemble)
        rows = zip(*columns, strict=True)
        return [Comparison(face, tuple(readings), shares) for face, readings in zip(faces, rows, strict=True)]

    def sensitivity(
        self, image_rgb: Image, face: Face, *, backbones: Sequence[str] | None = None
    ) -> Iterator[Sensitivity]:
        """Measure what each region of one face is worth to each model, one after the other.

        Raises the errors of `compare`.
        """
        for source in self._chosen(backbones):
            model = self._model(source)
            crop = crop_face(image_rgb, face, model.card.crop, model.card.crop_size).image_rgb
            yield worth_of(model.name, model.predict([crop, *patched(crop)]).probabilities)

    def answers(
        self, crops: Sequence[Image], *, backbones: Sequence[str] | None = None, boost_rare: bool = False
    ) -> Iterator[tuple[str, Distributions]]:
        """Give what each model says of face crops, float64 (N, 8), one model after the other.

        Args:
            crops: N > 0 pictures uint8 (H, W, 3) RGB, each of any size, cut around one face.
            backbones: names of models; None takes all that are here.
            boost_rare: move every model to its second operating point, see `Card.boosted`.

        Raises the errors of `compare`.
        """
        for source in self._chosen(backbones):
            model = self._model(source)
            rows = model.predict(crops).probabilities
            yield source.name, model.card.boosted(rows) if boost_rare else rows

    def _stream(
        self,
        sources: Sequence[ModelSource],
        image_rgb: Image,
        faces: Sequence[Face],
        cover: Cover | None,
        method: str | None,
        boost_rare: bool,
        progress: Progress | None,
    ) -> Iterator[tuple[str, list[Reading]]]:
        crops: dict[tuple[CropRule, int], list[FaceCrop]] = {}  # cut once a rule, not once a model
        for done, source in enumerate(sources):
            if progress is not None:
                progress(done, len(sources), source.name)
            model = self._model(source)
            key = (model.card.crop, model.card.crop_size)
            if key not in crops:
                cut = [crop_face(image_rgb, face, *key) for face in faces]
                crops[key] = cut if cover is None else list(map(cover.on_crop, cut, faces))
            yield source.name, _read(model, crops[key], method, boost_rare)

    def _chosen(self, backbones: Sequence[str] | None) -> list[ModelSource]:
        chosen = None if backbones is None else dict.fromkeys(backbones)
        sources = self._usable() if chosen is None else self.registry.sources(chosen)
        if not sources:
            wanted = "there are no weights" if backbones is None else "no backbone was chosen"
            raise WeightsError(f"Nothing can be read: {wanted}.")
        return sources

    def _usable(self) -> list[ModelSource]:
        """Load all models that are here; those that cannot be loaded are left out and remembered."""
        return [source for source in self.registry.present().values() if self._tried(source) is not None]

    def _tried(self, source: ModelSource) -> Model | None:
        """A loaded model, or None where it cannot be loaded, which is remembered."""
        if self._has_failed(source):
            return None
        try:
            return self._model(source)
        except FerSpaceError as error:
            self._failed[source.name] = (source.state(), str(error))
            return None

    def _has_failed(self, source: ModelSource) -> bool:
        """Whether a model could not be loaded, and none of its files has changed since."""
        return source.name in self._failed and self._failed[source.name][0] == source.state()

    def _model(self, source: ModelSource) -> Model:
        if self.device.type == "cpu":
            require_own_threads()
        with self._locks.setdefault(source.name, Lock()):
            card = source.card()
            model = self._models.get(source.name)
            if model is None or model.card != card:
                model = Model(card, source, self.device, self.runtime)
                if self.device.type == "cpu":  # ZeroGPU has a GPU only while a visitor's picture is read
                    model.logits(model.reduce([_TRIAL]))  # a model without finite answers says so now
                self._models[source.name] = model
            return model

    @contextmanager
    def _loading(self, sources: Sequence[ModelSource]) -> Iterator[None]:
        """Load models while the block looks for faces, as the first look loads the landmarks for a second.

        What is wrong with a model is raised where it is asked.
        """
        missing = [source for source in sources if source.name not in self._models]
        if not missing or self.device.type != "cpu":  # as in `preload`
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            pool.map(self._model, missing)
            try:
                yield
            except BaseException:  # nobody asks for those that have not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _detector(self, name: str) -> Detector:
        spec = detector_spec(name)
        require_own_threads()
        with self._locks.setdefault(name, Lock()):
            if name not in self._detectors:
                self._detectors[name] = spec.build()
            return self._detectors[name]


_engines: WeakSet[Engine] = WeakSet()


def _unlock() -> None:
    """In a process that was forked while another thread held a lock, nobody would ever release it."""
    for engine in _engines:
        engine._locks = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def _read(model: Model, crops: Sequence[FaceCrop], method: str | None, boost_rare: bool) -> list[Reading]:
    """What a model says of each crop, as records for people."""
    started = time.perf_counter()
    output = model.predict([crop.image_rgb for crop in crops], maps=method)
    shown = model.card.boosted(output.probabilities) if boost_rare else output.probabilities
    ms = (time.perf_counter() - started) * 1000.0 / len(crops)
    # Valence and arousal are those of the first operating point: a face does not feel otherwise by a switch.
    affect = circumplex(output.probabilities) if output.affect is None else output.affect
    readings = []
    for i, crop in enumerate(crops):
        prediction = Prediction(
            backbone=model.name,
            probabilities=by_emotion(shown[i]),
            valence=float(affect[i, 0]),
            arousal=float(affect[i, 1]),
            va_source="circumplex" if output.affect is None else "head",
            ms=ms,
            runtime=model.runtime,
        )
        readings.append(Reading(prediction, _explanations(model, output.maps, i, method), crop))
    return readings


def _explanations(
    model: Model, maps: NDArray[np.float32] | None, i: int, method: str | None
) -> dict[str, Explanation]:
    if maps is None or method is None:
        return {}
    return {e: Explanation(maps[i, column_of(e)], e, model.method(method)) for e in model.card.emotions}
