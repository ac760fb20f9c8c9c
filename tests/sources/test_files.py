"""Files, folders, standard input and URLs as sources of pictures."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_space.errors import SourceError
from fer_space.sources import files as sources
from fer_space.sources.files import read_source

BODY = b"the picture"


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(BODY)
    assert list(read_source(str(file))) == [(str(file), BODY)]


def test_folder_gives_its_pictures_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "sub.jpg").mkdir()
    found = list(read_source(str(tmp_path)))
    assert [Path(name).name for name, _ in found] == ["a.png", "b.JPG", "c.webp", "sub.jpg"]
    assert [answer for _, answer in found[:3]] == [b"a.png", b"b.JPG", b"c.webp"]
    assert "is not a file" in str(found[3][1])


def only_error(source: str) -> str:
    ((name, answer),) = read_source(source)
    assert name == source
    assert isinstance(answer, SourceError)
    return str(answer)


def test_empty_folder(tmp_path: Path) -> None:
    assert "holds no pictures" in only_error(str(tmp_path))


@pytest.mark.parametrize(
    "source", ["", "nowhere.jpg", "nul\0.jpg", "x" * 5000], ids=["empty", "no", "nul", "long"]
)
def test_unreadable_names(source: str) -> None:
    assert only_error(source)


def test_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is not a file" in only_error(str(tmp_path / "pipe"))


def test_large_file(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    with file.open("wb") as stream:
        stream.truncate(sources.MAX_BYTES + 1)
    assert "limit is 25 MB" in only_error(str(file))


@pytest.mark.parametrize(("size", "fits"), [(20, True), (21, False)])
def test_standard_input(size: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 20)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(bytes(size))))
    ((name, answer),) = read_source("-")
    assert name == "-"
    assert (answer == bytes(size)) is fits


def test_url_errors_are_yielded() -> None:
    assert "not a public address" in only_error("http://127.0.0.1/a.jpg")
