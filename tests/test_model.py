"""One object from crops to answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space.card import Card
from fer_space.errors import InputError, UnknownNameError, WeightsError
from fer_space.explain.library import METHODS
from fer_space.external.heads import ExternalNetwork
from fer_space.model import Model, load_model
from fer_space.runtime.device import resolve_device
from tests.networks import lively_tiny, toy_card

CROPS = list(np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8))


@pytest.fixture
def model() -> Model:
    return Model(toy_card(), lively_tiny())


def test_crops_of_any_size_become_rows(model: Model):
    output = model.predict([*CROPS, np.full((7, 90, 3), 5, np.uint8)])
    assert output.probabilities.shape == (4, 8)
    assert output.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (output.affect, output.maps, output.embedding) == (None, None, None)
    assert len(output.labels) == 4


def test_nothing_that_was_not_asked_for_is_computed(model: Model, monkeypatch: pytest.MonkeyPatch):
    def refuse(*args: object) -> None:
        raise AssertionError("gradients were computed")

    monkeypatch.setattr(type(model.network.head), "jacobian", refuse)
    model.predict(CROPS)
    model.predict(CROPS, maps="layercam", embed=True)
    with pytest.raises(AssertionError, match="gradients"):
        model.predict(CROPS, maps="default")


@pytest.mark.parametrize("maps", [None, *METHODS])
@pytest.mark.parametrize("flip", [True, False])
def test_maps_and_batches_do_not_change_an_answer(model: Model, maps: str | None, flip: bool):
    plain = model.predict(CROPS, flip=flip)
    asked = model.predict(CROPS, flip=flip, maps=maps, embed=True)
    assert np.allclose(asked.probabilities, plain.probabilities, atol=1e-6)
    alone = np.concatenate([model.predict([crop], flip=flip).probabilities for crop in CROPS])
    assert np.allclose(alone, plain.probabilities, atol=1e-6)
    assert asked.embedding.shape == (3, 12)
    if maps is not None:
        assert asked.maps.shape[:2] == (3, 8)
        assert asked.maps.min() >= 0.0
        assert asked.maps.max() <= 1.0


def test_a_mirrored_face_reads_the_same_and_its_maps_are_mirrored(model: Model):
    pictures = model.reduce(CROPS)
    straight = model.predict_reduced(pictures, maps="default")
    mirrored = model.predict_reduced(pictures.flip(3), maps="default")
    assert np.allclose(straight.probabilities, mirrored.probabilities, atol=1e-6)
    assert np.allclose(straight.maps, mirrored.maps[..., ::-1], atol=1e-5)


def test_emotions_that_a_model_lacks_are_nan_everywhere():
    labels = ("fear", "neutral")
    card = toy_card(labels=labels, bias=(0.0, 0.0))
    output = Model(card, lively_tiny(classes=2)).predict(CROPS, maps="default")
    absent = [1, 2, 3, 4, 5, 7]
    assert np.isnan(output.probabilities[:, absent]).all()
    assert np.isnan(output.maps[:, absent]).all()
    assert np.isfinite(output.probabilities[:, [0, 6]]).all()


def test_the_teachers_answer_is_the_models_own_without_the_mirror(model: Model):
    pictures = model.reduce(CROPS)
    taught = model.distribution(pictures.float())
    assert np.allclose(taught.numpy(), model.predict(CROPS, flip=False).probabilities, atol=1e-5)


def test_logits_are_those_before_calibration(model: Model):
    logits = model.logits(model.reduce(CROPS))
    assert np.allclose(model.card.probabilities(logits), model.predict(CROPS).probabilities)


def test_unknown_methods_are_named(model: Model):
    with pytest.raises(UnknownNameError, match="layercam"):
        model.predict(CROPS, maps="tea leaves")


def test_a_model_without_maps_says_so():
    network = ExternalNetwork(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 16), torch.nn.Flatten()), classes=8)
    model = Model(toy_card(), network)
    assert not model.has_maps
    with pytest.raises(InputError, match="tiny makes no attention maps"):
        model.class_maps(torch.zeros(2, 3, 16, 16), torch.zeros(2, dtype=torch.int64))


def test_loading_by_name(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    model = load_model("tiny", device="cpu", weights_dir=folder)
    assert model.card == card
    assert np.allclose(
        model.predict(CROPS).probabilities, Model(card, lively_tiny()).predict(CROPS).probabilities
    )
    with pytest.raises(UnknownNameError, match="tiny"):
        load_model("enormous", device="cpu", weights_dir=folder)
    (folder / "tiny.safetensors").unlink()
    with pytest.raises(WeightsError, match="no weights for tiny"):
        load_model("tiny", device="cpu", weights_dir=folder)


def test_device_rule(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    with pytest.raises(InputError, match="no device “cuda”"):
        resolve_device("cuda")
    with pytest.raises(InputError, match="toaster"):
        resolve_device("toaster")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cpu").type == "cpu"
