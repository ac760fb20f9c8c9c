from dataclasses import fields
from pathlib import Path

import pytest

from fer_space import cli
from fer_space.commands import train
from fer_space.training.config import TrainConfig
from tests.running import run


def test_every_option_of_training_says_what_it_means(capsys: pytest.CaptureFixture[str]):
    assert set(train.meanings()) == {field.name for field in fields(TrainConfig)}
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "--ema-decay EMA_DECAY of the averaged weights that are validated" in words
    assert "switches them off (default: 0.998)" in words


def test_every_field_of_a_run_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(train, "run_training", lambda config, out, **options: seen.append((config, options)))
    words = ["train", "--backbone", "tiny", "--data", "folder:x", "--out", "o", "--no-gray"]
    with pytest.raises(SystemExit):
        cli.main([*words, "--no-such-option"])
    assert cli.main([*words, "--lr-head", "0.5", "--target", "pld", "--stop-after", "2"]) == 0
    ((config, options),) = seen
    assert (config.gray, config.lr_head, config.target) == (False, 0.5, "pld")
    assert options == {"resume": False, "stop_after": 2, "device": "auto"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--backbone", "enormous", "--data", "folder:x", "--out", "o"], "enormous"),
        (["export", "nowhere"], "no finished run"),
    ],
    ids=["bad training data", "no run"],
)
def test_errors_are_one_line_on_stderr(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    run(*words, status=2)
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert sentence in err
