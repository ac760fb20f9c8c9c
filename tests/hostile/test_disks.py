"""A place that cannot be written to, or is full: one line that names the file, status 2, nothing partial."""

import errno
import os
import subprocess
import sys
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


WRITING = """
import resource, sys, torch
from pathlib import Path
from fer_space.errors import OutputError
from fer_space.files import replacing, write_text
from fer_space.tensors import save_tensors

folder = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))  # as a disk that is full by then
tensors = {"weight": torch.zeros(300, 300)}

def checkpoint(path):
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(tensors, file)

for write in (
    checkpoint,
    lambda path: save_tensors(tensors, path, half=False),
    lambda path: write_text(path, "a" * 5000),
):
    try:
        write(folder / "file")
    except OutputError as error:
        assert str(error) == f"{folder / 'file'} cannot be written: File too large.", str(error)
    else:
        raise AssertionError("written")
    assert (folder / "file").read_text() == "as it was"
    assert len(list(folder.iterdir())) == 1
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on the size of files is Linux's")
def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    """Each library says it in an error of its own: what comes is one sentence, and the old file stays."""
    (tmp_path / "file").write_text("as it was")
    subprocess.run([sys.executable, "-c", WRITING, tmp_path], check=True, timeout=120)


SHARING = """
import resource, tempfile, torch
from fer_space.errors import OutputError
from fer_space.training.parallel import JOB, run_workers

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    run_workers(torch.zeros(300, 300), 2, torch.device("cpu"))
except OutputError as error:
    assert str(error).endswith(f"{JOB} cannot be written: File too large."), str(error)
else:
    raise AssertionError("started")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on the size of files is Linux's")
def test_no_room_for_what_processes_share(tmp_path: Path) -> None:
    """Each process of a training reads its work from the system's folder of temporary files."""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", SHARING], check=True, timeout=120, env=environment)
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_the_old_model(
    places: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The weights fit on the disk and the card does not: both stay as they were."""
    run, folder = tmp_path / "out", tmp_path / "models"
    assert cli.main(WAYS["train"].format(**places).split()) == 0
    assert cli.main(f"export {run} {folder} --name mine".split()) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = Path.write_text

    def full(path: Path, text: str, *rest: object, **more: object) -> int:
        if path.parent == folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, text, *rest, **more)

    monkeypatch.setattr(Path, "write_text", full)
    capsys.readouterr()
    said(f"export {run} {folder} --name mine --full --force", capsys)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
