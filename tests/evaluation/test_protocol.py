from pathlib import Path

import numpy as np
import pandas
import pytest

from fer_space.data.faceset import FaceSet, one_hot
from fer_space.engine import Engine
from fer_space.evaluation.protocol import predict_set
from fer_space.imaging import encode_png
from fer_space.labels import EMOTIONS
from fer_space.types import Face
from fer_space.weights import Card


def faces() -> FaceSet:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 3, 4])
    names = tuple(f"{i}.png" for i in range(5))
    return FaceSet("invented", "test", names, lambda i: encode_png(pictures[i]), labels, one_hot(labels))


def test_pictures_are_crops_without_a_detector(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    predictions = predict_set(Engine(folder, "cpu"), card, faces())
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1.0)
    record = predictions.record()
    assert record["backbone"] == "tiny"
    assert record["n"] == 5
    assert "undetected" not in record


def test_undetected_pictures_count_as_wrong(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    seen = iter([[], [Face((5, 5, 30, 30), 0.9)], [], [], []])
    monkeypatch.setattr(engine, "detect", lambda picture, *, detector: next(seen))
    predictions = predict_set(engine, card, faces(), "libfacedetection")
    assert predictions.record()["undetected"] == 4
    assert predictions.record()["accuracy"] <= 0.2
    assert predictions.probabilities[1].sum() == pytest.approx(1.0)


def test_saved_predictions_can_be_scored_again(tiny_weights: tuple[Path, Card], tmp_path: Path):
    folder, card = tiny_weights
    predictions = predict_set(Engine(folder, "cpu"), card, faces())
    predictions.save(tmp_path / "out")
    table = pandas.read_parquet(tmp_path / "out" / "tiny-invented-test.parquet")
    np.testing.assert_allclose(table[list(EMOTIONS)].to_numpy(), predictions.probabilities)
    assert table["label"].tolist() == list(EMOTIONS[:5])
    assert (tmp_path / "out" / "tiny-invented-test.png").stat().st_size > 5_000
