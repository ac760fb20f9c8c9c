"""Net2Net: the larger network starts as the smaller one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.efficientnet import build_b2, build_b3, build_mobilenet_v2
from fer_space.errors import InputError
from fer_space.registry import BACKBONES
from fer_space.training.growing import grown
from fer_space.training.start import initialise


@pytest.fixture(scope="module")
def b2() -> Backbone:
    """An EfficientNet-B2 whose every tensor matters, the statistics of its norms included."""
    torch.manual_seed(0)
    network = build_b2(8, affect=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn_like(module.running_mean) / 10
            module.running_var = torch.rand_like(module.running_var) + 0.5
    nn.init.normal_(network.head.classifier.weight)
    return network.eval()


@pytest.fixture(scope="module")
def b2_file(b2: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights as a file."""
    path = tmp_path_factory.mktemp("b2") / "b2.safetensors"
    save_file(b2.state_dict(), path)
    return path


def test_b3_grown_from_b2_answers_as_it_does(b2: Backbone, b2_file: Path) -> None:
    """Depth, width, squeeze-excite, stem and classifier all grow, and nothing that is read changes."""
    b3 = build_b3(8).eval()
    initialise(b3, BACKBONES["efficientnet_b3"], f"grown:{b2_file}")
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, given = b2(pictures).logits, b3(pictures).logits
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-4)


def test_what_is_new_learns(b2_file: Path) -> None:
    """After two steps new channels and new blocks are part of the answer: nothing is dead or a twin."""
    torch.manual_seed(0)
    b3 = build_b3(8)
    initialise(b3, BACKBONES["efficientnet_b3"], f"grown:{b2_file}")
    optimizer = torch.optim.SGD(b3.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(b3(torch.randn(4, 3, 64, 64)).logits, torch.arange(4)).backward()
        optimizer.step()
    new_block = b3.body.network.blocks[3][4]
    assert new_block.bn3.weight.abs().min() > 0
    assert new_block.conv_pwl.weight.grad.abs().max() > 0
    new_columns = b3.body.network.conv_head.weight[:1408, 352:]
    assert (new_columns.abs().amax(dim=1) > 0).all()
    assert new_columns.unique(dim=1).shape == new_columns.shape


@pytest.mark.parametrize(
    "shape", [(3, 2), (2, 3), (1,), (2, 2, 1)], ids=["more rows", "more columns", "a vector", "a filter"]
)
def test_a_tensor_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    """Only channels grow, and never down."""
    with pytest.raises(RuntimeError, match="weight does not fit"):
        grown({"weight": torch.zeros(2, 2)}, {"weight": torch.zeros(shape)})


def test_a_stranger_is_refused_in_a_sentence(b2_file: Path) -> None:
    """The larger network cannot shrink, and MobileNet-v2 is not EfficientNet."""
    with pytest.raises(InputError, match="does not hold the weights of mobilenet_v2"):
        initialise(build_mobilenet_v2(8), BACKBONES["mobilenet_v2"], f"grown:{b2_file}")


def test_the_shipped_b2_grows() -> None:
    """Its file fits, half precision and all."""
    tensors = load_file("weights/efficientnet_b2.safetensors")
    own = build_b3(8, affect=True).state_dict()
    assert grown(own, tensors)["head.classifier.weight"].shape == (8, 1536)
