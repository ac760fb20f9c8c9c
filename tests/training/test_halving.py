from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_space import cli
from fer_space.backbones.base import Backbone
from fer_space.card import Card
from fer_space.training.exporting import export
from fer_space.training.halving import with_half_effect
from tests.networks import lively_tiny
from tests.training.test_run import write_folder


@pytest.fixture
def faces(tmp_path: Path) -> str:
    write_folder(tmp_path / "faces")
    return f"folder:{tmp_path / 'faces'}"


def undecided() -> Backbone:
    """Answers neutral, or happiness once its weights are rounded to half precision."""
    network = lively_tiny()
    with torch.no_grad():
        network.head.classifier.weight.fill_(1.0)
        network.head.classifier.bias.zero_()
        network.head.classifier.weight[0] += 4e-4  # half of the step from 1 in fp16 is 4.88e-4
        network.head.classifier.bias[1] = 1e-3
        network.body[3].weight.zero_()
        network.body[3].bias.fill_(1.0)  # every embedding is twelve ones
    return network


def test_what_half_precision_does_is_measured(faces: str, tiny_weights: tuple[Path, Card]):
    _, card = tiny_weights
    told, harmless = with_half_effect(card, lively_tiny(), faces)
    assert harmless
    effect = told.results["valid"]["half"]
    assert effect["n"] == 32
    assert abs(effect["accuracy_full"] - effect["accuracy_half"]) <= 0.0005
    assert told == replace(card, results=told.results)


def test_rounding_that_changes_answers_is_noticed(faces: str, tiny_weights: tuple[Path, Card]):
    _, card = tiny_weights
    told, harmless = with_half_effect(replace(card, bias=(0.0,) * 8), undecided(), faces)
    effect = told.results["valid"]["half"]
    assert not harmless
    assert effect["changed_answers"] == 32
    assert effect["accuracy_full"] != effect["accuracy_half"]


def test_export_keeps_full_precision_where_it_matters(
    faces: str, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = f"--backbone {tiny} --init none --epochs 1 --batch-size 8 --size 12 --native-size 12 --device cpu"
    assert cli.main(["train", "--data", faces, *words.split(), "--out", str(tmp_path / "run")]) == 0
    assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / "good"), "--check", faces]) == 0
    assert "answers differ" in capsys.readouterr().out
    assert load_file(tmp_path / "good" / "tiny.safetensors")["body.0.weight"].dtype == torch.float16
    save_file(undecided().state_dict(), tmp_path / "run" / "best.safetensors")
    card = export(tmp_path / "run", tmp_path / "bad", check=faces)
    kept = load_file(tmp_path / "bad" / "tiny.safetensors")
    assert {tensor.dtype for tensor in kept.values() if tensor.is_floating_point()} == {torch.float32}
    assert card.results["valid"]["half"]["changed_answers"] > 0
