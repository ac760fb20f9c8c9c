"""A place that cannot be written to, or is full: one line that names the file, status 2, nothing partial."""

import errno
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space import cli
from fer_space.engine import Engine
from tests.networks import lively_tiny, write_weights

WAYS = {
    "predict": "predict {picture} --backbones tiny --cam {out}",
    "prepare": "prepare folder {faces} {out}",
    "train": "train --backbone tiny --init none --epochs 1 --batch-size 8 --size 12 --native-size 12 "
    "--device cpu --data folder:{faces} --out {out}",
    "test": "test --backbone tiny --data folder:{faces} --out {out}",
}


@pytest.fixture
def places(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A photo with a face, a folder of faces, and where a command shall write."""
    weights, faces = tmp_path / "weights", tmp_path / "faces"
    write_weights(weights, lively_tiny())
    random = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        for emotion in ("happy", "sad"):
            (faces / split / emotion).mkdir(parents=True)
            for number in range(8):
                pixels = random.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(faces / split / emotion / f"{number}.png")
    for command in ("predict", "test"):
        monkeypatch.setattr(f"fer_space.commands.{command}.Engine", partial(Engine, weights))
    picture = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
    return {"picture": picture, "faces": faces, "out": tmp_path / "out"}


def said(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(words.split()) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fer-space:")]
    assert len(lines) == 1
    assert "Errno" not in lines[0]
    return lines[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_where_a_folder_should_be(
    way: str, places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    places["out"].write_text("mine")
    assert str(places["out"]) in said(WAYS[way].format(**places), capsys)
    assert places["out"].read_text() == "mine"


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk(
    way: str, places: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the finished file would take its name."""

    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    sentence = said(WAYS[way].format(**places), capsys)
    assert str(places["out"]) in sentence
    assert "No space left on device" in sentence
    assert not [path for path in places["out"].rglob("*") if path.is_file()]
