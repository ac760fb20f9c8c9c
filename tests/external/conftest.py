"""A server, and a cache of one's own for every test here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from fer_space.external.specs import MANIFEST, ExternalSpec
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.files import sha256_of
from fer_space.vision.preprocess import Preprocess
from tests.external.networks import SIDE, write_onnx
from tests.external.server import Server, serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(folder / "assets"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def tiny_spec(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalSpec:
    """HSEmotion's entry of the manifest, but for a tiny graph that the server sends."""
    path = tmp_path / "source" / "tiny.onnx"
    write_onnx(path)
    server.file = path.read_bytes()
    changes = {
        "source": f"{server.url}/file/enet_b0_8_va_mtl.onnx",
        "sha256": sha256_of(path),
        "preprocess": Preprocess(SIDE, SIDE, gray=False),
    }
    spec = MANIFEST["enet_b0_8_va_mtl"].model_copy(update=changes)
    monkeypatch.setitem(MANIFEST, spec.name, spec)
    return spec
