import json
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space import cli
from fer_space.commands import models, predict, train
from fer_space.commands import test as test_command
from fer_space.detectors.specs import DETECTORS
from fer_space.engine import Engine
from fer_space.explain.library import METHODS
from fer_space.occlusion import OCCLUSIONS
from fer_space.training.config import TrainConfig
from fer_space.types import Face
from fer_space.weights import Card, read_card


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def seeing(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine with the tiny backbone that sees one face in every picture."""

    class Seeing(Engine):
        def __init__(self, device: str) -> None:
            super().__init__(tiny_weights[0], device)

        def detect(self, image_rgb: np.ndarray, *, detector: str = "x") -> list[Face]:
            return [Face((5, 5, 45, 50), 0.9)]

    monkeypatch.setattr(predict, "Engine", Seeing)
    monkeypatch.setattr(test_command, "Engine", Seeing)


@pytest.mark.usefixtures("seeing")
def test_json_lines_follow_the_contract(pictures: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["predict", str(pictures), "--json", "--device", "cpu"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["source"]).name for line in lines] == ["a.png", "b.jpg"]
    (face,) = lines[0]["faces"]
    assert (lines[0]["width"], lines[0]["height"]) == (80, 60)
    assert set(face) == {"box_xyxy", "score", "landmarks", "backbones", "consensus"}
    assert set(face["backbones"]["tiny"]) == {
        "label",
        "probabilities",
        "valence",
        "arousal",
        "va_source",
        "ms",
    }
    assert sum(face["backbones"]["tiny"]["probabilities"].values()) == pytest.approx(1.0)


@pytest.mark.usefixtures("seeing")
def test_one_bad_source_of_many_is_reported_and_the_rest_are_done(
    pictures: Path, capsys: pytest.CaptureFixture[str]
):
    (pictures / "c.jpg").write_text("no picture")
    assert cli.main(["predict", str(pictures), str(pictures / "gone.png"), "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    assert out.count("1 face\n") == 2
    assert len(err.splitlines()) == 2
    assert "c.jpg" in err
    assert "gone.png" in err


@pytest.mark.usefixtures("seeing")
def test_overlays_are_written(pictures: Path, tmp_path: Path):
    assert cli.main(["predict", str(pictures), "--cam", str(tmp_path / "cam"), "--device", "cpu"]) == 0
    written = sorted(path.name for path in (tmp_path / "cam").iterdir())
    assert len(written) == 4
    assert written[0].startswith("001-a-face1-tiny-")
    with Image.open(tmp_path / "cam" / written[0]) as overlay:
        assert overlay.size == (224, 224)
    with Image.open(tmp_path / "cam" / "001-a-photo-tiny.png") as whole:
        assert whole.size == (80, 60)


@pytest.mark.usefixtures("seeing")
def test_one_emotion_is_explained_for_every_face(pictures: Path, tmp_path: Path):
    words = ["predict", str(pictures), "--cam", str(tmp_path), "--explain", "fear", "--device", "cpu"]
    assert cli.main(words) == 0
    written = sorted(path.name for path in tmp_path.glob("*.png"))
    assert [name for name in written if "face1" in name] == [
        "001-a-face1-tiny-fear.png",
        "002-b-face1-tiny-fear.png",
    ]


@pytest.mark.usefixtures("seeing")
def test_maps_are_part_of_the_json_where_they_are_asked_for(
    pictures: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["predict", str(pictures), "--json", "--explain", "predicted", "--device", "cpu"]) == 0
    for line in capsys.readouterr().out.splitlines():
        (face,) = json.loads(line)["faces"]
        shown = face["maps"]["tiny"]
        assert shown["emotion"] == face["backbones"]["tiny"]["label"]
        assert np.shape(shown["heatmap"]) == (8, 8)


@pytest.mark.usefixtures("seeing")
def test_faces_are_read_covered_too(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_weights: tuple[Path, Card]
):
    words = ["predict", str(pictures / "a.png"), "--occlude", "eye_bar", "--cam", str(tmp_path / "cam")]
    assert cli.main([*words, "--json", "--device", "cpu"]) == 0
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert face["occluded"]["kind"] == "eye_bar"
    change = face["occluded"]["changes"]["tiny"]
    free, hidden = face["backbones"]["tiny"], face["occluded"]["backbones"]["tiny"]
    assert free["probabilities"] != hidden["probabilities"]
    assert change["kept"] == (free["label"] == hidden["label"])
    assert change["valence"] == pytest.approx(hidden["valence"] - free["valence"])
    assert len(list((tmp_path / "cam").glob("001-a-eye_bar-*"))) == 2
    assert cli.main([*words[:4], "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "with eye_bar" in out
    assert "bits" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", "gone.png"], "gone.png"),
        (["predict", "x.png", "--backbones", "enormous"], "enormous"),
        (["test", "--backbone", "all", "--data", "ferplus"], "KIND:PATH"),
        (["train", "--backbone", "enormous", "--data", "folder:x", "--out", "o"], "enormous"),
        (["export", "nowhere"], "no finished run"),
        (["predict", "http://127.0.0.1/a.png"], "127.0.0.1"),
        (["predict", "x.png", "--explain", "fear"], "--cam"),
        (["predict", "x.png", "--method", "grad-cam"], "--cam"),
    ],
    ids=[
        "missing file",
        "unknown backbone",
        "bad data",
        "bad training data",
        "no run",
        "private address",
        "map without folder",
        "method without folder",
    ],
)
def test_errors_are_one_line_on_stderr_and_status_2(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert sentence in err


@pytest.mark.usefixtures("seeing")
def test_measuring_writes_files_and_the_card(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tiny_weights: tuple[Path, Card],
):
    folder, _ = tiny_weights
    record_both = test_command.record_both
    monkeypatch.setattr(test_command, "record_both", lambda *args: record_both(*args, folder=folder))
    for emotion in ("happy", "sad"):
        (tmp_path / "faces" / emotion).mkdir(parents=True)
        Image.new("RGB", (48, 48)).save(tmp_path / "faces" / emotion / "a.png")
    words = ["test", "--backbone", "tiny", "--data", f"folder:{tmp_path / 'faces'}", "--json", "--record"]
    words += ["--occlude", "surgical"]
    assert cli.main([*words, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n"], record["occlusion"]) == (2, "surgical")
    assert set(record["per_class"]) == {"happiness", "sadness"}
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".png"}
    stored = read_card("tiny", folder).results["faces test, occluded: surgical"]
    assert stored["accuracy"] == record["accuracy"]
    assert stored["command"].endswith("--data folder:DIR --split test --occlude surgical")


def test_models_lists_what_is_known(
    tiny_weights: tuple[Path, Card], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    folder, card = tiny_weights
    monkeypatch.setattr(models, "readable", lambda: ("tiny",))
    monkeypatch.setattr(models, "card_of", lambda name: read_card(name, folder))
    assert cli.main(["models", "--json"]) == 0
    records = {r["backbone"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert records["tiny"]["parameters"] == card.parameters
    assert records["efficientnet_lite0"]["weights"] is False
    assert records["enet_b2_8"]["fetch"] == "fer-space fetch enet_b2_8"
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert "no weights here" in out
    assert "to get them: fer-space fetch enet_b2_8" in out
    for name in (*DETECTORS, *METHODS, *OCCLUSIONS):
        assert f"  {name}: " in out


def test_covered_results_have_a_table_of_their_own():
    scores = {"n": 10, "accuracy": 0.8, "balanced_accuracy": 0.7, "macro_f1": 0.6, "ece": 0.1}
    free = {**scores, "accuracy_interval": [0.7, 0.9], "command": "fer-space test", "date": "2026-11-25"}
    covered = {**free, "accuracy": 0.5, "macro_f1": 0.4, "occlusion": "scarf"}
    results = {"ferplus test": free, "ferplus test, occluded: scarf": covered}
    records = [{"backbone": "tiny", "results": results}, {"backbone": "untrained"}]
    first, second = models.as_markdown(records).split("\n\n")
    assert first.count("| tiny |") == 1
    assert "| tiny | 80.0 / 60.0 | – | – | – | 50.0 / 40.0 |" in second
    assert "untrained" not in second


def test_every_option_of_training_says_what_it_means(capsys: pytest.CaptureFixture[str]):
    assert set(train.meanings()) == {field.name for field in fields(TrainConfig)}
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "--ema-decay EMA_DECAY of the averaged weights that are validated" in words
    assert "switches them off (default: 0.998)" in words


def test_help_is_quick_and_loads_nothing_heavy():
    started = time.monotonic()
    code = (
        "import sys; from fer_space.cli import main\n"
        "try: main(['--help'])\nfinally: print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "predict" in done.stdout
    assert "'torch'" not in done.stdout
    assert "'numpy'" not in done.stdout
    assert time.monotonic() - started < 3  # alone it takes a quarter of a second


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("a/b.c.png", "b.c"),
        ("https://x.org/y/z.jpg?w=1", "z"),
        ("-", "picture"),
        ("../../etc/passwd", "passwd"),
        ("https://x.org/", "x"),
    ],
)
def test_file_stems_are_safe(source: str, stem: str):
    assert predict.file_stem(source) == stem


def test_every_field_of_a_run_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from fer_space.commands import train

    seen = []
    monkeypatch.setattr(train, "run_training", lambda config, out, **options: seen.append((config, options)))
    words = ["train", "--backbone", "tiny", "--data", "folder:x", "--out", "o", "--no-gray"]
    with pytest.raises(SystemExit):
        cli.main([*words, "--no-such-option"])
    assert cli.main([*words, "--lr-head", "0.5", "--target", "pld", "--stop-after", "2"]) == 0
    ((config, options),) = seen
    assert (config.gray, config.lr_head, config.target) == (False, 0.5, "pld")
    assert options == {"resume": False, "stop_after": 2, "device": "auto"}
