from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space.card import Card
from fer_space.data.faceset import FaceSet, one_hot
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.evaluation.protocol import face_crops, predict_set, read_crops, twin_mask
from fer_space.evaluation.scoring import record_of
from fer_space.occlusion import draw_mask, occlude
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import encode_png
from tests.occlusion.faces import landmarks_at


def faces(seed: int = 0) -> FaceSet:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 3, 4])
    names = tuple(f"{i}.png" for i in range(5))
    return FaceSet("invented", "test", names, lambda i: encode_png(pictures[i]), labels, one_hot(labels))


def test_pictures_are_crops_without_a_detector(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    predictions = predict_set(engine, card, faces())
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1.0)
    crops = [faces().read(i) for i in range(5)]
    np.testing.assert_array_equal(predictions.probabilities, read_crops(engine, card, crops))
    record = record_of(predictions)
    assert (record["backbone"], record["n"], record["flip"]) == ("tiny", 5, True)
    assert record["absent_from_data"] == record["absent_from_model"] == []
    assert not {"undetected", "affect", "twins", "members", "accuracy_on_shared"} & set(record)


def test_undetected_pictures_count_as_wrong(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    seen = iter([[], [Face((5, 5, 30, 30), 0.9)], [], [], []])
    monkeypatch.setattr(engine, "detect", lambda picture, *, detector: next(seen))
    predictions = predict_set(engine, card, faces(), "libfacedetection", embed=True)
    record = record_of(predictions)
    assert (record["detector"], record["undetected"]) == ("libfacedetection", 4)
    assert record["accuracy"] <= 0.2
    assert predictions.probabilities[1].sum() == pytest.approx(1.0)
    assert predictions.embeddings is not None
    assert np.isfinite(predictions.embeddings).all(axis=1).tolist() == [False, True, False, False, False]


def test_a_split_without_any_found_face_is_all_wrong(
    tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch
):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    monkeypatch.setattr(engine, "detect", lambda picture, *, detector: [])
    record = record_of(predict_set(engine, card, faces(), "libfacedetection"))
    assert (record["accuracy"], record["undetected"]) == (0.0, 5)


@pytest.mark.parametrize("kind", ["surgical", "upper"])
def test_faces_are_covered_as_an_average_face_without_a_detector(tiny_weights: tuple[Path, Card], kind: str):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    predictions = predict_set(engine, card, faces(), occlusion=kind)
    crops = [occlude(faces().read(i), kind) for i in range(5)]
    np.testing.assert_array_equal(predictions.probabilities, read_crops(engine, card, crops))
    assert record_of(predictions)["occlusion"] == kind
    assert np.abs(predictions.probabilities - predict_set(engine, card, faces()).probabilities).max() > 1e-6


def test_a_found_face_is_covered_by_its_landmarks_after_it_was_found(
    tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch
):
    folder, _ = tiny_weights
    engine, picture = Engine(folder, "cpu"), faces().read(0)
    landmarks = (landmarks_at(20.0, 20.0, 24.0), None)
    found = [Face((5, 5, 30, 30), 0.9, points) for points in landmarks]
    seen = iter(found)

    def detect(image_rgb: np.ndarray, *, detector: str) -> list[Face]:
        assert any(np.array_equal(image_rgb, faces().read(i)) for i in range(5))
        return [next(seen)]

    monkeypatch.setattr(engine, "detect", detect)
    rule = CropRule(align=False)
    two = faces().select([0, 0])
    crops = list(face_crops(engine, two, rule, "libfacedetection", "surgical"))
    crop = crop_face(picture, found[0], rule)
    scale, shift = crop.photo_to_crop[:, :2], crop.photo_to_crop[:, 2]
    assert np.array_equal(crops[0], draw_mask(crop.image_rgb, landmarks[0] @ scale.T + shift))
    assert np.array_equal(crops[1], draw_mask(crop.image_rgb))


def test_flip_averaging_can_be_switched_off(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    both = predict_set(engine, card, faces(), embed=True)
    once = predict_set(engine, card, faces(), mirror=False, embed=True)
    assert record_of(once)["flip"] is False
    assert both.embeddings is not None
    assert once.embeddings is not None
    assert both.embeddings.shape == once.embeddings.shape == (5, 12)
    assert np.abs(both.probabilities - once.probabilities).max() > 1e-6


def test_what_model_and_data_know_is_noted(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    few = replace(faces(), classes=EMOTIONS[:6], affect=np.zeros((5, 2), dtype=np.float32))
    predictions = predict_set(Engine(folder, "cpu"), card, few)
    assert predictions.about.data_classes == EMOTIONS[:6]
    assert predictions.about.model_classes == EMOTIONS
    record = record_of(predictions)
    assert record["absent_from_data"] == ["fear", "contempt"]
    assert (record["affect"]["source"], record["affect"]["n"]) == ("circumplex", 5)


def test_the_heads_valence_and_arousal_are_kept(
    tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch
):
    folder, card = tiny_weights
    engine = Engine(folder, "cpu")
    network = engine.network("tiny")
    plain = network.head.forward

    def with_affect(features: torch.Tensor) -> object:
        return plain(features)._replace(affect=features.mean(dim=(2, 3))[:, :2])

    monkeypatch.setattr(network.head, "forward", with_affect)
    rated = replace(faces(), affect=np.zeros((5, 2), dtype=np.float32))
    predictions = predict_set(engine, card, rated, embed=True)
    assert predictions.affect is not None
    assert predictions.embeddings is not None
    np.testing.assert_allclose(predictions.affect, predictions.embeddings[:, :2], atol=1e-3)
    assert record_of(predictions)["affect"]["source"] == "head"


def test_twins_are_found_in_another_split():
    mine, other = faces(0), faces(1)
    mixed = replace(other, encoded=lambda i: (mine if i == 3 else other).encoded(i))
    assert twin_mask(mine, mixed).tolist() == [False, False, False, True, False]
