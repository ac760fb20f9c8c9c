"""ONNX graphs that are not what they seem: each ends in one sentence, within a time."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_space.errors import WeightsError
from fer_space.external import onnx_network
from fer_space.external.onnx_network import load_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
SIDE, CLASSES = 8, 3
INPUT = ("input", FLOAT, ["batch", 3, SIDE, SIDE])
OUTPUT = ("output", FLOAT, ["batch", CLASSES])


def number(name: str, value: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(value), name)


def write(
    path: Path,
    nodes: Sequence[Any],
    constants: Sequence[Any] = (),
    inputs: Sequence[Any] = (INPUT,),
    outputs: Sequence[Any] = (OUTPUT,),
    **saving: Any,
) -> Path:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        list(nodes), "made", [info(*one) for one in inputs], [info(*one) for one in outputs], list(constants)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path, **saving)
    return path


FLAT = helper.make_node("Flatten", ["input"], ["flat"])
WEIGHT = number("weight", np.ones((3 * SIDE * SIDE, CLASSES), np.float32))
PRODUCT = helper.make_node("MatMul", ["flat", "weight"], ["output"])


def test_a_good_one(tmp_path: Path) -> None:
    load_onnx(write(tmp_path / "good.onnx", [FLAT, PRODUCT], [WEIGHT]), CLASSES, False, SIDE)


def test_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "none.onnx"
    for data in (b"", b"\x00" * 100, b"\x08\x0a" * 1000):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"none\.onnx"):
            load_onnx(path, CLASSES, False, SIDE)


def test_no_inputs(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["weight"], ["output"])
    path = write(tmp_path / "none.onnx", [node], [WEIGHT], inputs=(), outputs=(("output", FLOAT, [192, 3]),))
    with pytest.raises(WeightsError, match=r"none\.onnx does not take colour pictures"):
        load_onnx(path, CLASSES, False, SIDE)


def test_two_inputs(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["flat", "second"], ["output"])
    second = ("second", FLOAT, [3 * SIDE * SIDE, CLASSES])
    path = write(tmp_path / "two.onnx", [FLAT, node], inputs=(INPUT, second))
    with pytest.raises(WeightsError, match=r"two\.onnx does not take"):
        load_onnx(path, CLASSES, False, SIDE)


def test_an_output_that_ignores_the_batch(tmp_path: Path) -> None:
    """One row whatever comes, and as many rows as come that all depend on all."""
    path = tmp_path / "blind.onnx"
    total = helper.make_node("ReduceMean", ["output0"], ["output"], axes=[0], keepdims=1)
    write(path, [FLAT, helper.make_node("MatMul", ["flat", "weight"], ["output0"]), total], [WEIGHT])
    with pytest.raises(WeightsError, match="not a row each"):
        load_onnx(path, CLASSES, False, SIDE)
    mixed = helper.make_node("Sub", ["output0", "mean"], ["output"])
    mean = helper.make_node("ReduceMean", ["output0"], ["mean"], axes=[0], keepdims=1)
    product = helper.make_node("MatMul", ["flat", "weight"], ["output0"])
    write(path, [FLAT, product, mean, mixed], [WEIGHT])
    with pytest.raises(WeightsError, match="picture alone and one of two"):
        load_onnx(path, CLASSES, False, SIDE)


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_another_number_of_outputs(outputs: int, tmp_path: Path) -> None:
    weight = number("weight", np.ones((3 * SIDE * SIDE, outputs), np.float32))
    path = write(
        tmp_path / "wide.onnx", [FLAT, PRODUCT], [weight], outputs=(("output", FLOAT, ["b", outputs]),)
    )
    with pytest.raises(WeightsError, match="its card says 3"):
        load_onnx(path, CLASSES, False, SIDE)


def test_text_for_an_output(tmp_path: Path) -> None:
    words = ("output", onnx.TensorProto.STRING, [2])
    node = helper.make_node("Constant", [], ["output"], value_strings=[b"happy", b"sad"])
    unused = helper.make_node("Identity", ["input"], ["same"])
    path = write(tmp_path / "text.onnx", [unused, node], outputs=(words,))
    with pytest.raises(WeightsError, match=r"text\.onnx"):
        load_onnx(path, CLASSES, False, SIDE)


def test_tensors_in_another_file_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "outside.onnx"
    write(
        path, [FLAT, PRODUCT], [WEIGHT], save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").is_file()
    with pytest.raises(WeightsError, match="keeps its tensors in another file"):
        load_onnx(path, CLASSES, False, SIDE)


def test_an_endless_loop_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Abs", ["x"], ["y"])],
        "body",
        [
            info("i", onnx.TensorProto.INT64, []),
            info("go", onnx.TensorProto.BOOL, []),
            info("x", *OUTPUT[1:]),
        ],
        [info("go_on", onnx.TensorProto.BOOL, []), info("y", *OUTPUT[1:])],
    )
    nodes = [
        FLAT,
        helper.make_node("MatMul", ["flat", "weight"], ["start"]),
        helper.make_node("Loop", ["", "true", "start"], ["output"], body=body),
    ]
    path = write(tmp_path / "endless.onnx", nodes, [WEIGHT, number("true", True)])
    monkeypatch.setattr(onnx_network, "SECONDS", 0.3)
    monkeypatch.setattr(onnx_network, "SECONDS_A_FACE", 0.1)
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"endless\.onnx.*takes too long"):
        load_onnx(path, CLASSES, False, SIDE)
    assert time.monotonic() - started < 10.0
