import pytest
import torch
from fer_space.inference import logits_of, read_with_maps, resolve_device

from fer_space.errors import InputError
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny

RULE = Preprocess(16, 12, gray=True)


def pictures(count: int) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )


def test_app_and_tests_read_alike():
    backbone = lively_tiny()
    logits, affect, maps = read_with_maps(backbone, RULE, pictures(3))
    torch.testing.assert_close(logits, logits_of(backbone, RULE, pictures(3), batch_size=2))
    assert affect is None
    assert maps.shape[:2] == (3, 8)


def test_a_mirrored_face_reads_the_same_and_its_maps_are_mirrored():
    backbone = lively_tiny()
    logits, _, maps = read_with_maps(backbone, RULE, pictures(2))
    mirrored_logits, _, mirrored_maps = read_with_maps(backbone, RULE, pictures(2).flip(3))
    torch.testing.assert_close(logits, mirrored_logits)
    torch.testing.assert_close(maps, mirrored_maps.flip(3))


def test_training_mode_is_restored():
    backbone = lively_tiny().train()
    logits_of(backbone, RULE, pictures(2))
    assert backbone.training


def test_device_rule(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto").type == "cpu"
    with pytest.raises(InputError, match="no device “cuda”"):
        resolve_device("cuda")
    with pytest.raises(InputError, match="toaster"):
        resolve_device("toaster")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cpu").type == "cpu"
