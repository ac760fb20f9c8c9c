"""Where a network's first weights come from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fer_space.backbones.specs import BACKBONES
from fer_space.errors import InputError
from fer_space.training.config import TrainConfig
from fer_space.training.initialise import initialise, start_of


@pytest.mark.parametrize(
    ("name", "relative", "part"),
    [
        ("ran", "dan", "body."),
        ("vit", "efficientnet_lite0", "body.network."),
        ("mobilenet_v2", "efficientnet_lite0", "body.network.blocks.1."),
    ],
)
def test_matching_takes_what_relatives_share(name: str, relative: str, part: str, tmp_path: Path):
    torch.manual_seed(0)
    given = BACKBONES[relative].build(8).state_dict()
    path = tmp_path / f"{relative}.safetensors"
    save_file(given, path)
    backbone = BACKBONES[name].build(8)
    initialise(backbone, BACKBONES[name], f"matching:{path}")
    taken = {key: tensor for key, tensor in backbone.state_dict().items() if key.startswith(part)}
    assert taken
    for key, tensor in taken.items():
        assert torch.equal(tensor, given[key]), key


@pytest.mark.parametrize(("name", "stranger"), [("ran", "vgg16"), ("efficientnet_b3", "efficientnet_lite0")])
def test_matching_refuses_a_stranger(name: str, stranger: str, tmp_path: Path):
    """A classifier's bias fits every head, a norm's counter every norm; that alone is no start."""
    path = tmp_path / "stranger.safetensors"
    save_file(BACKBONES[stranger].build(8).state_dict(), path)
    with pytest.raises(InputError, match=f"no start for {name}: no filter of the body agrees"):
        initialise(BACKBONES[name].build(8), BACKBONES[name], f"matching:{path}")


def test_a_file_of_another_network_is_refused(tmp_path: Path):
    path = tmp_path / "vgg16.safetensors"
    save_file(BACKBONES["vgg16"].build(8).state_dict(), path)
    with pytest.raises(InputError, match="does not hold the weights of ran"):
        initialise(BACKBONES["ran"].build(8), BACKBONES["ran"], str(path))


def test_dropout_that_a_head_does_not_have_is_refused():
    with pytest.raises(InputError, match="dan has no dropout"):
        start_of(TrainConfig(backbone="dan", data="ferplus:x", init="none", dropout=0.5))
