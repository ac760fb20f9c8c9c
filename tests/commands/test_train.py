from pathlib import Path

import pytest

from fer_space import cli
from fer_space.commands import train
from fer_space.training.config import TrainConfig
from tests.running import run


def test_every_option_of_training_says_what_it_means(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for name, field in TrainConfig.model_fields.items():
        assert f"--{name.replace('_', '-')}" in words
        assert " ".join(str(field.description).split())[:30] in words
    assert "default: 0.998" in words


def test_every_field_of_a_run_is_an_option(monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[TrainConfig, dict[str, object]]] = []

    class Seeing:
        def __init__(self, config: TrainConfig, out: Path, **options: object) -> None:
            seen.append((config, options))

        def run(self) -> None:
            pass

    monkeypatch.setattr(train, "Trainer", Seeing)
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
