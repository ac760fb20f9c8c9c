from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest

from fer_space import engine as engine_module
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import UnknownNameError, WeightsError
from fer_space.types import Face
from fer_space.weights import Card

FACES = [Face((10, 10, 50, 60), 0.9), Face((60, 20, 90, 55), 0.8)]


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


@pytest.fixture
def engine(tiny_weights: tuple[Path, Card]) -> Engine:
    return Engine(tiny_weights[0], device="cpu")


def test_reads_every_face_with_every_backbone(engine: Engine, photo: np.ndarray):
    comparisons = engine.compare(photo, faces=FACES)
    assert [c.face for c in comparisons] == FACES
    (reading,) = comparisons[0].readings
    assert tuple(reading.prediction.probabilities) == EMOTIONS
    assert reading.prediction.va_source == "circumplex"
    assert set(reading.explanations) == set(EMOTIONS)
    assert reading.crop.image_rgb.shape == (224, 224, 3)


def test_a_face_reads_the_same_alone_and_among_others(engine: Engine, photo: np.ndarray):
    together = engine.compare(photo, faces=FACES)[1].predictions[0].probabilities
    alone = engine.compare(photo, faces=FACES[1:])[0].predictions[0].probabilities
    assert together == pytest.approx(alone, abs=1e-6)


def test_temperature_of_the_card_is_applied(
    engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    warm = engine.compare(photo, faces=FACES)[0].predictions[0]
    loaded = engine._backbone("tiny")
    object.__setattr__(loaded.card, "temperature", 100.0)
    flat = engine.compare(photo, faces=FACES)[0].predictions[0]
    assert flat.confidence < warm.confidence
    assert flat.confidence == pytest.approx(1 / 8, abs=0.02)


def test_rare_emotions_are_lifted_on_request_and_valence_stays(engine: Engine, photo: np.ndarray):
    loaded = engine._backbone("tiny")
    plain = engine.compare(photo, faces=FACES)[0].predictions[0]
    assert engine.compare(photo, faces=FACES, lift=True)[0].predictions[0] == replace(
        engine.compare(photo, faces=FACES)[0].predictions[0], ms=ANY
    ), "a card without a second point has one answer"
    object.__setattr__(loaded.card, "lift", (0.0,) * 6 + (1.0, 0.0))
    lifted = engine.compare(photo, faces=FACES, lift=True)[0].predictions[0]
    odds = {
        e: lifted.probabilities[e] / lifted.probabilities["neutral"] * plain.probabilities["neutral"]
        for e in EMOTIONS
    }
    for emotion, value in odds.items():
        factor = np.e if emotion == "fear" else 1.0
        assert value == pytest.approx(plain.probabilities[emotion] * factor, rel=1e-5)
    assert (lifted.valence, lifted.arousal) == (plain.valence, plain.arousal)


def test_no_face_is_an_answer(engine: Engine):
    assert engine.compare(np.full((64, 64, 3), 127, np.uint8)) == []


def test_unknown_names_and_empty_choices_are_sentences(engine: Engine, photo: np.ndarray, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="tiny"):
        engine.compare(photo, backbones=["enormous"], faces=FACES)
    with pytest.raises(UnknownNameError, match="libfacedetection"):
        engine.compare(photo, detector="magnifying glass")
    with pytest.raises(WeightsError, match="no backbone was chosen"):
        engine.compare(photo, backbones=[], faces=FACES)
    with pytest.raises(WeightsError, match="no weights"):
        Engine(tmp_path / "nothing", "cpu").compare(photo, faces=FACES)


def test_threads_share_one_copy_of_each_model(
    engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    loads = []
    real = engine_module.load_network
    monkeypatch.setattr(engine_module, "load_network", lambda *args: loads.append(1) or real(*args))
    photos = [np.roll(photo, 3 * i, axis=1) for i in range(6)]
    expected = [Engine(engine.weights_dir, "cpu").compare(p, faces=FACES)[0].mean for p in photos]
    loads.clear()
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda p: engine.compare(p, faces=FACES)[0].mean, photos))
    assert len(loads) == 1
    for one, other in zip(got, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_preload_loads_everything_once(engine: Engine):
    engine.preload()
    assert set(engine._loaded) == {"tiny"}
    assert set(engine._detectors) == {"libfacedetection"}
