"""The README is the Space's front page and its configuration: it must be true."""

import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from benchmarks import affect_folds, faithfulness, study
from fer_space import cli
from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card
from fer_space.evaluation.report import occlusion_table, scores_table, zoo_table
from fer_space.registry import Registry

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
KEYS = {
    "title",
    "emoji",
    "colorFrom",
    "colorTo",
    "sdk",
    "sdk_version",
    "python_version",
    "app_file",
    "license",
    "short_description",
    "tags",
    "startup_duration_timeout",
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def front() -> dict[str, object]:
    return RepoCard(TEXT, ignore_metadata_errors=False).data.to_dict()


def test_front_matter_has_every_key_and_no_other(front: dict[str, object]):
    assert set(front) == KEYS
    assert set(yaml.safe_load(TEXT.split("---")[1])) == KEYS


def test_front_matter_holds_what_a_space_accepts(front: dict[str, object]):
    assert front["sdk"] == "gradio"
    assert (ROOT / str(front["app_file"])).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert len(str(front["short_description"])) <= 60
    assert front["python_version"] == "3.12"
    assert front["license"] == "mit"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT")


def test_sdk_version_is_in_the_range_of_the_requirements(front: dict[str, object]):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = {r.name: r for r in map(Requirement, lines)}
    assert requirements["gradio"].specifier.contains(str(front["sdk_version"]))


def test_every_dependency_is_bounded():
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        operators = {specifier.operator for specifier in Requirement(line).specifier}
        assert operators & {"<", "==", "~="}, line


def test_pictures_and_files_that_are_named_exist():
    for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / target).is_file(), target


def test_commands_that_are_named_exist():
    assert set(re.findall(r"fer-space (\w+)", TEXT)) <= set(cli.COMMANDS)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"make (run|install|test|check|bench|evaluate)", TEXT)) <= targets


@pytest.fixture(scope="module")
def cards() -> list[Card]:
    return [source.card() for name, source in Registry().present().items() if name in BACKBONES]


def test_results_are_those_of_the_cards(cards: list[Card]):
    assert scores_table(cards) in TEXT
    assert occlusion_table(cards) in TEXT


def test_the_zoo_is_the_one_that_was_measured(cards: list[Card]):
    stored = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    assert zoo_table(stored) in TEXT
    assert set(stored["overlap"]["backbones"]) == {card.name for card in cards}
    for card in cards:
        (scores,) = (m.scores for m in card.measurements if str(m.setting) == stored["measured_on"])
        model = stored["models"][card.name]
        assert (scores.n, scores.accuracy, scores.ece) == (model["n"], model["accuracy"], model["ece"])
    assert {"ensemble", "weighted"} < set(stored["models"])


def test_what_is_said_of_the_maps_was_measured(cards: list[Card]):
    stored = json.loads((ROOT / "docs" / "faithfulness.json").read_text(encoding="utf-8"))
    assert set(stored["backbones"]) == {card.name for card in cards}
    assert stored["n"] >= 300
    assert faithfulness.markdown(stored["backbones"]) in TEXT


def test_tables_of_the_study_are_those_that_were_measured():
    text = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "docs" / "study.json").read_text(encoding="utf-8"))["results"]
    assert set(results) == {"valid", "test"}
    for split in results:
        assert study.markdown(results[split]) in text
    assert {record["n"] for record in results["test"].values()} == {3_137}


def test_valence_and_arousal_are_those_that_were_measured():
    lines = (ROOT / "docs" / "affect.jsonl").read_text(encoding="utf-8").splitlines()
    assert affect_folds.markdown([json.loads(line) for line in lines]) in TEXT
