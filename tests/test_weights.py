import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_space.errors import UnknownNameError, WeightsError
from fer_space.weights import (
    Card,
    available,
    load_backbone,
    paths_of,
    read_card,
    robustness_of,
    save_tensors,
    setting_of,
)
from tests.networks import lively_tiny, write_weights


def test_card_survives_the_round_trip(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    assert read_card("tiny", folder) == card
    assert available(folder) == ("tiny",)


def test_what_does_not_fit_half_precision_keeps_its_own(tmp_path: Path):
    tensors = {
        "weight": torch.full((2, 2), 0.1),
        "large": torch.full((2, 2), 1e6),
        "norm.running_var": torch.full((2,), 0.1),
        "norm.num_batches_tracked": torch.tensor(7),
    }
    save_tensors(tensors, tmp_path / "a.safetensors", half=True)
    stored = load_file(tmp_path / "a.safetensors")
    assert stored["weight"].dtype == torch.float16
    for name in ("large", "norm.running_var", "norm.num_batches_tracked"):
        assert torch.equal(stored[name], tensors[name])
        assert stored[name].dtype == tensors[name].dtype


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
def test_loaded_network_answers_like_the_saved_one(tiny: str, tmp_path: Path, half: bool):
    card = write_weights(tmp_path, lively_tiny(), half=half)
    pictures = torch.randn(2, 3, 16, 16)
    got, expected = load_backbone(card, tmp_path)(pictures).logits, lively_tiny()(pictures).logits
    torch.testing.assert_close(got, expected, atol=2e-2 if half else 1e-6, rtol=1e-2 if half else 1e-6)


def test_one_changed_byte_is_noticed(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    path, _ = paths_of("tiny", folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        load_backbone(card, folder)


def test_other_networks_weights_are_refused(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    with pytest.raises(WeightsError, match="does not fit"):
        load_backbone(replace(card, labels=card.labels[:5], bias=card.bias[:5]), folder)


def test_missing_weights_and_unknown_names_are_sentences(tiny: str, tmp_path: Path):
    assert available(tmp_path) == ()
    with pytest.raises(WeightsError, match="no weights for tiny"):
        read_card("tiny", tmp_path)
    with pytest.raises(UnknownNameError, match="efficientnet_lite0"):
        read_card("resnet_9000", tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"temperature": 0.0}, id="zero temperature"),
        pytest.param({"labels": ["hunger", "fear"], "bias": [0.0, 0.0]}, id="no emotion"),
        pytest.param({"labels": ["fear", "fear"], "bias": [0.0, 0.0]}, id="one twice"),
        pytest.param({"labels": ["fear"], "bias": [0.0]}, id="one alone"),
        pytest.param({"weight": -1.0}, id="weight below 0"),
        pytest.param({"surprise_field": 1}, id="unknown field"),
        pytest.param({"preprocess": {}}, id="half a preprocess"),
        pytest.param({"name": "efficientnet_lite0"}, id="card of another"),
    ],
)
def test_broken_cards_are_refused(tiny_weights: tuple[Path, Card], change: dict[str, object]):
    folder, _ = tiny_weights
    path = paths_of("tiny", folder)[1]
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError):
        read_card("tiny", folder)


def test_text_that_is_no_card(tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    paths_of("tiny", folder)[1].write_text("not json")
    with pytest.raises(WeightsError, match=r"tiny\.json"):
        read_card("tiny", folder)


def test_robustness_is_the_free_face_and_the_covers_that_were_measured():
    results = {
        setting_of("ferplus", "test", occlusion="kn95"): {"accuracy": 0.5},
        setting_of("ferplus", "test"): {"accuracy": 0.8},
        setting_of("ferplus", "test", lift=True): {"accuracy": 0.7},
        setting_of("rafdb", "test", occlusion="surgical"): {"accuracy": 0.6},
    }
    found = robustness_of(results, ["surgical", "kn95"])
    assert list(found.items()) == [(None, {"accuracy": 0.8}), ("kn95", {"accuracy": 0.5})]
