"""Tiny models of others: an ONNX graph of ten outputs and a ViT of a Hub repository."""

import json
from pathlib import Path

import numpy as np
import pytest

SIDE = 32
RAW_AFFECT = (0.25, -3.0)  # the last two outputs of a grey picture: unbounded, as HSEmotion's are
HSEMOTION = ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def write_onnx(path: Path, outputs: int = 10, *, batch: int | str = "batch", side: int = SIDE) -> None:
    """Write a graph whose output `i` is weight i times the mean of the red channel, plus bias i.

    Happiness rises with red. The mean over the picture makes it blind to mirrors.
    """
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    weight, bias = np.zeros((1, outputs), np.float32), np.zeros(outputs, np.float32)
    weight[0, 4] = 2.0
    if outputs == 10:
        bias[8:] = RAW_AFFECT
    nodes = [
        helper.make_node("Gather", ["input", "first"], ["red"], axis=1),
        helper.make_node("ReduceMean", ["red"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["means", "column"], ["rows"]),
        helper.make_node("Gemm", ["rows", "weight", "bias"], ["output"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(0, np.int64), "first"),
        numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(bias, "bias"),
    ]
    picture = helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [batch, 3, side, side])
    answer = helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [batch, outputs])
    graph = helper.make_graph(nodes, "tiny", [picture], [answer], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


PREPROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
}


def write_vit(folder: Path, labels: tuple[str, ...] = ("angry", "Happy", "neutral")) -> None:
    """Write the three files of a Hub repository with a ViT of a few thousand weights."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=SIDE,
        patch_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    ViTForImageClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR), encoding="utf-8")
