"""Files, folders, standard input and URLs as sources of pictures."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_space.errors import SourceError
from fer_space.sources import files as sources
from fer_space.sources.files import names_in, read_source

BODY = b"the picture"


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(BODY)
    assert list(read_source(str(file))) == [(str(file), BODY)]


def test_folder_gives_its_pictures_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub.jpg" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    names = ["a.png", "b.JPG", "c.webp", "sub.jpg/deep/e.heic", "sub.jpg/f.MPO"]
    others = ["notes.txt", "._b.JPG", ".DS_Store", ".hidden/g.jpg", "sub.jpg/h.mp4"]
    for name in names + others:
        (tmp_path / name).write_bytes(name.encode())
    found = list(read_source(str(tmp_path)))
    assert found == [(str(tmp_path / name), name.encode()) for name in names]
    assert capsys.readouterr().err == f"fer-space: {tmp_path}: 4 files are left out, as no pictures\n"


def test_folder_of_pictures_alone_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jpg").write_bytes(BODY)
    assert list(read_source(str(tmp_path))) == [(str(tmp_path / "a.jpg"), BODY)]
    assert capsys.readouterr().err == ""


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(BODY)
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(list(read_source(str(tmp_path)))) == 1


def test_one_bad_source_does_not_lose_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(path: Path) -> bytes:
        if path.name == "b.jpg":
            raise RuntimeError("nobody thought of that")
        return BODY

    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sources, "read_file", breaks)
    first, second, third = (answer for _, answer in read_source(str(tmp_path)))
    assert first == third == BODY
    assert "nobody thought of that" in str(second)


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


def test_names_that_are_no_text_are_written_as_text(tmp_path: Path) -> None:
    """Tables, JSON and terminals hold text alone; Linux holds any bytes."""
    picture = Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9.png"))
    try:
        picture.write_bytes(BODY)
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    ((name, data),) = read_source(str(tmp_path))
    assert (name, data) == (f"{tmp_path}/caf\\udce9.png", BODY)
    assert names_in(str(tmp_path)) == [str(picture)]
    assert list(read_source(str(tmp_path), {name})) == []
    assert list(read_source(str(picture), {name})) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_is_closed_is_named_once(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    ((name, problem),) = read_source(str(tmp_path))
    assert (name, type(problem)) == (str(closed), SourceError)
    assert names_in(str(tmp_path)) == [name]
    assert list(read_source(str(tmp_path), {name})) == []
