"""The shipped weights on pictures whose answer anybody can see."""

from pathlib import Path

import numpy as np
import pytest

from fer_space.backbones.specs import BACKBONES
from fer_space.card import FERPLUS_TEST
from fer_space.comparison import Comparison
from fer_space.engine import Engine
from fer_space.vision.alignment import map_to_photo
from fer_space.vision.imaging import decode_image

EXAMPLES = Path(__file__).parent.parent / "examples"


FLOORS = {
    "efficientnet_lite0": (0.86, 0.70),
    "efficientnet_lite0_masked": (0.86, 0.66),
    "efficientnet_b3": (0.865, 0.70),
    "vgg16": (0.84, 0.58),
    "vit": (0.78, 0.5),
    "mobilenet_v1_faces": (0.86, 0.66),
    "resnet29_faces": (0.84, 0.65),
    "faceapi": (0.68, 0.58),
    "human_emotion": (0.65, 0.55),
}
RIVALS = {name for name, spec in BACKBONES.items() if spec.kind == "rival"}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return decode_image((EXAMPLES / "astronaut.jpg").read_bytes())


@pytest.fixture(scope="module")
def astronaut(engine: Engine, photo: np.ndarray) -> Comparison:
    (comparison,) = engine.compare(photo)
    return comparison


def test_the_astronaut_is_happy(astronaut: Comparison):
    for prediction in astronaut.predictions:
        assert prediction.label == "happiness"
        assert prediction.confidence > 0.6
        assert prediction.valence > 0.3


def test_all_together_are_the_fitted_mean(engine: Engine, astronaut: Comparison):
    assert astronaut.rule == "fitted mean"
    assert astronaut.consensus == "happiness"
    shares = engine.fits[0].shares_of([p.backbone for p in astronaut.predictions])
    answers = [p.probabilities["happiness"] for p in astronaut.predictions]
    expected = sum(share * answer for share, answer in zip(shares, answers, strict=True))
    assert astronaut.together["happiness"] == pytest.approx(expected, abs=1e-3)


def test_grace_hopper_is_calm(engine: Engine):
    (comparison,) = engine.compare(decode_image((EXAMPLES / "hopper.jpg").read_bytes()))
    for prediction in comparison.predictions:
        assert prediction.label == "neutral"
        assert prediction.confidence > (0.3 if prediction.backbone in RIVALS else 0.6)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_smile_is_one_whichever_way_up(quarters: int, engine: Engine, photo: np.ndarray):
    turned = np.ascontiguousarray(np.rot90(photo, quarters))
    (comparison,) = engine.compare(turned, backbones=["efficientnet_lite0", "dan"], method=None)
    assert all(prediction.label == "happiness" for prediction in comparison.predictions)


def test_a_mask_costs_the_mask_trained_network_far_less(engine: Engine):
    lost = {}
    for name in ("efficientnet_lite0", "efficientnet_lite0_masked"):
        scores = engine.card(name).under_occlusion(("surgical",))
        lost[name] = scores[None].accuracy - scores["surgical"].accuracy
    assert lost["efficientnet_lite0_masked"] < 0.17
    assert lost["efficientnet_lite0_masked"] < 0.6 * lost["efficientnet_lite0"]


@pytest.mark.parametrize("name", ["efficientnet_lite0_masked", "mobilenet_v1_faces_masked"])
def test_the_siblings_read_upper_faces(name: str, engine: Engine):
    assert engine.card(name).under_occlusion(("upper",))["upper"].accuracy > 0.65


def test_the_smile_is_what_decides(astronaut: Comparison, photo: np.ndarray):
    for reading in astronaut.readings[:1]:  # the reference backbone; the others look elsewhere, too
        heat = map_to_photo(reading.explanations["happiness"].heatmap, reading.crop, photo.shape[:2])
        mouth = astronaut.face.landmarks[48:68].mean(axis=0).round().astype(int)
        brow = astronaut.face.landmarks[17:27].mean(axis=0).round().astype(int)
        assert heat[mouth[1], mouth[0]] > 0.6
        assert heat[mouth[1], mouth[0]] > 1.5 * heat[brow[1] - 10, brow[0]]


def test_every_card_says_what_a_reader_needs(engine: Engine):
    shipped = [name for name in engine.backbones if name in BACKBONES]
    assert "efficientnet_lite0" in shipped
    for name in shipped:
        card = engine.card(name)
        scores = card.measured(FERPLUS_TEST).scores
        assert scores.n == 3137
        accuracy, balanced = FLOORS.get(name, (0.83, 0.5))
        assert scores.accuracy >= accuracy
        assert scores.balanced_accuracy >= balanced
        assert card.licence
        assert card.command.startswith("npm pack" if name in RIVALS else "fer-space train")
