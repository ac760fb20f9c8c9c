"""Commands on a machine that has converted its models: no network is built in torch, its body never."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from fer_space import model as model_module
from fer_space.explain.library import METHODS
from fer_space.model import load_model
from fer_space.runtime.device import RUNTIME_VARIABLE
from tests.running import is_drawn, run


@pytest.fixture(autouse=True)
def converted(seeing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUNTIME_VARIABLE, raising=False)
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    assert load_model("tiny", weights_dir=seeing, runtime="openvino").runtime == "openvino"


def test_what_was_converted_is_what_answers(pictures: Path, capsys: pytest.CaptureFixture[str]):
    run("predict", pictures, "--backbones", "tiny", "--json")
    said = [face for line in capsys.readouterr().out.splitlines() for face in json.loads(line)["faces"]]
    assert {one["runtime"] for face in said for one in face["backbones"].values()} == {"openvino"}


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_every_method_are_written(method: str, pictures: Path, tmp_path: Path):
    run("predict", pictures, "--backbones", "tiny", "--cam", tmp_path / "maps", "--method", method)
    assert len(list((tmp_path / "maps").glob("*face1-tiny-*.png"))) == 2


def test_models_are_measured_and_their_costs_summarised(faces: str, tmp_path: Path):
    run("test", "--backbone", "tiny", "--data", faces, "--summary", tmp_path / "docs")
    assert '"multiply_adds"' in (tmp_path / "docs" / "results.json").read_text()


def test_steps_of_training_are_drawn(
    seeing: Path, faces: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Attention steers two of them: that of a network whose body has to be there."""

    def load(name: str, **options: str) -> model_module.Model:
        return load_model("tiny", weights_dir=seeing, **options)

    monkeypatch.setattr(model_module, "load_model", load)
    run("plot", "augment", faces, "-o", tmp_path / "augment.png")
    assert is_drawn(tmp_path / "augment.png")
