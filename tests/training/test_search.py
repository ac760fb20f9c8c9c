"""Searches over the fields of a training, with a network of a few hundred weights."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fer_space.errors import InputError, TrainingError
from fer_space.training import search as module
from fer_space.training import trainer
from fer_space.training.config import TrainConfig
from fer_space.training.search import search
from tests.running import run
from tests.training.test_run import write_folder

VARY = ["lr-body=log:1e-3..1e-1", "optimizer=adamw,sgd", "batch-size=8..16", "gray=true,false"]


@pytest.fixture
def config(tiny: str, tmp_path: Path) -> TrainConfig:
    write_folder(tmp_path / "faces")
    data = f"folder:{tmp_path / 'faces'}"
    return TrainConfig(backbone=tiny, data=data, init="none", epochs=2, size=12, native_size=12)


def rows_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "trials.csv").read_text().splitlines()))


def test_the_best_on_validation_wins(config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "search"
    best = search(config, VARY, out, trials=6, device="cpu")
    rows = rows_of(out)
    assert len(rows) == 6
    winner = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["valid"]))
    assert f"{best.lr_body:.4g}" == winner["lr_body"]
    assert (best.optimizer, str(best.batch_size), str(best.gray)) == (
        winner["optimizer"],
        winner["batch_size"],
        winner["gray"],
    )
    assert TrainConfig.from_dict(json.loads((out / "best.json").read_text())) == best
    history = (out / winner["trial"] / "history.csv").read_text()
    assert winner["valid"] in " ".join(
        f"{float(n):.5f}" for n in history.replace("\n", ",").split(",") if n[:1].isdigit()
    )
    again = search(config, VARY, out, trials=6, device="cpu")
    assert again == best
    assert rows_of(out) == rows


def test_the_test_split_is_never_opened(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    real = module.Trainer.run

    def noting(self: Any) -> None:
        from fer_space.training import data

        real_open = data.open_data
        monkeypatch.setattr(
            data,
            "open_data",
            lambda name, split, *a, **k: opened.append(split) or real_open(name, split, *a, **k),
        )
        real(self)
        monkeypatch.setattr(data, "open_data", real_open)

    monkeypatch.setattr(module.Trainer, "run", noting)
    search(config, VARY[:1], tmp_path / "search", trials=1, device="cpu")
    assert sorted(set(opened)) == ["train", "valid"]


def test_trials_behind_the_median_are_cut_short(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Runs of three epochs whose figures are given; the fifth is worse than half of the others at once."""
    figures = iter([[0.5, 0.6, 0.7]] * 4 + [[0.1, 0.8, 0.9], [0.55, 0.6, 0.9]])

    class Given:
        def __init__(self, config: TrainConfig, out: Path, **how: Any) -> None:
            self.out, self.watch = out, how["watch"]

        def run(self) -> None:
            history: list[dict[str, float]] = []
            self.out.mkdir()
            for epoch, figure in enumerate(next(figures), start=1):
                history.append({"epoch": epoch, "valid_accuracy": figure})
                trainer.write_history(history, self.out / "history.csv")
                self.watch(history)

    monkeypatch.setattr(module, "Trainer", Given)
    search(config.changed(epochs=3), VARY, tmp_path / "search", trials=6)
    seen = [(row["state"], row["epochs"], row["valid"]) for row in rows_of(tmp_path / "search")]
    assert seen == [("complete", "3", "0.70000")] * 4 + [
        ("pruned", "1", "0.10000"),
        ("complete", "3", "0.90000"),
    ]


def test_a_search_that_was_cut_off_takes_up_its_trial(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out, real, calls = tmp_path / "search", trainer.run_epoch, []

    def killed(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 4:  # the second epoch of the second trial
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(trainer, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        search(config, VARY, out, trials=3, device="cpu")
    search(config, VARY, out, trials=3, device="cpu")
    assert len(calls) == 4 + 1 + 2  # the epoch that was lost, and the third trial
    rows = rows_of(out)
    assert [row["trial"] for row in rows] == ["trial-000", "trial-001", "trial-003"]
    assert len({row["lr_body"] for row in rows}) == 3
    with pytest.raises(InputError, match="holds another search"):
        search(config.changed(epochs=3), VARY, out, trials=3, device="cpu")


def test_a_loss_that_is_no_number_ends_a_trial_and_not_the_search(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def diverged(*args: Any) -> None:
        raise TrainingError("no number")

    monkeypatch.setattr(trainer, "run_epoch", diverged)
    with pytest.raises(TrainingError, match="No trial came to an end"):
        search(config, VARY[:1], tmp_path / "search", trials=2, device="cpu")
    assert [row["state"] for row in rows_of(tmp_path / "search")] == ["diverged", "diverged"]


def test_settings_that_do_not_go_together_are_a_row_too(config: TrainConfig, tmp_path: Path):
    out = tmp_path / "search"
    search(config.changed(epochs=1), ["imbalance=none,sqrt", "rebalance-limit=0,5"], out, trials=8)
    states = {(row["imbalance"], row["rebalance_limit"]): row["state"] for row in rows_of(out)}
    assert {pair for pair, state in states.items() if state == "refused"} == {
        pair for pair in states if pair[1] == "5"
    }
    assert len(rows_of(out)) == 8


def test_a_start_that_a_network_does_not_have_is_a_row_too(config: TrainConfig, tmp_path: Path):
    out = tmp_path / "search"
    search(config.changed(epochs=1), ["init=none,imagenet"], out, trials=6, device="cpu")
    assert {(row["init"], row["state"]) for row in rows_of(out)} == {
        ("none", "complete"),
        ("imagenet", "refused"),
    }


@pytest.mark.parametrize(
    ("vary", "sentence"),
    [
        ("speed=1..2", "no setting that can be varied"),
        ("seed=1..2", "no setting that can be varied"),
        ("lr-body=2..1", "not of the form"),
        ("lr-body=log:0..1", "not of the form"),
        ("gray=perhaps", "not of the form"),
        ("optimizer=adamw,lion", "not “lion”"),
        ("lr-body=1..99", "lr_body must lie between 0 and 10"),
    ],
)
def test_what_cannot_be_tried_is_said_first(vary: str, sentence: str, config: TrainConfig, tmp_path: Path):
    with pytest.raises(InputError, match=sentence):
        search(config, [vary], tmp_path / "search", trials=1)
    assert not (tmp_path / "search").exists()


def test_the_command_prints_the_table_and_how_to_train_the_best(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["--backbone", config.backbone, "--data", config.data, "--init", "none", "--epochs", 1]
    words += ["--size", 12, "--native-size", 12, "--batch-size", 8, "--device", "cpu"]
    run("search", *words, "--vary", "lr-body=log:1e-3..1e-1", "--trials", 2, "--out", tmp_path / "search")
    out = capsys.readouterr().out
    assert "trial,state,epochs,valid,lr_body" in out
    assert out.splitlines()[-1].startswith("fer-space train --backbone tiny --data folder:DIR --out ")
    run("search", *words, "--out", tmp_path / "other", status=2)
    assert "--vary lr-body=log:1e-4..1e-2" in capsys.readouterr().err
