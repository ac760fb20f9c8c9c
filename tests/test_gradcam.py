import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from fer_space.gradcam import attend
from tests.networks import lively_tiny


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


def test_same_map_as_the_grad_cam_library(pictures: Tensor):
    backbone = lively_tiny()
    _, maps = attend(backbone.head, backbone.body(pictures))
    reference = lively_tiny().requires_grad_(True)
    for k in range(8):
        with GradCAM(model=Logits(reference), target_layers=[reference.body]) as cam:
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
