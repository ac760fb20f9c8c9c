"""`fer-space test`: predictions are stored first and scored after."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fer_space import cli
from fer_space.backbones.specs import BACKBONES
from fer_space.commands import test as test_command
from fer_space.commands.summary import as_markdown
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation.ensemble import ensemble
from fer_space.evaluation.predictions import Predictions
from fer_space.evaluation.protocol import lifted
from fer_space.weights import Card, read_card
from tests.evaluation.made import lively
from tests.networks import TINY, lively_tiny, write_weights
from tests.running import is_drawn, run


@pytest.fixture
def two_backbones(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Weights of "tiny" and "small", and the KIND:PATH of six pictures in two splits, one in both."""
    folder, _ = tiny_weights
    monkeypatch.setitem(BACKBONES, "small", replace(TINY, name="small"))
    write_weights(tmp_path / "other", lively_tiny(1))
    (tmp_path / "other" / "tiny.safetensors").rename(folder / "small.safetensors")
    card = (tmp_path / "other" / "tiny.json").read_text().replace('"name": "tiny"', '"name": "small"')
    (folder / "small.json").write_text(card)
    monkeypatch.setattr(test_command, "Engine", lambda device: Engine(folder, device))
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for emotion in ("happy", "sad", "angry"):
            pixels = np.random.default_rng(7) if emotion == "sad" else rng
            place = tmp_path / "faces" / split / emotion
            place.mkdir(parents=True)
            Image.fromarray(pixels.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(place / "a.png")
    return f"folder:{tmp_path / 'faces'}"


def test_weights_are_fitted_on_faces_for_choices_and_kept_in_the_cards(
    two_backbones: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_weights: tuple[Path, Card]
):
    folder, _ = tiny_weights
    (tmp_path / "faces" / "test").rename(tmp_path / "faces" / "valid")
    record = test_command.record_weights
    monkeypatch.setattr(test_command, "record_weights", lambda *args: record(*args, folder=folder))
    words = ["--data", two_backbones, "--split", "valid", "--device", "cpu"]
    run("test", "--backbone", "all,ensemble", "--weigh", *words)
    weights = [read_card(name, folder).weight for name in ("tiny", "small")]
    assert sum(weights) == pytest.approx(1.0, abs=1e-3)
    assert weights[0] != weights[1]


def test_the_second_operating_point_is_fitted_kept_and_measured(
    two_backbones: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_weights: tuple[Path, Card]
):
    folder, _ = tiny_weights
    for name in ("record_lift", "record_both"):
        record = getattr(test_command, name)
        monkeypatch.setattr(test_command, name, lambda *args, record=record: record(*args, folder=folder))
    (tmp_path / "faces" / "valid").mkdir()
    for path in (tmp_path / "faces" / "test").iterdir():
        path.rename(tmp_path / "faces" / "valid" / path.name)
    words = ["--data", two_backbones, "--split", "valid", "--device", "cpu", "--backbone", "tiny"]
    run("test", *words, "--fit-lift")
    card = read_card("tiny", folder)
    assert len(card.lift) == 8
    assert min(card.lift) == 0.0
    (folder / "tiny.json").write_text(replace(card, lift=(0.0,) * 7 + (50.0,)).to_json())
    run("test", *words, "--lift", "--record", "--out", tmp_path / "stored")
    result = read_card("tiny", folder).results["faces valid, rare emotions lifted"]
    assert result["command"].endswith("--split valid --lift")
    assert result["accuracy"] == 0.0, "every face is contempt now"
    stored = Predictions.load(tmp_path / "stored" / "tiny-faces-valid-lifted.parquet")
    assert (stored.probabilities.argmax(axis=1) == 7).all()
    (folder / "tiny.json").write_text(replace(card, results={}).to_json())
    run("test", *words, "--record")
    results = read_card("tiny", folder).results
    assert list(results) == ["faces valid", "faces valid, rare emotions lifted"]
    assert results["faces valid, rare emotions lifted"]["lift"]
    run("test", *words, "--lift", "--out", tmp_path / "stored")
    direct = Predictions.load(tmp_path / "stored" / "tiny-faces-valid-lifted.parquet").probabilities
    logits, lift = torch.randn(3, 8), torch.tensor(card.lift, dtype=torch.float64)
    np.testing.assert_allclose(
        ((logits.double() + torch.tensor(card.bias)) / card.temperature + lift).softmax(1),
        lifted(replace(stored, probabilities=card.probabilities(logits).numpy()), card).probabilities,
    )
    assert direct.shape == (3, 8)
    for wrong in (["--lift", "--fit-lift"], ["--fit-lift", "--split", "test"]):
        assert cli.main(["test", *map(str, words), *wrong]) == 2


def test_a_summary_compares_all_that_was_read(two_backbones: str, tmp_path: Path, capsys):
    words = ["--data", two_backbones, "--device", "cpu", "--out", tmp_path / "stored"]
    run("test", "--backbone", "all,ensemble", *words, "--summary", tmp_path / "read")
    for name in ("cost", "confusions", "overlap"):
        assert is_drawn(tmp_path / "read" / f"{name}.png")
    summary = json.loads((tmp_path / "read" / "results.json").read_text())
    models = summary["models"]
    assert list(models) == ["tiny", "small", "ensemble", "weighted"]
    assert summary["time_reference"] == "tiny"
    assert models["tiny"]["time"] == 1.0
    assert models["ensemble"]["time"] == pytest.approx(1.0 + models["small"]["time"])
    assert models["ensemble"]["multiply_adds"] == 2 * models["tiny"]["multiply_adds"] > 0
    assert np.sum(models["small"]["confusion"]) == models["small"]["n"] == 3
    assert summary["overlap"]["backbones"] == ["tiny", "small"]
    assert np.shape(summary["overlap"]["same_answer"]) == (2, 2)
    assert {p.name for p in (tmp_path / "read").iterdir()} == {"results.json"} | {
        f"{name}.png" for name in ("cost", "confusions", "overlap")
    }

    told = capsys.readouterr().out
    assert as_markdown(summary) in told
    assert f"| tiny | 0.0 M | {models['tiny']['multiply_adds'] / 1e6:,.0f} M | 1.0 |" in told
    assert summary["command"].startswith("fer-space test --backbone all,ensemble --data folder:DIR")
    files = [tmp_path / "stored" / f"{name}-faces-test.parquet" for name in models]
    run("test", *files, "--summary", tmp_path / "again")
    again = json.loads((tmp_path / "again" / "results.json").read_text())
    assert again["overlap"] == summary["overlap"]
    assert [m["accuracy"] for m in again["models"].values()] == [m["accuracy"] for m in models.values()]
    capsys.readouterr()
    run("test", files[0], files[0], "--summary", tmp_path / "twice", status=2)
    assert "no name twice" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()
    lifted = replace(Predictions.load(files[1]), about=replace(Predictions.load(files[1]).about, lift=True))
    run("test", files[0], lifted.save(tmp_path / "lifted"), "--summary", tmp_path / "mixed", status=2)
    assert "of several" in capsys.readouterr().err


def test_a_summary_leaves_out_the_cost_of_what_is_not_here(
    two_backbones: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    members = [lively(20, seed=1, backbone=name) for name in ("tiny", "far")]
    files = [each.save(tmp_path) for each in (*members, ensemble(members))]
    run("test", *files, "--summary", tmp_path / "out", "--json")
    assert all(json.loads(line)["n"] == 20 for line in capsys.readouterr().out.splitlines())
    summary = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "time" in summary["models"]["tiny"]
    assert "time" not in summary["models"]["far"]
    assert "time" not in summary["models"]["ensemble"]
    assert "| far | – | – | – |" in as_markdown(summary)
    run("test", files[1], "--summary", tmp_path / "alone")
    assert not (tmp_path / "alone" / "cost.png").exists()


@pytest.mark.parametrize("words", [["--backbone", "all,ensemble"], ["--backbone", "all", "--split", "valid"]])
def test_weights_are_fitted_on_nothing_else(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert cli.main(["test", *words, "--data", "folder:x", "--weigh"]) == 2
    assert "--split valid" in capsys.readouterr().err


def test_stored_predictions_give_the_same_records(
    two_backbones: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    words = [
        "--data",
        two_backbones,
        "--out",
        tmp_path / "out",
        "--without-twins",
        "--embeddings",
        "--no-flip",
    ]
    run("test", "--backbone", "all,ensemble", *words, "--json", "--device", "cpu")
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["backbone"] for record in records] == ["tiny", "small", "ensemble", "weighted"]
    assert records[2]["members"] == ["tiny", "small"]
    assert 0.0 < records[2]["disagreement"] <= 1.0
    assert all(record["twins"] == 1 and record["without_twins"]["n"] == 2 for record in records)
    files = [tmp_path / "out" / f"{record['backbone']}-faces-test-noflip.parquet" for record in records]
    assert all(is_drawn(file.with_suffix(".png")) for file in files)
    embeddings = Predictions.load(files[0]).embeddings
    assert embeddings is not None
    assert embeddings.shape == (3, 12)
    monkeypatch.setattr(test_command, "Engine", None)  # no model is needed any more
    run("test", *files, "--json")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == records


def test_a_person_is_told_what_the_figures_mean(
    two_backbones: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    run("test", "--backbone", "ensemble", "--data", two_backbones, "--without-twins", "--device", "cpu")
    lines = capsys.readouterr().out.splitlines()
    assert sum("accuracy" in line and not line.startswith(" ") for line in lines) == 4
    assert any("mean of tiny, small; disagreement 0." in line for line in lines)
    assert any("without near-duplicates of train faces (1): accuracy" in line for line in lines)
    seven = lively(40).about.model_classes[:-1]
    made = lively(40, data_classes=seven, detector="dlib", occlusion="upper", flip=False)
    made = replace(made, affect_labels=np.zeros((40, 2)))
    run("test", made.save(tmp_path))
    out = capsys.readouterr().out
    assert "tiny on made test, detected by dlib, occluded: upper, without flip: accuracy" in out
    assert "not in the data, dropped and the rest rescaled: contempt" in out
    assert "no face found in 0" in out
    assert "PEARSON undefined" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["x.parquet", "--backbone", "all", "--occlude", "upper", "--no-flip"],
            "leave out --backbone, --occlude, --no-flip",
        ),
        (["--backbone", "all"], "Name --backbone and --data"),
        (["--backbone", "all", "--data", "folder:x", "--embeddings"], "needs --out"),
        (
            ["--backbone", "all", "--data", "folder:x", "--split", "train", "--without-twins"],
            "another --split",
        ),
        (["gone.parquet"], "no file"),
    ],
    ids=["both ways", "neither way", "nowhere to store", "twins of itself", "no file"],
)
def test_options_that_cannot_go_together(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    run("test", *words, status=2)
    assert sentence in capsys.readouterr().err


def test_names_of_backbones_and_the_ensemble(monkeypatch: pytest.MonkeyPatch, tiny: str):
    monkeypatch.setitem(BACKBONES, "small", replace(TINY, name="small"))
    assert test_command.chosen("all", ("tiny", "small")) == (["tiny", "small"], False)
    assert test_command.chosen("ensemble", ("tiny", "small")) == (["tiny", "small"], True)
    assert test_command.chosen("tiny, ensemble,small", ("tiny",)) == (["tiny", "small"], True)
    with pytest.raises(InputError, match="only tiny"):
        test_command.chosen("all,ensemble", ("tiny",))
    with pytest.raises(InputError, match="names no backbone"):
        test_command.chosen(" ", ("tiny",))
