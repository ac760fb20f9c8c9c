"""Net2Net: the larger network starts as the smaller one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.efficientnet import build_b2, build_b3
from fer_space.backbones.specs import BACKBONES
from fer_space.errors import InputError
from fer_space.training.initialise import initialise, net2net


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
    initialise(b3, BACKBONES["efficientnet_b3"], f"net2net:{b2_file}")
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected, given = b2(pictures).logits, b3(pictures).logits
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(given, expected, rtol=1e-3, atol=1e-4)


def test_what_is_new_learns(b2_file: Path) -> None:
    """After two steps new channels and new blocks are part of the answer: nothing is dead or a twin."""
    torch.manual_seed(0)
    b3 = build_b3(8)
    initialise(b3, BACKBONES["efficientnet_b3"], f"net2net:{b2_file}")
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
    ("shape", "name"),
    [
        ((3, 2), "weight"),
        ((2, 3), "weight"),
        ((1,), "weight"),
        ((2, 2, 1), "weight"),
        ((1, 2), "head.classifier.weight"),
    ],
    ids=["more rows", "more columns", "a vector", "a filter", "fewer classes"],
)
def test_a_tensor_that_does_not_fit_is_refused(shape: tuple[int, ...], name: str) -> None:
    """Only channels grow, and never down; a class less would move the others to wrong rows."""
    with pytest.raises(ValueError, match="weight does not fit"):
        net2net({name: torch.zeros(2, 2)}, {name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("small", "large"),
    [
        ("efficientnet_lite0", "efficientnet_b2"),
        ("efficientnet_b2", "mobilenet_v2"),
        ("efficientnet_lite0", "efficientnet_b3"),
    ],
    ids=["gates are missing", "it cannot shrink", "both"],
)
def test_a_stranger_is_refused_in_a_sentence(small: str, large: str, tmp_path: Path) -> None:
    """What would not be the same function is no start."""
    path = tmp_path / "small.safetensors"
    save_file(BACKBONES[small].build(8).state_dict(), path)
    with pytest.raises(InputError, match=f"is no start for {large}: .+ (does not fit|is missing)"):
        initialise(BACKBONES[large].build(8), BACKBONES[large], f"net2net:{path}")


def test_a_part_of_a_file_is_refused(b2: Backbone) -> None:
    """A block's first tensor alone is no block, and nothing is no network."""
    own = build_b3(8).state_dict()
    part = {name: t for name, t in b2.state_dict().items() if "affect" not in name}
    assert net2net(own, part)
    with pytest.raises(ValueError, match=r"blocks\.2\.2\.conv_dw\.weight is missing"):
        net2net(own, {name: t for name, t in part.items() if "blocks.2.2.conv_dw.weight" not in name})
    with pytest.raises(ValueError, match="is missing"):
        net2net(own, {})


def test_valence_and_arousal_grow_with_the_emotions(b2: Backbone) -> None:
    """New inputs are not read yet, rows stay."""
    given = b2.state_dict()
    own = build_b3(8, affect=True).state_dict()
    own["head.affect.weight"].normal_()
    weight = net2net(own, given)["head.affect.weight"]
    assert torch.equal(weight[:, :1408], given["head.affect.weight"])
    assert not weight[:, 1408:].any()
