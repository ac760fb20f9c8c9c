"""Checkpoints of the authors of DAN and RAN, used like models of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fer_space.backbones.dan import build_dan
from fer_space.backbones.ran import build_ran
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.external.official import OFFICIALS
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.model import load_model
from fer_space.registry import Registry
from fer_space.training.export import export_official
from tests.backbones.test_dan import official_tensors
from tests.backbones.test_ran import official_tensors as tensors_of_ran
from tests.running import run

CROPS = list(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))


@pytest.mark.parametrize(("kind", "classes"), [("dan-affectnet", 8), ("dan-affectnet", 7), ("dan-rafdb", 7)])
def test_a_checkpoint_of_dan_answers_like_the_original(
    kind: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = build_dan(classes).eval()
    nn.init.normal_(source.head.norm.bias)
    order = OFFICIALS[kind].labels[:classes]
    save_file(official_tensors(source, order), tmp_path / "dan.safetensors")
    run("export", tmp_path / "dan.safetensors", tmp_path / "own", "--official", kind, "--name", "theirs")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "own"))
    assert Registry().card("theirs").labels == tuple(emotion for emotion in EMOTIONS if emotion in order)
    output = load_model("theirs").predict(CROPS, maps="grad-cam", flip=False)
    pictures = torch.from_numpy(np.stack(CROPS)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    with torch.no_grad():
        expected = source((pictures - mean) / std).logits.softmax(dim=1)
    np.testing.assert_allclose(output.probabilities[:, :classes], expected, atol=1e-4)
    assert output.maps.shape[:2] == (2, 8)


def test_a_checkpoint_of_ran_from_before_norms_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = build_ran(8).eval()
    nn.init.normal_(source.head.classifier.weight)
    given = {n: t for n, t in tensors_of_ran(source, "module.").items() if "num_batches" not in n}
    save_file(given, tmp_path / "ran.safetensors")
    card = export_official(tmp_path / "ran.safetensors", tmp_path / "own", "ran-ferplus")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "own"))
    assert "FER-2013 is for non-commercial research" in card.licence
    output = load_model("ran-ferplus").predict(CROPS, flip=False)
    pictures = torch.from_numpy(np.stack(CROPS)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        np.testing.assert_allclose(output.probabilities, source(pictures).logits.softmax(dim=1), atol=1e-4)


def test_what_is_no_such_checkpoint_is_refused(tmp_path: Path):
    path = tmp_path / "dan.safetensors"
    with pytest.raises(InputError, match="cannot be read"):
        export_official(path, tmp_path, "dan-affectnet")
    save_file({"fc.bias": torch.zeros(5)}, path)
    with pytest.raises(InputError, match="5 classes and is no checkpoint of dan-rafdb"):
        export_official(path, tmp_path, "dan-rafdb")
    save_file({"fc.bias": torch.zeros(8)}, path)
    with pytest.raises(InputError, match="does not hold the tensors"):
        export_official(path, tmp_path, "dan-affectnet")
    run("export", path, tmp_path, "--official", "dan-affectnet", "--check", "folder:x", status=2)
    assert not (tmp_path / "dan-affectnet.json").exists()
