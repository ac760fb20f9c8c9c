import json
import select
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from fer_space.card import read_card
from fer_space.commands import models
from fer_space.detectors.specs import DETECTORS
from fer_space.errors import WeightsError
from fer_space.evaluation import footprint
from fer_space.evaluation.recording import record
from fer_space.explain.library import METHODS
from fer_space.occlusion import OCCLUSIONS
from tests.evaluation.made import lively
from tests.running import run


@pytest.fixture
def records(seeing: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    for occlusion in (None, "scarf"):
        record(lively(40, occlusion=occlusion), ["folder"], seeing)
    run("models", "--json")
    return {r["backbone"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}


def test_every_model_is_listed_with_what_is_known(records: dict[str, dict], seeing: Path):
    card = read_card(seeing / "tiny.json")
    tiny = records["tiny"]
    assert (tiny["weights"], tiny["parameters"], tiny["kind"]) == (True, card.parameters, "built in")
    assert records["efficientnet_lite0"]["weights"] is False
    assert records["enet_b2_8"]["fetch"] == "fer-space fetch enet_b2_8"


def test_measurements_are_told_in_fields_and_in_sentences(records: dict[str, dict]):
    tiny = records["tiny"]
    assert list(tiny["results"]) == ["made test", "made test, occluded: scarf"]
    assert [m["setting"].get("occlusion") for m in tiny["measurements"]] == [None, "scarf"]
    result = tiny["results"]["made test, occluded: scarf"]
    assert (result["occlusion"], result["date"]) == ("scarf", "2031-02-03")
    assert result["accuracy"] == tiny["measurements"][1]["scores"]["accuracy"]
    assert result["command"].endswith("--data folder:DIR --split test --occlude scarf")


def test_a_person_is_told_what_can_be_chosen(records: dict[str, dict], capsys: pytest.CaptureFixture[str]):
    run("models")
    out = capsys.readouterr().out
    assert "no weights here" in out
    assert "to get them: fer-space fetch enet_b2_8" in out
    assert "  made test: accuracy " in out
    for name in (*DETECTORS, *METHODS, *OCCLUSIONS):
        assert f"  {name}: " in out


def test_tables_are_those_of_the_cards(records: dict[str, dict], capsys: pytest.CaptureFixture[str]):
    run("models", "--markdown")
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert first.count("| tiny | made test | 40 |") == 1
    assert second.startswith("| accuracy / macro-F1 | free |")


def test_a_damaged_card_is_told_and_the_others_are_listed(seeing: Path, capsys: pytest.CaptureFixture[str]):
    (seeing / "tiny.json").write_text("{}")
    run("models", "--json")
    records = {r["backbone"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}
    assert "tiny.json" in records["tiny"]["problem"]
    assert records["tiny"]["weights"] is False
    assert len(records) > 1
    run("models")
    assert records["tiny"]["problem"] in capsys.readouterr().out


def test_a_damaged_model_keeps_no_other_from_being_converted(
    two_backbones: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(models, "load_model", partial(models.load_model, weights_dir=two_backbones))
    (two_backbones / "tiny.safetensors").write_bytes(b"no tensors")
    run("models", "--compile", status=1)
    out, err = capsys.readouterr()
    assert out == "small: openvino\n"
    assert err.startswith("fer-space: without tiny: ")
    (two_backbones / "small.safetensors").write_bytes(b"no tensors")
    run("models", "--compile", status=2)


def test_a_damaged_model_keeps_no_other_from_being_measured(
    two_backbones: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def measured(kind: str, name: str) -> footprint.Footprint:
        if name == "tiny":
            raise WeightsError("It is damaged.")
        return footprint.Footprint(1.0, 2.0)

    monkeypatch.setattr(footprint, "footprint", measured)
    run("models", "--memory", status=1)
    out, err = capsys.readouterr()
    assert out.endswith("small: 1.0 MB loaded, 2.0 MB with its first answer\n")
    assert err == "fer-space: without tiny: It is damaged.\n"


CONVERTING = """
import sys, time
from types import SimpleNamespace
from fer_space import cli
from fer_space.commands import models

def convert(name, **how):
    if name != "dan":
        time.sleep(60)
    return SimpleNamespace(runtime="openvino")

models.load_model = convert
sys.argv = ["fer-space", "models", "--compile"]
models.Registry = lambda: SimpleNamespace(present=lambda: ["dan", "vit"], problems=dict)
sys.exit(cli.main())
"""


@pytest.mark.skipif(not hasattr(select, "poll"), reason="asks the system about a pipe")
def test_converting_ends_when_nobody_reads_of_it_any_more():
    """As the child of a page that was killed."""
    with subprocess.Popen([sys.executable, "-c", CONVERTING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "dan: openvino\n"
        process.stdout.close()
        assert process.wait(timeout=30) != 0
