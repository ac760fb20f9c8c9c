"""The adapter against a tiny ONNX file with SCRFD's nine outputs; no model is downloaded."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_space.detectors.insightface_scrfd import FOLDER_VARIABLE, InsightFaceScrfd, pack_folder
from fer_space.errors import MissingDependencyError

needs_insightface = pytest.mark.skipif(
    importlib.util.find_spec("insightface") is None,
    reason="insightface is opt-in: see requirements-insightface.txt",
)

SIDE = 640
STRIDES = (8, 16, 32)
ANCHORS = 2
CELL = (10 * (SIDE // 32) + 10) * ANCHORS  # the anchor in the middle, stride 32


def write_scrfd(file: Path) -> None:
    """Write a detector that sees one face in the middle of a red picture and none elsewhere.

    The score is 0.9 times the mean of the first channel, which is red only if the adapter hands over BGR.
    """
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes = [
        helper.make_node("Gather", ["input", "first"], ["channel"], axis=1),
        helper.make_node("ReduceMean", ["channel"], ["mean"], keepdims=0),
    ]
    constants = [numpy_helper.from_array(np.array(0, np.int64), "first")]
    outputs = []
    for kind, width in (("score", 1), ("box", 4), ("points", 10)):
        for stride in STRIDES:
            name, count = f"{kind}{stride}", (SIDE // stride) ** 2 * ANCHORS
            values = np.zeros((count, width), np.float32)
            if stride == 32:
                values[CELL] = {"score": [0.9], "box": [2, 3, 2, 3], "points": np.arange(-5, 5)}[kind]
            constants.append(numpy_helper.from_array(values, f"{name}_values"))
            factor = "mean" if kind == "score" else "one"
            nodes.append(helper.make_node("Mul", [f"{name}_values", factor], [name]))
            outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [count, width]))
    constants.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
    picture = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    graph = helper.make_graph(nodes, "scrfd", [picture], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, file)


def plain(colour: tuple[int, int, int], side: int = 320) -> np.ndarray:
    return np.full((side, side, 3), colour, dtype=np.uint8)


@needs_insightface
def test_boxes_points_and_colour_order(tmp_path: Path) -> None:
    write_scrfd(tmp_path / "det.onnx")
    detector = InsightFaceScrfd(tmp_path)
    (face,) = detector.detect(plain((255, 0, 0)))
    np.testing.assert_allclose(face.box_xyxy, (128, 112, 192, 208), atol=0.01)
    assert face.score == pytest.approx(0.9, abs=0.01)
    assert face.landmarks is not None
    np.testing.assert_allclose(face.landmarks[0], (160 - 80, 160 - 64), atol=0.01)
    assert detector.detect(plain((0, 0, 255))) == []


@needs_insightface
def test_tiny_picture(tmp_path: Path) -> None:
    write_scrfd(tmp_path / "det.onnx")
    detector = InsightFaceScrfd(tmp_path)
    assert len(detector.detect(plain((255, 0, 0), side=1))) <= 1
    assert detector.detect(np.zeros((3, 2000, 3), dtype=np.uint8)) == []


@needs_insightface
def test_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scrfd(tmp_path / "det.onnx")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert len(InsightFaceScrfd().detect(plain((255, 0, 0)))) == 1


def test_not_installed_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "insightface"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "insightface", None)
    (tmp_path / "det.onnx").touch()
    with pytest.raises(MissingDependencyError, match=r"requirements-insightface\.txt"):
        InsightFaceScrfd(tmp_path)


@pytest.mark.parametrize("exists", [True, False], ids=["empty folder", "no folder"])
def test_no_models_says_how(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "pack"
    if exists:
        folder.mkdir()
    with pytest.raises(MissingDependencyError, match="fer-space fetch insightface"):
        InsightFaceScrfd(folder)


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert pack_folder().parts[-3:] == (".insightface", "models", "buffalo_l")
