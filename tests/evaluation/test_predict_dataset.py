from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space.card import Card
from fer_space.data.aligning import aligned
from fer_space.data.faceset import FaceSet, one_hot
from fer_space.distributions import circumplex
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.evaluation.predict_dataset import (
    boosted,
    face_crops,
    near_duplicates,
    predict_dataset,
    setting_of,
)
from fer_space.evaluation.recording import record_of
from fer_space.model import Model
from fer_space.occlusion import OCCLUSIONS, draw_mask, occlude
from fer_space.occlusion.cover import Cover
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import encode_png
from tests.networks import lively_tiny, toy_card
from tests.occlusion.faces import landmarks_at

FOUND = Face((5, 5, 30, 30), 0.9)


def faces(seed: int = 0) -> FaceSet:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (5, 40, 40, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 3, 4])
    names = tuple(f"{i}.png" for i in range(5))
    return FaceSet("invented", "test", names, lambda i: encode_png(pictures[i]), labels, one_hot(labels))


@pytest.fixture
def model() -> Model:
    return Model(toy_card(), lively_tiny())


def test_pictures_are_crops_without_a_detector(model: Model):
    outputs = predict_dataset(model, faces())
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1.0)
    crops = [faces().read(i) for i in range(5)]
    np.testing.assert_array_equal(outputs.probabilities, model.predict(crops).probabilities)
    record = record_of(outputs)
    assert (record["backbone"], record["n"], record["flip"]) == ("tiny", 5, True)
    assert record["absent_from_data"] == record["absent_from_model"] == []
    assert not {"undetected", "affect", "near_duplicates", "members", "accuracy_on_shared"} & set(record)


def test_undetected_pictures_count_as_wrong(model: Model):
    seen = iter([[], [FOUND], [], [], []])
    setting = setting_of(faces(), detector="any")
    outputs = predict_dataset(
        model, faces(), setting, detect=lambda image_rgb, *, detector: next(seen), embed=True
    )
    record = record_of(outputs)
    assert (record["detector"], record["undetected"]) == ("any", 4)
    assert record["accuracy"] <= 0.2
    assert outputs.probabilities[1].sum() == pytest.approx(1.0)
    assert outputs.embeddings is not None
    assert np.isfinite(outputs.embeddings).all(axis=1).tolist() == [False, True, False, False, False]


def test_a_split_without_any_found_face_is_all_wrong(model: Model):
    setting = setting_of(faces(), detector="any")
    record = record_of(predict_dataset(model, faces(), setting, detect=lambda image_rgb, *, detector: []))
    assert (record["accuracy"], record["undetected"]) == (0.0, 5)


@pytest.mark.parametrize("kind", ["surgical", "upper"])
def test_faces_are_occluded_as_an_average_face_without_a_detector(model: Model, kind: str):
    outputs = predict_dataset(model, faces(), setting_of(faces(), occlusion=kind))
    crops = [occlude(faces().read(i), kind) for i in range(5)]
    np.testing.assert_array_equal(outputs.probabilities, model.predict(crops).probabilities)
    assert record_of(outputs)["occlusion"] == kind
    assert np.abs(outputs.probabilities - predict_dataset(model, faces()).probabilities).max() > 1e-6


def test_a_found_face_is_occluded_by_its_landmarks_after_it_was_found():
    picture = faces().read(0)
    landmarks = (landmarks_at(20.0, 20.0, 24.0), None)
    found = [Face((5, 5, 30, 30), 0.9, points) for points in landmarks]
    seen = iter(found)

    def detect(image_rgb: np.ndarray, *, detector: str) -> list[Face]:
        assert np.array_equal(image_rgb, picture)
        return [next(seen)]

    card, two = toy_card(crop=CropRule(align=False)), faces().select([0, 0])
    crops = list(face_crops(two, card, setting_of(two, detector="any", occlusion="surgical"), detect))
    crop = crop_face(picture, found[0], card.crop)
    scale, shift = crop.photo_to_crop[:, :2], crop.photo_to_crop[:, 2]
    assert np.array_equal(crops[0], draw_mask(crop.image_rgb, landmarks[0] @ scale.T + shift))
    assert np.array_equal(crops[1], draw_mask(crop.image_rgb))


@pytest.mark.parametrize("kind", [None, *OCCLUSIONS])
def test_the_engine_says_the_same_of_the_same_face(
    kind: str | None, tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch
):
    """What is measured is what the app shows, to the last digit, whatever occludes the face."""
    engine, one = Engine(tiny_weights[0], "cpu"), faces().select([0])
    face = Face((5, 5, 30, 30), 0.9, landmarks_at(20.0, 20.0, 24.0).astype(np.float32))
    monkeypatch.setattr(engine, "detect", lambda image_rgb, *, detector: [face])
    cover = None if kind is None else Cover(kind)
    (shown,) = engine.compare(one.read(0), detector="any", cover=cover, method=None)
    setting = setting_of(one, detector="any", occlusion=kind)
    measured = predict_dataset(engine.model("tiny"), one, setting, detect=engine.detect)
    assert list(shown.predictions[0].probabilities.values()) == measured.probabilities[0].tolist()


def test_flip_averaging_can_be_switched_off(model: Model):
    both = predict_dataset(model, faces(), embed=True)
    once = predict_dataset(model, faces(), setting_of(faces(), flip=False), embed=True)
    assert record_of(once)["flip"] is False
    assert both.embeddings is not None
    assert once.embeddings is not None
    assert both.embeddings.shape == once.embeddings.shape == (5, 12)
    assert np.abs(both.probabilities - once.probabilities).max() > 1e-6


def test_what_model_and_data_know_is_noted(model: Model):
    few = replace(faces(), classes=EMOTIONS[:6], affect=np.zeros((5, 2), dtype=np.float32))
    outputs = predict_dataset(model, few)
    assert outputs.about.data_classes == EMOTIONS[:6]
    assert outputs.about.model_classes == EMOTIONS
    record = record_of(outputs)
    assert record["absent_from_data"] == ["fear", "contempt"]
    assert (record["affect"]["source"], record["affect"]["n"]) == ("circumplex", 5)


def test_the_heads_valence_and_arousal_are_kept(model: Model, monkeypatch: pytest.MonkeyPatch):
    plain = model.network.head.forward

    def with_affect(features: torch.Tensor) -> object:
        return plain(features)._replace(affect=features.mean(dim=(2, 3))[:, :2])

    monkeypatch.setattr(model.network.head, "forward", with_affect)
    rated = replace(faces(), affect=np.zeros((5, 2), dtype=np.float32))
    outputs = predict_dataset(model, rated, embed=True)
    assert outputs.affect is not None
    assert outputs.embeddings is not None
    np.testing.assert_allclose(outputs.affect, outputs.embeddings[:, :2], atol=1e-3)
    assert record_of(outputs)["affect"]["source"] == "head"


def test_rare_emotions_are_boosted_and_nothing_else_changes():
    rated = replace(faces(), affect=np.zeros((5, 2), dtype=np.float32))
    card = toy_card(boost=(0.0,) * 7 + (50.0,))
    model = Model(card, lively_tiny())
    plain, second = (
        predict_dataset(model, rated),
        predict_dataset(model, rated, setting_of(rated, boost_rare=True)),
    )
    assert second.about.setting.boost_rare
    assert (second.probabilities.argmax(axis=1) == 7).all()
    np.testing.assert_allclose(second.probabilities, card.boosted(plain.probabilities))
    np.testing.assert_array_equal(second.affect, circumplex(plain.probabilities))
    assert second.affect_source == "circumplex"
    np.testing.assert_array_equal(boosted(plain, card).probabilities, second.probabilities)


def test_a_setting_must_fit_its_faces(model: Model):
    with pytest.raises(ValueError, match="the faces are of"):
        predict_dataset(model, faces(), setting_of(replace(faces(), split="valid")))
    with pytest.raises(ValueError, match="detect is needed"):
        predict_dataset(model, faces(), setting_of(faces(), detector="dlib"))


def test_near_duplicates_are_found_in_another_split():
    mine, other = faces(0), faces(1)
    mixed = replace(other, encoded=lambda i: (mine if i == 3 else other).encoded(i))
    assert near_duplicates(mine, mixed).tolist() == [False, False, False, True, False]


def test_faces_that_the_same_detector_found_before_are_read_without_it(model: Model):
    seen = [FOUND, replace(FOUND, box_xyxy=(0, 0, 20, 20))]
    setting = setting_of(faces(), detector="any")
    before = aligned(faces(), "any", lambda image: seen if image[0, 0, 0] % 2 else [], CropRule(scale=2.0))
    assert {one.is_face for one in before.found or () if one} == {True, False}
    direct = predict_dataset(
        model, faces(), setting, detect=lambda image, *, detector: seen if image[0, 0, 0] % 2 else []
    )
    np.testing.assert_array_equal(predict_dataset(model, before, setting).probabilities, direct.probabilities)
    other = setting_of(before, detector="other")
    again = predict_dataset(model, before, other, detect=lambda image, *, detector: [FOUND])
    whole = predict_dataset(model, faces(), other, detect=lambda image, *, detector: [FOUND])
    np.testing.assert_array_equal(again.probabilities, whole.probabilities)


def test_the_face_in_the_owners_box_is_read_as_in_training(model: Model):
    """Of two faces the one in the box counts, and it is looked for in what surrounds the box, too."""
    small = Face((2.0, 2.0, 12.0, 12.0), 0.9)
    boxed = replace(faces(), boxes=((2.0, 2.0, 12.0, 12.0),) * len(faces()))
    shapes = []

    def detect(image: np.ndarray, *, detector: str) -> list[Face]:
        shapes.append(image.shape[:2])
        return [replace(small, box_xyxy=(20.0, 20.0, 40.0, 40.0)), small]

    setting = setting_of(boxed, detector="any")
    read = predict_dataset(model, boxed, setting, detect=detect)
    before = aligned(boxed, "any", partial(detect, detector="any"), CropRule())
    np.testing.assert_array_equal(read.probabilities, predict_dataset(model, before, setting).probabilities)
    assert all(height > 10 for height, _ in shapes)
