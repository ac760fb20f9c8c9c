"""Fetching by name: from the manifest, from a Hub on the loopback, and what is noticed later."""

import json
import socket
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from fer_space.errors import MissingDependencyError, SourceError, UnknownNameError, WeightsError
from fer_space.external import hub
from fer_space.external.cache import home, receipt_of, receipt_path, receipts
from fer_space.external.fetch import fetch
from fer_space.external.hub import fetch_tensors
from fer_space.external.specs import MANIFEST, ExternalSpec
from fer_space.files import sha256_of
from tests.external.networks import SIDE, write_vit
from tests.external.server import COMMIT, REPO, Server

NAME = f"hub:{REPO}"


def fetch_tiny(server: Server, spec: ExternalSpec):
    return fetch(spec.name, allowed=[server.url + "/"])


@pytest.fixture
def repo(server: Server, tmp_path: Path) -> Path:
    server.repo = tmp_path / "repo"
    write_vit(server.repo)
    return server.repo


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def test_file_is_fetched_once(server: Server, tiny_spec: ExternalSpec):
    assert tuple(receipts()) == ()
    receipt = fetch_tiny(server, tiny_spec)
    assert receipt.weights_sha256 == tiny_spec.sha256
    assert files_in(home()) == ["enet_b0_8_va_mtl.json", "enet_b0_8_va_mtl.onnx"]
    assert tuple(receipts()) == (tiny_spec.name,)
    assert fetch_tiny(server, tiny_spec) == receipt
    assert len(server.asked) == 1


def test_a_changed_file_is_noticed_and_fetched_again(server: Server, tiny_spec: ExternalSpec):
    (path,) = fetch_tiny(server, tiny_spec).paths.values()
    path.write_bytes(b"another graph")
    with pytest.raises(WeightsError, match="has changed since it was fetched"):
        receipt_of(tiny_spec).verified()
    fetch_tiny(server, tiny_spec)
    assert path.read_bytes() == server.file


def test_without_a_known_sha256_the_first_one_counts(
    server: Server, tiny_spec: ExternalSpec, monkeypatch: pytest.MonkeyPatch
):
    object.__setattr__(tiny_spec, "sha256", "")
    (path,) = fetch_tiny(server, tiny_spec).paths.values()
    path.unlink()
    server.file += b"changed at its source"
    with pytest.raises(SourceError, match="not the file that is expected"):
        fetch_tiny(server, tiny_spec)
    assert tuple(receipts()) == ()


@pytest.mark.skipif(sys.platform != "linux", reason="reads a file that gives errors")
def test_a_file_on_a_bad_disk_is_a_sentence(server: Server, tiny_spec: ExternalSpec):
    receipt = fetch_tiny(server, tiny_spec)
    (path,) = receipt.paths.values()
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(WeightsError, match=r"cannot be read: Input/output error\.$"):
        receipt.verified()


def test_a_failed_fetch_leaves_nothing(server: Server, tiny_spec: ExternalSpec):
    server.file += b"not what the manifest knows"
    with pytest.raises(SourceError, match="not the file that is expected"):
        fetch_tiny(server, tiny_spec)
    assert files_in(home()) == []
    assert tuple(receipts()) == ()
    with pytest.raises(MissingDependencyError, match="fer-space fetch enet_b0_8_va_mtl"):
        receipt_of(tiny_spec)


@pytest.mark.parametrize("name", ["resnet_9000", "hub:", "hub:alone", "hub:a/b/c", "hub:../..//x", "own"])
def test_unknown_names(name: str, server: Server):
    with pytest.raises(UnknownNameError, match="hub:OWNER/REPO"):
        fetch(name, endpoint=server.url)
    assert server.asked == []


def test_hub_model(server: Server, repo: Path, cache: Path):
    (repo / "pytorch_model.bin").write_bytes(b"a pickle")
    (repo / "modeling.py").write_text("raise SystemExit")
    receipt = fetch(NAME, endpoint=server.url)
    assert receipt.spec.labels == ("anger", "happiness", "neutral")
    assert receipt.spec.revision == COMMIT
    assert receipt.spec.licence == "mit, as its authors say on the Hub."
    assert receipt.spec.parameters > 1000
    assert sorted(receipt.paths) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    assert all(path.is_relative_to(cache / "hub") for path in receipt.paths.values())
    assert not any("bin" in path or ".py" in path for path in server.asked)
    assert tuple(receipts()) == (NAME,)
    assert receipts()[NAME].spec == receipt.spec
    asked = len(server.asked)
    assert fetch(NAME, endpoint=server.url) == receipt
    assert len(server.asked) == asked  # it is here and unchanged


FER2013 = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        pytest.param(("angry", "happy"), "not those of the manifest", id="labels"),
        pytest.param(FER2013, r"not the file that is expected \(sha256\)", id="weights"),
    ],
)
def test_the_manifest_pins_a_repository(
    server: Server, repo: Path, labels: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
):
    values = {"name": NAME, "source": REPO, "revision": COMMIT}
    pinned = ExternalSpec.from_values(
        MANIFEST["hub:trpakov/vit-face-expression"].model_dump(mode="json") | values
    )
    monkeypatch.setitem(MANIFEST, NAME, pinned)
    write_vit(repo, labels)
    with pytest.raises(SourceError, match=sentence):
        fetch(NAME, endpoint=server.url)
    assert server.asked[0].startswith(f"/api/models/{REPO}/revision/{COMMIT}")
    assert tuple(receipts()) == ()


def test_a_pinned_repository_is_read_as_the_manifest_says(
    server: Server, repo: Path, monkeypatch: pytest.MonkeyPatch
):
    write_vit(repo, FER2013)
    values = {"name": NAME, "source": REPO, "revision": COMMIT}
    values["sha256"] = sha256_of(repo / "model.safetensors")
    pinned = ExternalSpec.from_values(
        MANIFEST["hub:trpakov/vit-face-expression"].model_dump(mode="json") | values
    )
    monkeypatch.setitem(MANIFEST, NAME, pinned)
    spec = fetch(NAME, endpoint=server.url).spec
    assert (spec.preprocess.native_size, spec.preprocess.gray) == (48, True)
    assert spec.preprocess.input_size == SIDE
    assert receipts()[NAME].spec == spec
    asked = len(server.asked)
    assert fetch(NAME, endpoint=server.url).spec == spec
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"model.safetensors": None}, "holds no model.safetensors", id="pickles only"),
        pytest.param({"preprocessor_config.json": None}, "holds no preprocessor_config.json", id="no recipe"),
        pytest.param({"config.json": b"{"}, "config.json of somebody/faces is not JSON", id="broken JSON"),
        pytest.param({"config.json": b"[]"}, "is no JSON object", id="a list"),
        pytest.param({"config.json": b'{"id2label": {"0": "cat"}}'}, "“cat” is not an emotion", id="cats"),
        pytest.param({"model.safetensors": b"damaged"}, "model.safetensors .* is damaged", id="damaged"),
    ],
)
def test_repositories_that_are_refused(
    server: Server, repo: Path, change: dict[str, bytes | None], sentence: str
):
    for name, content in change.items():
        if content is None:
            (repo / name).unlink()
        else:
            (repo / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        fetch(NAME, endpoint=server.url)
    assert tuple(receipts()) == ()
    assert not receipt_path(NAME).exists()


def test_weights_that_are_not_what_the_hub_promised(server: Server, repo: Path, cache: Path):
    server.promised = "0" * 64
    with pytest.raises(SourceError, match="not the file that is expected"):
        fetch(NAME, endpoint=server.url)
    assert "model.safetensors" not in files_in(cache)
    server.promised = ""
    fetch(NAME, endpoint=server.url)
    assert tuple(receipts()) == (NAME,)


def test_a_large_repository_is_refused_before_it_comes(
    server: Server, repo: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "MAX_BYTES", 500)
    with pytest.raises(SourceError, match="larger than the limit"):
        fetch(NAME, endpoint=server.url)
    assert len(server.asked) == 1


def test_no_such_repository_and_no_hub(server: Server, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SourceError, match="somebody/faces cannot be fetched from the Hugging Face Hub"):
        fetch(NAME, endpoint=server.url)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(SourceError, match="cannot be fetched from the Hugging Face Hub: "):
            fetch(NAME, endpoint=f"http://127.0.0.1:{bound.getsockname()[1]}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match="offline"):
        fetch(NAME, endpoint=server.url)


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"spec": {"name": "x"}})])
def test_a_receipt_that_cannot_be_read_counts_as_none(text: str, server: Server, tiny_spec: ExternalSpec):
    path = receipt_path(tiny_spec.name)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert tuple(receipts()) == ()
    fetch_tiny(server, tiny_spec)
    assert tuple(receipts()) == (tiny_spec.name,)


def test_a_start_of_training_is_one_file(server: Server, repo: Path, cache: Path):
    (repo / "pytorch_model.bin").write_bytes(b"a pickle")
    path = fetch_tensors(f"{REPO}@{COMMIT}", endpoint=server.url)
    assert path.is_relative_to(cache / "hub")
    assert path.read_bytes() == (repo / "model.safetensors").read_bytes()
    assert [
        asked for asked in server.asked if "/resolve/" in asked and "model.safetensors" not in asked
    ] == []
    assert tuple(receipts()) == ()
    (repo / "model.safetensors").unlink()
    with pytest.raises(SourceError, match=r"holds no model\.safetensors"):
        fetch_tensors(REPO, endpoint=server.url)
