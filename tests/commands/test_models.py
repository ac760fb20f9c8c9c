import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_space.card import read_card
from fer_space.commands import models
from fer_space.detectors.specs import DETECTORS
from fer_space.errors import WeightsError
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


def test_a_model_that_cannot_be_loaded_is_converted_by_nobody_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def loaded(name: str, **how: str) -> SimpleNamespace:
        if name == "bad":
            raise WeightsError("bad.safetensors is damaged.")
        return SimpleNamespace(runtime="openvino")

    monkeypatch.setattr(models, "load_model", loaded)
    assert models.convert_all(["good", "bad", "hub:owner/repo"]) == 1
    out, err = capsys.readouterr()
    assert out == "good: openvino\nhub:owner/repo: openvino\n"
    assert err == "fer-space: bad: bad.safetensors is damaged.\n"
