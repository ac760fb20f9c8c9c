"""One damaged thing beside good ones: it is named in one sentence, and everything else works."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space import cli
from fer_space.backbones.specs import BACKBONES
from fer_space.card import ENSEMBLE_FILE, Card, paths_of
from fer_space.engine import Engine
from fer_space.errors import WeightsError
from fer_space.external.cache import home
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.files import sha256_of
from fer_space.tensors import load_tensors, save_tensors
from tests.networks import lively_tiny, write_weights

CROP = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def card_file(folder: Path) -> Path:
    return paths_of("second", folder)[1]


def changed(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads(card_file(folder).read_text())
        card_file(folder).write_text(json.dumps(card | values))

    return change


def as_bytes(data: bytes) -> Callable[[Path], None]:
    return lambda folder: card_file(folder).write_bytes(data) and None


def flipped(folder: Path) -> None:
    tensors = paths_of("second", folder)[0]
    data = bytearray(tensors.read_bytes())
    data[-5] ^= 1
    tensors.write_bytes(data)


def with_tensors(value: float) -> Callable[[Path], None]:
    """Weights with one number that is none, and a card whose sha256 fits them."""

    def change(folder: Path) -> None:
        path = paths_of("second", folder)[0]
        tensors = load_tensors(path)
        name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
        tensors[name] = torch.full_like(tensors[name], value)
        sha256 = save_tensors(tensors, path, half=False)
        changed(sha256=sha256)(folder)

    return change


def on_a_bad_disk(path: Path) -> None:
    """Put a file in its place that opens, and gives the system's error when it is read."""
    path.unlink(missing_ok=True)
    path.symlink_to("/proc/self/mem")


def empty(folder: Path) -> None:
    paths_of("second", folder)[0].write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an empty card": as_bytes(b""),
    "half a card": lambda folder: card_file(folder).write_bytes(card_file(folder).read_bytes()[:400]),
    "a card in UTF-16": lambda folder: card_file(folder).write_text(
        card_file(folder).read_text(), encoding="utf-16"
    ),
    "bytes that are no text": as_bytes(b"\xff\xfe\x00" * 99),
    "JSON of great depth": as_bytes(b"[" * 100_000),
    "a very long card": as_bytes(b" " * 2_000_000),
    "a list": as_bytes(b"[]"),
    "a null": as_bytes(b"null"),
    "a large number": as_bytes(b"1" * 5000),
    "temperature Infinity": changed(temperature=float("inf")),
    "temperature NaN": changed(temperature=float("nan")),
    "temperature zero": changed(temperature=0.0),
    "temperature of nearly zero": changed(temperature=1e-310),
    "a boost that overflows": changed(boost=[800.0] * 8),
    "a bias of 1e308": changed(bias=[1e308] * 8),
    "a bias too short": changed(bias=[0.0]),
    "a boost that is no number": changed(boost=["NaN"] * 8),
    "labels twice": changed(labels=["anger"] * 8),
    "a label that is none": changed(labels=["hunger"]),
    "a field too many": changed(code="import os"),
    "a field of another type": changed(parameters="many"),
    "a negative size": changed(preprocess={"input_size": -1, "native_size": 48, "gray": True}),
    "an enormous size": changed(preprocess={"input_size": 10**6, "native_size": 10**6, "gray": True}),
    "a crop of no size": changed(crop={"box_scale": 0.0}),
    "another network": changed(architecture="os:system"),
    "a flipped byte in the tensors": flipped,
    "no tensors": empty,
    "tensors that are no numbers": with_tensors(float("nan")),
    "tensors that overflow": with_tensors(3e38),
}

if sys.platform == "linux":
    DAMAGES |= {
        "a card on a bad disk": lambda folder: on_a_bad_disk(card_file(folder)),
        "tensors on a bad disk": lambda folder: on_a_bad_disk(paths_of("second", folder)[0]),
    }


@pytest.fixture
def folder(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good model, "tiny", and one that will be damaged, "second"."""
    folder = tmp_path / "weights"
    monkeypatch.setitem(BACKBONES, "second", replace(BACKBONES["tiny"], name="second"))
    write_weights(folder, lively_tiny())
    write_weights(folder, lively_tiny(), name="second")
    return folder


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_model_is_named_and_the_other_reads(kind: str, folder: Path) -> None:
    assert Engine(folder, "cpu").backbones == ("tiny", "second")
    DAMAGES[kind](folder)
    engine = Engine(folder, "cpu")
    engine.preload()
    assert engine.backbones == ("tiny",)
    sentence = engine.problems["second"]
    assert "second" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert engine.model("tiny").predict([CROP]).labels
    with pytest.raises(WeightsError, match="second"):
        engine.model("second")


def test_a_model_that_was_mended_is_back(folder: Path) -> None:
    flipped(folder)
    engine = Engine(folder, "cpu")
    engine.preload()
    assert engine.backbones == ("tiny",)
    write_weights(folder, lively_tiny(), name="second")
    os.utime(card_file(folder), (1, 1))
    assert engine.backbones == ("tiny", "second")
    assert engine.problems == {}


@pytest.mark.parametrize("kind", ["half a card", "a flipped byte in the tensors"])
def test_the_command_line_names_it_and_goes_on(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[kind](folder)
    monkeypatch.setattr("fer_space.commands.models.Registry", lambda: Engine(folder, "cpu").registry)
    monkeypatch.setattr("fer_space.commands.predict.Engine", partial(Engine, folder))
    assert cli.main(["models", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {line["backbone"]: line for line in lines}
    assert told["tiny"]["weights"] is True
    assert told["second"]["weights"] is False
    assert "second" in told["second"]["problem"]
    assert cli.main(["predict", "examples/astronaut.jpg", "--json"]) == 0
    out, err = capsys.readouterr()
    (face,) = json.loads(out)["faces"]
    assert list(face["backbones"]) == ["tiny"]
    assert err.count("second") >= 1
    assert len(err.splitlines()) == 1


NOBODY = {"name": "x", "shares": {}, "data": "", "command": "", "date": "2026-11-28"}


@pytest.mark.parametrize("content", ['{"fits": [{"name": 1}]}', json.dumps({"fits": [NOBODY]}), None])
def test_a_damaged_ensemble_costs_the_fitted_mean_alone(content: str | None, folder: Path) -> None:
    path = folder / ENSEMBLE_FILE
    path.write_text(content) if content else on_a_bad_disk(path)
    engine = Engine(folder, "cpu")
    assert engine.fits == ()
    assert ENSEMBLE_FILE in engine.problems[ENSEMBLE_FILE]
    assert engine.backbones == ("tiny", "second")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"spec": 1}', b"\xff", b"[" * 100_000, b'{"spec": {}, "sha256": []}']
)
def test_a_damaged_receipt_is_named(data: bytes, folder: Path) -> None:
    home().mkdir(parents=True, exist_ok=True)
    path = home() / "somebody.json"
    path.write_bytes(data)
    try:
        engine = Engine(folder, "cpu")
        assert engine.backbones == ("tiny", "second")
        assert "receipt somebody.json" in engine.problems["somebody"]
    finally:
        path.unlink()


def test_own_models_are_named_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    card = Card.from_json(card_file(folder).read_bytes(), "card")
    write_weights(own, lively_tiny(), name="good")
    write_weights(own, lively_tiny(), name="bad")
    (own / "bad.json").write_text("no card")
    write_weights(own, lively_tiny(), name="worse")
    (own / "worse.safetensors").write_bytes(b"no tensors")
    (own / "graph.onnx").write_bytes(b"no graph")
    sha256 = sha256_of(own / "graph.onnx")
    changes = {"name": "graph", "architecture": "onnx", "sha256": sha256}
    (own / "graph.json").write_text(card.model_copy(update=changes).to_json())
    monkeypatch.setenv(FOLDER_VARIABLE, str(own))
    engine = Engine(folder, "cpu")
    engine.preload()
    assert engine.backbones == ("tiny", "second", "good")
    assert set(engine.problems) == {"bad", "worse", "graph"}
    assert all(name in sentence for name, sentence in engine.problems.items())
    with pytest.raises(WeightsError, match="bad"):
        engine.model("bad")
