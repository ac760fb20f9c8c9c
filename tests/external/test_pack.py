"""The pack of the opt-in detector, from a server on the loopback."""

import hashlib
from importlib import util
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from fer_space.errors import MissingDependencyError, SourceError
from fer_space.external.pack import ALLOWED, SHA256, SOURCE, fetch_pack
from tests.external.server import Server


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_space.external.pack.find_spec", lambda name: util.find_spec("zipfile"))


def zipped(**files: bytes) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    return buffer.getvalue()


def fetch(server: Server, folder: Path, sha256: str = "") -> Path:
    expected = sha256 or hashlib.sha256(server.file).hexdigest()
    url = f"{server.url}/file/pack.zip"
    return fetch_pack(folder, url=url, sha256=expected, allowed=(server.url + "/",))


def test_models_alone_are_unpacked_under_their_last_names(server: Server, tmp_path: Path):
    names = {
        "det.onnx": b"1",
        "deep/er/age.onnx": b"2",
        "../../out.onnx": b"3",
        "/abs.onnx": b"4",
        "read.me": b"5",
    }
    server.file = zipped(**names)
    folder = fetch(server, tmp_path / "a" / "pack")
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert found == {"det.onnx": b"1", "age.onnx": b"2", "out.onnx": b"3", "abs.onnx": b"4"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    fetch(server, folder)
    assert len(server.asked) == 1  # it is there


def test_another_file_than_the_known_one_leaves_nothing(server: Server, tmp_path: Path):
    server.file = zipped(**{"det.onnx": b"1"})
    with pytest.raises(SourceError, match="not the file that is expected"):
        fetch(server, tmp_path / "pack", sha256="0" * 64)
    assert list((tmp_path / "pack").iterdir()) == []


def test_no_zip_is_a_sentence(server: Server, tmp_path: Path):
    server.file = b"no zip"
    with pytest.raises(SourceError, match="cannot be unpacked"):
        fetch(server, tmp_path / "pack")
    assert list((tmp_path / "pack").iterdir()) == []


def test_not_installed_says_how(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fer_space.external.pack.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"requirements-insightface\.txt"):
        fetch(server, tmp_path / "pack")
    assert server.asked == []


def test_the_known_pack_is_pinned():
    assert SOURCE.startswith(ALLOWED[0])
    assert len(bytes.fromhex(SHA256)) == 32
    assert all(prefix.startswith("https://") and prefix.endswith("/") for prefix in ALLOWED)
