"""The one rule for devices and runtimes."""

import pytest

from fer_space.errors import InputError
from fer_space.runtime.device import RUNTIME_VARIABLE, resolve_runtime


@pytest.mark.parametrize(
    ("asked", "environment", "device", "chosen"),
    [
        ("auto", "", "cpu", "auto"),
        ("auto", "", "cuda", "torch"),
        ("auto", "torch", "cpu", "torch"),
        ("auto", "openvino", "cpu", "openvino"),
        ("torch", "openvino", "cpu", "torch"),
        ("openvino", "torch", "cpu", "openvino"),
    ],
)
def test_the_rule(asked: str, environment: str, device: str, chosen: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(RUNTIME_VARIABLE, environment)
    assert resolve_runtime(asked, device) == chosen


def test_without_openvino_torch_computes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(RUNTIME_VARIABLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert resolve_runtime() == "torch"
    with pytest.raises(InputError, match="pip install openvino"):
        resolve_runtime("openvino")


@pytest.mark.parametrize(
    ("name", "device", "sentence"),
    [("onnx", "cpu", "There are: auto, torch, openvino"), ("openvino", "cuda", "not on cuda")],
)
def test_what_cannot_be_is_said(name: str, device: str, sentence: str):
    with pytest.raises(InputError, match=sentence):
        resolve_runtime(name, device)
