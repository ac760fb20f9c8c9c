import errno
import hashlib
import socket
import time
from pathlib import Path
from typing import NoReturn

import pytest
from huggingface_hub import constants

from fer_space.errors import OutputError, SourceError
from fer_space.external.download import ALLOWED, Limits, download
from tests.external.server import BODY, Server

SHA256 = hashlib.sha256(BODY).hexdigest()
LIMITS = Limits(max_bytes=len(BODY), silence=2.0, seconds=5.0)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "new" / "model.onnx"


def left_in(place: Path) -> list[str]:
    return [path.name for path in place.parent.rglob("*")] if place.parent.exists() else []


@pytest.mark.parametrize("word", ["good", "unmeasured", "moved"])
def test_good_download(server: Server, place: Path, word: str, capsys: pytest.CaptureFixture[str]):
    url = f"{server.url}/{word}/model.onnx"
    assert download(url, place, LIMITS, sha256=SHA256, allowed=[server.url + "/"]) == SHA256
    assert place.read_bytes() == BODY
    assert left_in(place) == ["model.onnx"]
    streams = capsys.readouterr()
    assert "model.onnx" in streams.err
    assert streams.out == ""


@pytest.mark.parametrize(
    ("word", "limits", "sentence"),
    [
        pytest.param("short", Limits(99999), "broke off 7 bytes before the end", id="truncated"),
        pytest.param("missing", LIMITS, "answered 404", id="404"),
        pytest.param("good", Limits(max_bytes=99), "larger than the limit", id="too large by header"),
        pytest.param("unmeasured", Limits(max_bytes=99), "larger than the limit", id="too large, streaming"),
        pytest.param("silent", Limits(9999, silence=0.2), r"did not answer for 0\.2 seconds", id="no answer"),
        pytest.param("stalls", Limits(99999, silence=0.2), r"did not answer for 0\.2 seconds", id="stalls"),
        pytest.param("drips", Limits(99999, seconds=0.2), r"took longer than 0\.2 seconds", id="too slow"),
        pytest.param("away?file:///etc/hostname", LIMITS, "no address that models are", id="file"),
        pytest.param(
            "away?https://example.org/", LIMITS, "no address that models are fetched from", id="away"
        ),
    ],
)
def test_failed_download_leaves_nothing(
    server: Server, place: Path, word: str, limits: Limits, sentence: str
):
    started = time.monotonic()
    with pytest.raises(SourceError, match=sentence):
        download(f"{server.url}/{word}", place, limits, allowed=[server.url + "/"])
    assert left_in(place) == []
    assert time.monotonic() - started < 3.0


def test_wrong_sha256_leaves_what_was_there(server: Server, place: Path):
    place.parent.mkdir()
    place.write_bytes(b"the earlier file")
    with pytest.raises(SourceError, match="not the file that is expected"):
        download(f"{server.url}/good", place, LIMITS, sha256="0" * 64, allowed=[server.url + "/"])
    assert place.read_bytes() == b"the earlier file"
    assert left_in(place) == ["model.onnx"]


def test_no_connection_is_a_sentence(place: Path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # but nobody listens
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+/” cannot be reached: .*refused"):
            download(url, place, LIMITS, allowed=[url])
    assert left_in(place) == []


def test_offline_mode_of_the_hub_is_respected(server: Server, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="offline"):
        download(f"{server.url}/good", place, LIMITS, allowed=[server.url + "/"])
    assert server.asked == []


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "http://raw.githubusercontent.com/a", "https://a.b/c"]
)
def test_other_addresses_are_refused(url: str, place: Path):
    with pytest.raises(SourceError, match="no address that models are fetched from"):
        download(url, place, LIMITS)
    assert all(prefix.startswith("https://") and prefix.endswith("/") for prefix in ALLOWED)


def test_a_folder_that_cannot_be_written_is_a_sentence(server: Server, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        download(
            f"{server.url}/good/model.onnx", tmp_path / "file" / "x" / "m.onnx", LIMITS, allowed=[server.url]
        )


def test_a_full_disk_is_no_fault_of_the_connection(
    server: Server, place: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, *how: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutputError, match=r"model\.onnx cannot be written: No space left on device"):
        download(f"{server.url}/good/model.onnx", place, LIMITS, allowed=[server.url + "/"])
    assert left_in(place) == []
