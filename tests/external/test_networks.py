"""What the two kinds of networks of others answer, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space.card import Card
from fer_space.errors import WeightsError
from fer_space.external.hub_network import load_hub
from fer_space.external.onnx_network import load_onnx
from fer_space.model import Model
from fer_space.vision.preprocess import Preprocess
from tests.external.networks import RAW_AFFECT, SIDE, write_onnx, write_vit
from tests.networks import toy_card

PLAIN = Preprocess(SIDE, SIDE, gray=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def graph_card(affect: bool = False) -> Card:
    return toy_card(architecture="onnx", preprocess=PLAIN, bias=(0.0,) * 8, temperature=1.0, affect=affect)


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, SIDE, SIDE), dtype=np.uint8))


@pytest.mark.parametrize("batch", ["batch", 1])
def test_graph_of_ten_outputs(tmp_path: Path, pictures: torch.Tensor, batch: int | str):
    write_onnx(tmp_path / "tiny.onnx", batch=batch)
    model = Model(graph_card(affect=True), load_onnx(tmp_path / "tiny.onnx", 8, True, SIDE))
    logits, affect = model.logits(pictures), model.predict_reduced(pictures).affect
    red = pictures[:, 0].float().mean(dim=(1, 2)) / 255.0
    torch.testing.assert_close(torch.from_numpy(logits[:, 4]), 2.0 * red)
    assert not logits[:, :4].any()
    clamped = torch.tensor([max(-1.0, value) for value in RAW_AFFECT]).repeat(3, 1)
    torch.testing.assert_close(torch.from_numpy(affect), clamped)


def test_graph_without_affect(tmp_path: Path, pictures: torch.Tensor):
    write_onnx(tmp_path / "tiny.onnx", 8)
    model = Model(graph_card(), load_onnx(tmp_path / "tiny.onnx", 8, False, SIDE))
    output = model.predict_reduced(pictures, maps="grad-cam")
    assert output.probabilities.shape == (3, 8)
    assert (output.affect, output.maps) == (None, None)


def test_graphs_that_are_refused(tmp_path: Path):
    write_onnx(tmp_path / "tiny.onnx")
    with pytest.raises(WeightsError, match="gives 10 outputs, but its card says 8"):
        load_onnx(tmp_path / "tiny.onnx", 8, False, SIDE)
    with pytest.raises(WeightsError, match="cannot read colour pictures of 7 px"):
        load_onnx(tmp_path / "tiny.onnx", 8, True, 7)
    (tmp_path / "text.onnx").write_text("a graph?")
    with pytest.raises(WeightsError, match="no ONNX graph"):
        load_onnx(tmp_path / "text.onnx", 8, True, SIDE)


def test_vit_answers_like_transformers(tmp_path: Path, pictures: torch.Tensor):
    from transformers import ViTForImageClassification

    write_vit(tmp_path)
    network = load_hub(tmp_path, 3).eval()
    inputs = PLAIN.normalise(pictures)
    expected = ViTForImageClassification.from_pretrained(tmp_path).eval()(pixel_values=inputs).logits
    torch.testing.assert_close(network(inputs).logits, expected)
    assert network(inputs).affect is None


def test_half_filled_vits_are_refused(tmp_path: Path):
    write_vit(tmp_path)
    with pytest.raises(WeightsError, match="has 3 labels, but its card says 7"):
        load_hub(tmp_path, 7)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    with pytest.raises(WeightsError, match="do not fill their network"):
        load_hub(tmp_path, 3)


def test_code_of_a_repository_is_never_run(tmp_path: Path):
    write_vit(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    strange = {
        "model_type": "strange",
        "auto_map": {"AutoConfig": "code.Config", "AutoModelForImageClassification": "code.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config | strange))
    (tmp_path / "code.py").write_text("raise SystemExit('code of a repository ran')")
    with pytest.raises(WeightsError, match="transformers cannot read the model"):
        load_hub(tmp_path, 3)


def test_pickles_are_never_read(tmp_path: Path):
    write_vit(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="transformers cannot read the model"):
        load_hub(tmp_path, 3)
