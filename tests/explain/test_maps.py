"""Maps of every family, against the grad-cam library and by autograd."""

from threading import Thread
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from fer_space.backbones import backward
from fer_space.backbones.base import Backbone, Head
from fer_space.backbones.specs import BACKBONES
from fer_space.explain.maps import GRAD_CAM, HIRESCAM, attend
from tests.networks import lively_tiny

NAMES = [name for name in BACKBONES if not name.endswith("_masked")]
ONE_VIEW = [name for name in NAMES if name != "ran"]  # the library knows no views of a face
SIDE = 64
LIBRARY = {GRAD_CAM: GradCAM, HIRESCAM: HiResCAM}


class Logits(nn.Module):
    """The library wants a network that returns a tensor."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pictures: Tensor) -> Tensor:
        return self.backbone(pictures).logits


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", LIBRARY)
def test_same_map_as_the_grad_cam_library(method: str, pictures: Tensor):
    backbone = lively_tiny()
    _, maps = attend(backbone.head, backbone.body(pictures), method)
    reference = lively_tiny().requires_grad_(True)
    for k in range(8):
        with LIBRARY[method](model=Logits(reference), target_layers=[reference.body]) as cam:
            expected = cam(input_tensor=pictures, targets=[ClassifierOutputTarget(k)] * 3)
        enlarged = nn.functional.interpolate(maps[:, k : k + 1], 16, mode="bilinear")[:, 0].numpy()
        for ours, theirs in zip(enlarged, expected, strict=True):
            if theirs.any():
                assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


def test_maps_lie_between_0_and_1_and_reach_1(pictures: Tensor):
    backbone = lively_tiny()
    output, maps = attend(backbone.head, backbone.body(pictures))
    assert maps.shape == (3, 8, 8, 8)
    assert not maps.requires_grad
    assert not output.logits.requires_grad
    assert maps.min() >= 0.0
    peaks = maps.amax(dim=(2, 3))
    assert torch.all((peaks == 0) | torch.isclose(peaks, torch.ones(()), atol=1e-4))


def test_hand_computed_map():
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[4.0, 3.0], [2.0, 1.0]]]])
    head = lively_tiny().head
    head.classifier = nn.Linear(2, 1, bias=False)
    head.classifier.weight = nn.Parameter(torch.tensor([[1.0, 0.5]]))
    _, maps = attend(head, features)
    raw = torch.tensor([[1.0 + 2.0, 2.0 + 1.5], [3.0 + 1.0, 4.0 + 0.5]])  # over h * w, which cancels
    torch.testing.assert_close(maps[0, 0], (raw - 3.0) / 1.5)


def test_nothing_is_left_on_the_backbone(pictures: Tensor):
    backbone = lively_tiny()
    attend(backbone.head, backbone.body(pictures))
    assert all(not m._forward_hooks and not m._backward_hooks for m in backbone.modules())
    assert all(p.grad is None for p in backbone.parameters())


def test_reading_one_face_alone_or_in_a_batch_is_the_same(pictures: Tensor):
    backbone = lively_tiny()
    _, together = attend(backbone.head, backbone.body(pictures))
    _, alone = attend(backbone.head, backbone.body(pictures[1:2]))
    torch.testing.assert_close(together[1:2], alone)


def lively(name: str, *, affect: bool = True) -> Backbone:
    """A network as it reads, in which nothing is 0 or 1 for convenience."""
    torch.manual_seed(3)
    backbone = BACKBONES[name].build(8, affect=affect)
    nn.init.normal_(backbone.head.classifier.weight)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_var, 0.5, 1.5),
                (module.running_mean, -0.2, 0.2),
                (module.weight, 0.8, 1.4),
                (module.bias, -0.2, 0.4),
            ):
                nn.init.uniform_(tensor, low, high)
    return backbone.for_reading().eval().requires_grad_(False)


@pytest.fixture
def faces() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("affect", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_autograd(name: str, affect: bool, count: int):
    backbone = lively(name, affect=affect)
    pictures = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(count))
    features = backbone.body(pictures)
    output, gradient = backbone.head.jacobian(features)
    plain, expected = Head.jacobian(backbone.head, features)
    assert expected.shape == (count, 8, features[0, 0].numel(), features.shape[1])
    assert expected.abs().max() > 0.0
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(gradient.expand_as(expected), expected, atol=tolerance, rtol=1e-3)
    for ours, theirs in ((output.logits, plain.logits), (output.affect, plain.affect)):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-5)
    assert not gradient.requires_grad


@pytest.mark.parametrize("name", ["dan", "ran", "resnet29_faces"])
def test_what_is_exported_goes_back_the_same(name: str, faces: Tensor, monkeypatch: pytest.MonkeyPatch):
    backbone = lively(name)
    features = backbone.body(faces)
    _, expected = backbone.head.jacobian(features)
    dense = Mock(wraps=backward._convolution_dense)
    monkeypatch.setattr(backward, "_convolution_dense", dense)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    _, gradient = backbone.head.jacobian(features)
    assert dense.called
    tolerance = 1e-5 * float(expected.abs().max())
    torch.testing.assert_close(gradient, expected, atol=tolerance, rtol=1e-3)


@pytest.mark.parametrize("method", LIBRARY)
@pytest.mark.parametrize("name", ONE_VIEW)
def test_every_family_agrees_with_the_library(name: str, method: str, faces: Tensor):
    backbone = lively(name)
    _, maps = attend(backbone.head, backbone.body(faces), method)
    reference = lively(name).requires_grad_(True)
    compared = 0
    for k in range(8):
        if compared > 4:
            break
        with LIBRARY[method](model=Logits(reference), target_layers=[reference.body]) as cam:
            expected = cam(input_tensor=faces, targets=[ClassifierOutputTarget(k)] * 2)
        enlarged = nn.functional.interpolate(maps[:, k : k + 1], SIDE, mode="bilinear")[:, 0].numpy()
        for ours, theirs in zip(enlarged, expected, strict=True):
            if theirs.std() > 0.0:
                assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999
                compared += 1
    assert compared > 4


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2"])
def test_a_head_that_is_silent_has_empty_maps(name: str, faces: Tensor):
    backbone = lively(name)
    backbone.head.stages[-1].bias.fill_(-1000.0)
    _, maps = attend(backbone.head, backbone.body(faces))
    assert not maps.any()


@pytest.mark.parametrize("name", ["efficientnet_lite0", "dan"])
def test_the_weights_of_a_network_in_training_get_no_gradient(name: str, faces: Tensor):
    backbone = lively(name).requires_grad_(True)
    with torch.no_grad():
        features = backbone.body(faces)
    _, maps = attend(backbone.head, features)
    assert not maps.requires_grad
    assert all(p.grad is None for p in backbone.parameters())


def test_threads_share_a_network(faces: Tensor):
    backbone = lively("dan")
    features = backbone.body(faces)
    expected = attend(backbone.head, features)[1]
    seen: list[bool] = []

    def look() -> None:
        seen.extend(torch.allclose(attend(backbone.head, features)[1], expected, atol=1e-5) for _ in range(3))

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 12
