import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fer_space.explain.maps import attend
from fer_space.model import Model
from fer_space.training.attention import class_maps, percent_map
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny, toy_card


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def test_maps_are_those_of_grad_cam(inputs: Tensor):
    backbone = lively_tiny()
    classes = torch.tensor([3, 0, 7, 3])
    output, every = attend(backbone.head, backbone.body(inputs))
    torch.testing.assert_close(class_maps(backbone, inputs, classes), every[torch.arange(4), classes])
    likeliest = every[torch.arange(4), output.logits.argmax(1)]
    torch.testing.assert_close(class_maps(backbone, inputs), likeliest)


def test_reading_leaves_a_network_in_training_as_it_was(inputs: Tensor):
    backbone = lively_tiny().requires_grad_(True).train()
    backbone.body[1].eval()  # frozen statistics
    modes = [module.training for module in backbone.modules()]
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    maps = class_maps(backbone, inputs, torch.zeros(4, dtype=torch.int64))
    assert not maps.requires_grad
    assert [module.training for module in backbone.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())
    reading = lively_tiny()
    torch.testing.assert_close(maps, class_maps(reading, inputs, torch.zeros(4, dtype=torch.int64)))


def test_the_mode_comes_back_after_an_error():
    backbone = lively_tiny().train()
    with pytest.raises(RuntimeError):
        class_maps(backbone, torch.zeros(1, 5, 16, 16))
    assert all(module.training for module in backbone.modules())


def test_guide_reads_through_its_own_preprocessing():
    preprocess = Preprocess(16, 12, gray=True)
    guide = Model(toy_card(preprocess=preprocess), lively_tiny())
    classes = torch.tensor([3, 6])
    gray = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(2)) * 255
    maps = guide.class_maps(gray, classes)
    torch.testing.assert_close(maps, class_maps(guide.network, preprocess.normalise(gray), classes))
    torch.testing.assert_close(guide.class_maps(gray.repeat(1, 3, 1, 1), classes), maps, atol=1e-4, rtol=1e-3)


def test_percent_map_by_hand():
    maps = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    torch.testing.assert_close(percent_map(maps, 2), torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]) / 6)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, float("nan"), float("inf")])
def test_percent_map_of_an_empty_map_is_flat(value: float):
    maps = torch.full((2, 3, 3), value)
    maps[1, 1, 1] = 8.0 if value < 7.0 else value
    percent = percent_map(maps, 5)
    torch.testing.assert_close(percent[0], torch.full((5, 5), 1 / 25))
    torch.testing.assert_close(percent.sum(dim=(1, 2)), torch.ones(2))


@given(side=st.integers(1, 8), size=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(max_examples=50)
def test_percent_map_is_a_distribution(side: int, size: int, seed: int):
    maps = torch.rand(2, side, side, generator=torch.Generator().manual_seed(seed))
    percent = percent_map(maps, size)
    assert percent.min() >= 0.0
    torch.testing.assert_close(percent.sum(dim=(1, 2)), torch.ones(2))
