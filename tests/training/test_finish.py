"""The end of a run: what the card says."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fer_space.card import Card, read_card, write_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, WeightsError
from fer_space.training.config import TrainConfig
from fer_space.training.finish import (
    CROPPED,
    _clauses_of_start,
    command_of,
    finished_network,
    licence_of,
    write_run_card,
)
from tests.networks import striped_faces
from tests.training.test_trainer import CONFIG, run


def test_a_run_is_calibrated_on_what_was_trained(tiny: str, tmp_path: Path):
    run(tmp_path)
    held_out = striped_faces(64, seed=1)
    card = write_run_card(CONFIG, striped_faces(160), held_out, tmp_path)
    assert read_card(tmp_path / "card.json") == card
    assert card.labels == EMOTIONS[:2], "what no training face shows is not claimed"
    assert card.validation is not None
    assert card.validation.calibrated.n == 64
    foreign = replace(held_out, labels=held_out.labels.masked_fill(torch.arange(64) < 10, 5))
    fewer = write_run_card(CONFIG, striped_faces(160), foreign, tmp_path).validation
    assert fewer is not None
    assert fewer.calibrated.n == 54
    with pytest.raises(DataError, match="nothing can be calibrated"):
        write_run_card(CONFIG, striped_faces(160), replace(held_out, labels=held_out.labels + 3), tmp_path)


def test_damaged_weights_are_named(tiny: str, tmp_path: Path):
    (tmp_path / "best.safetensors").write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match=r"best.safetensors cannot be read"):
        finished_network(CONFIG, [0, 1], tmp_path)


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        (("ferplus",), "learned from FER-2013"),
        (("ferplus", "fer2013"), "learned from FER-2013"),
        (("rafdb", "ferplus"), "learned from rafdb data, whose own terms hold; they learned from FER-2013"),
    ],
    ids=str,
)
def test_the_licence_names_the_data(kinds: tuple[str, ...], sentence: str):
    assert licence_of(kinds).count("FER-2013") == 1
    assert sentence in licence_of(kinds)


@pytest.mark.parametrize("prefix", ["", "matching:"])
def test_what_a_start_learned_from_is_not_forgotten(
    prefix: str, tiny_weights: tuple[Path, Card], tmp_path: Path
):
    folder, exported = tiny_weights
    before = licence_of(["ckplus"], ["they start from faces"])
    write_card(exported.model_copy(update={"data": "ckplus+ferplus", "licence": before}), folder)
    config = CONFIG.changed(init=f"{prefix}{folder / 'tiny.safetensors'}", data="ferplus:/x")
    run(tmp_path / "run", config)
    card = write_run_card(config, striped_faces(160), striped_faces(64, seed=1), tmp_path / "run")
    assert card.data == "ckplus+ferplus"
    assert card.licence == (
        "MIT for the weights. They start from faces; they learned from CK+, whose pictures are for research "
        f"use; they learned from FER-2013, whose pictures are for research use; {CROPPED}"
    )


def test_face_recognition_names_its_own_data():
    config = TrainConfig(backbone="mobilenet_v1_faces", data="rafdb:/x", init="hse:DIR")
    (clause,) = _clauses_of_start(config.init, None)
    assert "VGGFace2, which is for research" in licence_of(["rafdb"], [clause])


def test_command_names_what_differs_from_the_defaults(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = TrainConfig(backbone="tiny", data="ferplus:/somewhere", epochs=5, gray=False)
    words = "fer-space train --backbone tiny --data ferplus:DIR --out RUN --epochs 5 --no-gray"
    assert command_of(config) == words
    monkeypatch.chdir(tmp_path)
    run(Path("warm"), CONFIG.changed(size=8), stop_after=2)
    both = command_of(config.changed(init="warm/best.safetensors"))
    assert " --out warm " in both
    assert f" --stop-after 2 && {words} --init warm/best.safetensors" in both


@pytest.mark.parametrize(
    ("name", "card", "named"),
    [("tiny", None, True), ("other", None, False), ("tiny", "{}", False)],
    ids=["the same", "another", "a card that says nothing"],
)
def test_command_names_how_the_network_came_about_that_it_replaces(
    name: str, card: str | None, named: bool, tiny_weights: tuple[Path, Card]
):
    folder, exported = tiny_weights
    first = "fer-space train --out runs/a --epochs 1"
    write_card(exported.model_copy(update={"command": first, "name": name}), folder)
    if card is not None:
        (folder / f"{name}.json").write_text(card)
    config = TrainConfig(backbone="tiny", data="ferplus:/x", init=str(folder / f"{name}.safetensors"))
    said = command_of(config)
    last = f"fer-space train --backbone tiny --data ferplus:DIR --out RUN --init {config.init}"
    assert said == (f"{first} && fer-space export runs/a && {last}" if named else last)


@pytest.mark.parametrize(
    "text", ['{"architecture": "resnet18"}', "[1]", "no JSON"], ids=["timm's", "a list", "bad"]
)
def test_the_config_of_another_program_costs_no_run_its_end(text: str, tmp_path: Path):
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "history.csv").write_text("loss\n")
    command = command_of(CONFIG.changed(init=f"timm:{tmp_path / 'model.safetensors'}"))
    assert command.count("fer-space train") == 1


def test_a_run_that_was_not_begun_costs_no_run_its_end(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    assert command_of(CONFIG.changed(init=str(tmp_path / "best.safetensors"))).count("fer-space train") == 1


def test_a_run_in_the_current_folder_is_no_start_of_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    (tmp_path / "history.csv").write_text("loss\n1\n")
    monkeypatch.chdir(tmp_path)
    assert command_of(CONFIG.changed(init="imagenet")).count("fer-space train") == 1


def test_runs_that_name_each_other_end(tmp_path: Path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        config = CONFIG.changed(init=str(tmp_path / other / "best.safetensors"))
        (tmp_path / name / "config.json").write_text(json.dumps(config.to_dict()))
        (tmp_path / name / "history.csv").write_text("loss\n1\n2\n3\n")
    command = command_of(config, str(tmp_path / "b"))
    assert [part.split("--out ")[1].split()[0] for part in command.split(" && ")] == [
        str(tmp_path / "a"),
        str(tmp_path / "b"),
    ]


def test_words_with_spaces_are_words_of_the_command():
    command = command_of(CONFIG.changed(init="old runs/best.safetensors"), "new runs/a")
    words = shlex.split(command)
    assert words[words.index("--init") + 1] == "old runs/best.safetensors"
    assert words[words.index("--out") + 1] == "new runs/a"


@pytest.mark.parametrize(
    "made",
    [
        "fer-space export dan.safetensors --official dan",
        "fer-space train --out runs/a && fer-space export runs/a --affect csv:DIR",
        "it's mine --out",
        "",
    ],
    ids=["official", "with a readout", "no command", "none"],
)
def test_a_network_is_exported_once(made: str, tiny_weights: tuple[Path, Card]):
    folder, exported = tiny_weights
    write_card(exported.model_copy(update={"command": made}), folder)
    config = TrainConfig(backbone="tiny", data="ferplus:/x", init=str(folder / "tiny.safetensors"))
    before = command_of(config).rpartition("fer-space train --backbone tiny")[0]
    assert before == (f"{made} && " if "fer-space" in made else "")
