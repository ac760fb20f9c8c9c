"""From a finished run to weights: what the card says and what is exported."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.training import loop
from fer_space.training.config import TrainConfig
from fer_space.training.exporting import export
from fer_space.training.finish import command_of, licence_of, write_card
from fer_space.training.start import open_run
from fer_space.weights import Card, load_backbone
from tests.networks import striped_faces
from tests.training.test_loop import CONFIG, run, task_of, tiny_network


def test_finish_calibrates_and_exports(tiny: str, tmp_path: Path):
    run(tmp_path / "run")
    card = write_card(CONFIG, striped_faces(160), striped_faces(64, seed=1), tmp_path / "run")
    assert card.temperature > 0.0
    assert card.results["valid"]["calibrated"]["n"] == 64
    exported = export(tmp_path / "run", tmp_path / "weights")
    backbone = load_backbone(exported, tmp_path / "weights")
    trained = load_file(tmp_path / "run" / "best.safetensors")
    assert exported.labels == EMOTIONS[:2], "what no training face shows is not claimed"
    torch.testing.assert_close(
        backbone.head.classifier.weight, trained["head.classifier.weight"][:2], atol=1e-3, rtol=1e-3
    )
    with pytest.raises(InputError, match="no finished run"):
        export(tmp_path, tmp_path / "weights")


def test_calibration_leaves_out_what_was_not_trained(tiny: str, tmp_path: Path):
    run(tmp_path)
    held_out = striped_faces(64, seed=1)
    foreign = replace(held_out, labels=held_out.labels.masked_fill(torch.arange(64) < 10, 5))
    card = write_card(CONFIG, striped_faces(160), foreign, tmp_path)
    assert card.results["valid"]["calibrated"]["n"] == 54
    with pytest.raises(InputError, match="nothing can be calibrated"):
        write_card(CONFIG, striped_faces(160), replace(held_out, labels=held_out.labels + 3), tmp_path)


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        (("ferplus",), "learned from FER-2013"),
        (("ferplus", "fer2013"), "learned from FER-2013"),
        (("rafdb", "ferplus"), "learned from rafdb data, whose own terms hold; They learned from FER-2013"),
    ],
    ids=str,
)
def test_the_licence_names_the_data(kinds: tuple[str, ...], sentence: str):
    assert licence_of(kinds).count("FER-2013") == 1
    assert sentence in licence_of(kinds)


def test_command_names_what_differs_from_the_defaults(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = TrainConfig(backbone="tiny", data="ferplus:/somewhere", epochs=5, gray=False)
    words = "fer-space train --backbone tiny --data ferplus:DIR --out RUN --epochs 5 --no-gray"
    assert command_of(config) == words
    monkeypatch.chdir(tmp_path)
    open_run(replace(CONFIG, size=8), Path("warm"), resume=False)
    loop.train(task_of(replace(CONFIG, size=8)), tiny_network(), Path("warm"), stop_after=2)
    both = command_of(replace(config, init="warm/best.safetensors"))
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
    (folder / f"{name}.json").write_text(card or replace(exported, command=first).to_json())
    config = TrainConfig(backbone="tiny", data="ferplus:/x", init=str(folder / f"{name}.safetensors"))
    said = command_of(config)
    last = f"fer-space train --backbone tiny --data ferplus:DIR --out RUN --init {config.init}"
    assert said == (f"{first} && fer-space export runs/a && {last}" if named else last)
