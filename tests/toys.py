"""A toy engine: real `Comparison` objects from the look of the picture, in no time and without weights."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.backbones.specs import BackboneSpec
from fer_space.card import FERPLUS_TEST, Card, Fit, Measurement, Scores
from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine, Progress
from fer_space.errors import MissingDependencyError, UnknownNameError
from fer_space.explain.sensitivity import Sensitivity
from fer_space.occlusion import OCCLUSIONS
from fer_space.occlusion.cover import Cover
from fer_space.registry import ModelSource, ShippedModel
from fer_space.types import Explanation, Face, FaceCrop, Prediction, Reading
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

CROP = 224
MISSING = "InsightFace is not installed. Install requirements-insightface.txt to use it."
TOY_SPECS = tuple(
    BackboneSpec(name, title, "nowhere:nothing", 96, colour)
    for name, title, colour in (
        ("toy_lite", "EfficientNet-Lite0", "#2563eb"),
        ("toy_resnet", "ResNet-18", "#d97706"),
        ("toy_vit", "ViT-B/16", "#059669"),
        ("toy_convnext", "ConvNeXt-T", "#9333ea"),
        ("toy_dan", "DAN", "#db2777"),
        ("toy_ran", "RAN", "#0891b2"),
        ("toy_mobile", "MobileNetV3", "#65a30d"),
        ("toy_poster", "POSTER++", "#475569"),
    )
)

FIT = Fit(
    name="ferplus",
    shares={"toy_lite": 0.75, "toy_resnet": 0.25},
    data="ferplus valid",
    command="invented",
    date="2026-11-27",
)


def toy_measurement(kind: str | None) -> Measurement:
    """What was measured of a toy when something, or nothing, occluded the faces."""
    scores = Scores(
        n=3137,
        accuracy=0.8,
        accuracy_interval=(0.79, 0.81),
        balanced_accuracy=0.6,
        macro_f1=0.7,
        ece=0.02,
        per_class=dict.fromkeys(EMOTIONS, 0.7),
    )
    setting = FERPLUS_TEST.model_copy(update={"occlusion": kind})
    return Measurement(setting=setting, scores=scores, command="invented", date="2026-11-27")


class ToyRegistry:
    """The toys of an engine, in the order of its backbones."""

    def __init__(self, names: Sequence[str]) -> None:
        specs = {spec.name: spec for spec in TOY_SPECS}
        self._sources = {name: _ToyModel.of(specs[name]) for name in names}

    def present(self) -> dict[str, ModelSource]:
        return dict(self._sources)

    def names(self) -> tuple[str, ...]:
        return tuple(self._sources)

    def source(self, name: str) -> ModelSource:
        if name not in self._sources:
            raise UnknownNameError.of("model", name, self._sources)
        return self._sources[name]

    def sources(self, names: Iterable[str]) -> list[ModelSource]:
        return list(map(self.source, names))

    def card(self, name: str) -> Card:
        return self.source(name).card()


class _ToyModel(ShippedModel):
    @classmethod
    def of(cls, spec: BackboneSpec) -> "_ToyModel":
        return cls(spec.name, spec.title, spec.colour, spec.kind, spec, Path("nowhere"))

    def card(self) -> Card:
        return Card(
            name=self.name,
            architecture=self.spec.target,
            labels=EMOTIONS,
            preprocess=Preprocess(96, 48, gray=True),
            crop=CropRule(),
            bias=(0.0,) * 8,
            temperature=1.0,
            parameters=1_400_000 * (1 + len(self.name)),
            sha256="",
            data="invented",
            licence="MIT",
            command="none",
            measurements=tuple(map(toy_measurement, (None, *OCCLUSIONS))),
        )


class ToyEngine(Engine):
    """A plain picture has no face, a wide one two, a panorama forty, any other one; nearly all say happiness.

    Only the face of a picture with one face has landmarks. Occluded, ViT-B/16 changes its mind.
    Asked for dlib it breaks in an unforeseen way; InsightFace is "not installed".
    """

    def __init__(self, backbones: Sequence[str]) -> None:
        self.registry = ToyRegistry(backbones)
        self.calls = 0  # of single models
        self.pause = 0.0  # seconds that each of them takes
        self.broken: dict[str, str] = {}  # what `problems` says
        self._failed = {}
        self.methods: list[str | None] = []
        self.boosts: list[bool] = []

    @property
    def problems(self) -> dict[str, str]:
        return dict(self.broken)

    def _usable(self) -> list[ModelSource]:
        return list(self.registry.present().values())

    @property
    def fits(self) -> tuple[Fit, ...]:
        return (FIT, FIT.model_copy(update={"name": "posed", "shares": {"toy_resnet": 1.0}}))

    def _stream(
        self,
        sources: Sequence[ModelSource],
        image_rgb: NDArray[np.uint8],
        faces: Sequence[Face],
        cover: Cover | None,
        method: str | None,
        boost_rare: bool,
        progress: Progress | None,
    ) -> Iterator[tuple[str, list[Reading]]]:
        self.methods.append(method)
        self.boosts.append(boost_rare)
        hidden = cover is not None
        for done, source in enumerate(sources):
            if progress is not None:
                progress(done, len(sources), source.name)
            self.calls += 1
            time.sleep(self.pause)
            crops = [_crop(image_rgb, face.box_xyxy) for face in faces]
            if cover is not None:
                crops = list(map(cover.on_crop, crops, faces))
            seeds = [round(sum(face.box_xyxy)) + 1000 * hidden + done for face in faces]
            yield (
                source.name,
                [_reading(source.name, *face, hidden) for face in zip(crops, seeds, strict=True)],
            )

    def answers(
        self,
        crops: Sequence[NDArray[np.uint8]],
        *,
        backbones: Sequence[str] | None = None,
        boost_rare: bool = False,
    ) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """They see surprise in whatever they are shown, and fear where rare emotions are boosted."""
        row = [0.3 / 7] * len(EMOTIONS)
        row[EMOTIONS.index("fear" if boost_rare else "surprise")] = 0.7
        for name in backbones or self.backbones:
            yield name, np.array([row] * len(crops))

    def sensitivity(
        self, image_rgb: NDArray[np.uint8], face: Face, *, backbones: Sequence[str] | None = None
    ) -> Iterator[Sensitivity]:
        for name in backbones or self.backbones:
            worth = np.zeros((9, 9), np.float32)
            worth[6, 3:6] = 0.4
            yield Sensitivity(name, "happiness", worth)

    def detect(
        self,
        image_rgb: NDArray[np.uint8],
        *,
        detector: str = "libfacedetection",
        limit: int = 32,
        side: int | None = None,
    ) -> list[Face]:
        if detector == "insightface":
            raise MissingDependencyError(MISSING)
        if detector == "dlib":
            raise RuntimeError("an error that nobody foresaw")
        boxes = _boxes(image_rgb)[:limit]
        return [Face(box, 0.98, toy_landmarks(box) if len(boxes) == 1 else None) for box in boxes]

    def follow(self, image_rgb: NDArray[np.uint8], faces: Sequence[Face]) -> None:
        return None


def toy_comparison(image_rgb: NDArray[np.uint8], face: Face, names: Sequence[str]) -> Comparison:
    """What toys say of one face."""
    (comparison,) = ToyEngine(names).compare(image_rgb, faces=[face])
    return comparison


def first_cells(heatmap: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """A choice of cells that is easy to foresee: the first of the grid."""
    return (np.arange(49) < count).reshape(7, 7)


def toy_landmarks(box_xyxy: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """68 points that look like a face drawn by a child."""
    turn = np.linspace(0, 2 * np.pi, 13)[:12]
    ring = np.column_stack([np.cos(turn + np.pi), np.sin(turn + np.pi)])
    jaw_turn = np.linspace(np.pi, 0, 17)
    parts = [
        np.column_stack([0.5 + 0.45 * np.cos(jaw_turn), 0.4 + 0.58 * np.sin(jaw_turn)]),
        np.column_stack([np.linspace(0.15, 0.42, 5), np.full(5, 0.25)]),
        np.column_stack([np.linspace(0.58, 0.85, 5), np.full(5, 0.25)]),
        np.column_stack([np.full(4, 0.5), np.linspace(0.38, 0.58, 4)]),
        np.column_stack([np.linspace(0.42, 0.58, 5), np.full(5, 0.63)]),
        [0.3, 0.38] + 0.07 * ring[::2],
        [0.7, 0.38] + 0.07 * ring[::2],
        [0.5, 0.78] + [0.16, 0.07] * ring,
        [0.5, 0.78] + [0.11, 0.03] * ring[:8],
    ]
    left, top, right, bottom = box_xyxy
    points = np.concatenate(parts) * [right - left, bottom - top] + [left, top]
    return points.astype(np.float32)


def toy_prediction(
    probabilities: Mapping[str, float], backbone: str = "toy_lite", **changes: object
) -> Prediction:
    values = {"valence": 0.6, "arousal": 0.1, "va_source": "circumplex", "ms": 4.2, **changes}
    return Prediction(backbone, dict(probabilities), **values)


def toy_reading(prediction: Prediction) -> Reading:
    grid = np.mgrid[0:6, 0:6].astype(np.float32)
    heat = np.exp(-((grid[0] - 4) ** 2 + (grid[1] - 2.5) ** 2) / 3).astype(np.float32)
    maps = {
        e: Explanation(heat * (0.4 + 0.6 * (e == "happiness")), e, "toy") for e in prediction.probabilities
    }
    crop = FaceCrop(np.full((CROP, CROP, 3), 128, np.uint8), np.eye(2, 3))
    return Reading(prediction, maps, crop)


def _boxes(image_rgb: NDArray[np.uint8]) -> list[tuple[float, float, float, float]]:
    if image_rgb.std() < 4.0:
        return []
    height, width = image_rgb.shape[:2]
    if width > 3 * height:
        side = width / 40
        return [(i * side, 0.2 * height, (i + 0.9) * side - i * 0.2, 0.2 * height + side) for i in range(40)]
    if width < 1.4 * height:
        return [(0.33 * width, 0.1 * height, 0.58 * width, 0.4 * height)]
    return [
        (0.61 * width, 0.15 * height, 0.86 * width, 0.6 * height),
        (0.18 * width, 0.1 * height, 0.32 * width, 0.4 * height),
    ]


def _crop(image_rgb: NDArray[np.uint8], box_xyxy: tuple[float, float, float, float]) -> FaceCrop:
    left, top, right, bottom = box_xyxy
    scale = CROP / max(right - left, bottom - top)
    matrix = np.array([[scale, 0.0, -scale * left], [0.0, scale, -scale * top]])
    return FaceCrop(cv2.warpAffine(image_rgb, matrix, (CROP, CROP)), matrix)


def _reading(name: str, crop: FaceCrop, seed: int, hidden: bool) -> Reading:
    rng = np.random.default_rng(seed)
    known = EMOTIONS[:-1] if name == "toy_dan" else EMOTIONS
    raw = rng.uniform(0.002, 0.06, len(known))
    surprised = name == "toy_ran" or (hidden and name == "toy_vit")
    raw[known.index("surprise" if surprised else "happiness")] = 0.8
    shares = raw / raw.sum()
    prediction = Prediction(
        name,
        {e: float(p) for e, p in zip(known, shares, strict=True)},
        valence=float(rng.uniform(0.4, 0.65)),
        arousal=float(rng.uniform(0.0, 0.35)),
        va_source="head" if name == "toy_vit" else "circumplex",
        ms=float(rng.uniform(2, 60)),
    )
    reading = toy_reading(prediction)
    return Reading(prediction, reading.explanations, crop)
