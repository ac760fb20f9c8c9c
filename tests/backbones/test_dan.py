from math import log
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fer_space.backbones.dan import (
    OFFICIAL_ORDER,
    ChannelUnit,
    Dan,
    SpatialUnit,
    affinity_loss,
    build_dan,
    fuse,
    load_official,
    partition_loss,
)
from fer_space.backbones.specs import BACKBONES
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.training.initialise import initialise

CENTRES = torch.tensor([[0.0, 0.0], [2.0, 2.0]])  # variance 2 in each of two channels


@torch.no_grad()
def test_spatial_unit_by_hand():
    unit = SpatialUnit(channels=2).eval()
    for part in (unit.reduce, unit.square, unit.wide, unit.tall):
        part[0].weight.zero_()
        part[0].bias.zero_()
    unit.reduce[0].weight.fill_(1.0)
    unit.square[0].weight[0, 0, 1, 1] = 1.0
    unit.wide[0].weight[0, 0, 0, 0] = 1.0  # the cell to the left
    unit.tall[0].weight[1, 0, 1, 0] = -1.0  # rectified away
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # reduced to 4, 6
    weighed = features * torch.tensor([4.0, 6.0 + 4.0])
    torch.testing.assert_close(unit(features), weighed, atol=1e-3, rtol=0)


@torch.no_grad()
def test_channel_unit_by_hand():
    unit = ChannelUnit(channels=2).eval()
    first, second = unit.gates[0], unit.gates[3]
    for layer in (first, second):
        layer.weight.zero_()
        layer.bias.zero_()
    first.weight[0, 0] = 1.0
    second.weight[1, 0] = log(3.0) / 2.0
    features = torch.tensor([[[[1.0, 3.0]], [[4.0, 4.0]]]])  # pooled to 2 and 4, gates 1/2 and 3/4
    torch.testing.assert_close(unit(features), torch.tensor([[1.0, 3.0]]), atol=1e-4, rtol=0)


def test_fusion_by_hand():
    shares, fused = fuse(torch.tensor([[[0.0], [log(3.0)]]]))
    torch.testing.assert_close(shares.exp(), torch.tensor([[[0.25], [0.75]]]))
    torch.testing.assert_close(fused, torch.tensor([[log(3 / 16)]]))


@pytest.mark.parametrize(
    ("target", "expected"), [((0.0, 1.0), 5 / 4), ((0.25, 0.75), 1.0)], ids=["label", "distribution"]
)
def test_affinity_by_hand(target: tuple[float, float], expected: float):
    pooled = torch.tensor([[0.0, 1.0]])  # squared distances 1 and 5
    loss = affinity_loss(pooled, CENTRES, torch.tensor([target]))
    torch.testing.assert_close(loss, torch.tensor(expected))


def test_affinity_is_a_mean_over_the_pictures():
    pooled, targets = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    twice = affinity_loss(pooled.repeat(2, 1), CENTRES, targets.repeat(2, 1))
    torch.testing.assert_close(twice, affinity_loss(pooled, CENTRES, targets))


def test_partition_by_hand():
    heads = torch.tensor([[[1.0], [3.0]]])  # variance 2
    torch.testing.assert_close(partition_loss(heads, eps=0.0), torch.tensor(log(2.0)))
    assert partition_loss(torch.ones(1, 4, 2)) > 10.0


def test_shapes_of_the_paper():
    backbone = build_dan(8)
    features = backbone.body(torch.randn(2, 3, 224, 224))
    assert features.shape == (2, 512, 7, 7)
    output = backbone.head(features)
    assert output.auxiliary["heads"].shape == (2, 4, 512)
    targets = torch.full((2, 8), 1 / 8)
    backbone.head.own_loss(output, targets).backward()
    assert backbone.head.centres.grad.abs().sum() > 0.0
    assert backbone.body.conv1.weight.grad.abs().sum() > 0.0


def test_own_loss_is_the_sum_of_both():
    backbone = build_dan(8)
    output = backbone(torch.randn(3, 3, 32, 32))
    targets = torch.eye(8)[:3]
    affinity = affinity_loss(output.auxiliary["pooled"], backbone.head.centres, targets)
    expected = affinity + partition_loss(output.auxiliary["heads"])
    torch.testing.assert_close(backbone.head.own_loss(output, targets), expected)


def official_tensors(backbone: Dan, order: tuple[str, ...]) -> dict[str, Tensor]:
    """Our tensors under the official names, classes in the official order."""
    parts = {"spatial.reduce": "sa.conv1x1", "spatial.square": "sa.conv_3x3", "spatial.wide": "sa.conv_1x3"}
    parts |= {"spatial.tall": "sa.conv_3x1", "channel.gates": "ca.attention"}
    places = {name: str(i) for i, (name, _) in enumerate(backbone.body.named_children())}
    known = [emotion for emotion in EMOTIONS if emotion in order]
    tensors = {}
    for name, tensor in backbone.state_dict().items():
        area, first, *rest = name.split(".")
        if area == "body":
            tensors[".".join(["features", places[first], *rest])] = tensor
        elif first == "attentions":
            part = parts[".".join(rest[1:3])]
            tensors[".".join([f"cat_head{rest[0]}", part, *rest[3:]])] = tensor
        elif first in {"classifier", "norm"}:
            shuffled = tensor[[known.index(emotion) for emotion in order]] if tensor.ndim else tensor
            tensors[".".join([{"classifier": "fc", "norm": "bn"}[first], *rest])] = shuffled
    return {f"module.{name}": tensor.clone() for name, tensor in tensors.items()}


@torch.no_grad()
@pytest.mark.parametrize("classes", [7, 8])
def test_official_checkpoint(classes: int, tmp_path: Path):
    source = build_dan(classes).eval()
    torch.nn.init.normal_(source.head.norm.bias)
    path = tmp_path / "dan.safetensors"
    save_file(official_tensors(source, OFFICIAL_ORDER[:classes]), path)
    ours = build_dan(classes, affect=True).eval()
    load_official(ours, path)
    pictures = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(pictures).logits, source(pictures).logits)
    assert not ours.head.affect.weight.any()


def test_official_checkpoint_of_another_size_or_order(tmp_path: Path):
    path = tmp_path / "dan.safetensors"
    source = build_dan(7)
    rafdb = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    save_file(official_tensors(source, rafdb), path)
    again = build_dan(7)
    load_official(again, path, rafdb)
    assert torch.equal(again.head.classifier.weight, source.head.classifier.weight)
    with pytest.raises(InputError, match="its classes"):
        load_official(build_dan(8), path)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pkl"])
def test_pickles_are_refused(suffix: str, tmp_path: Path):
    with pytest.raises(InputError, match="weights_only=True"):
        initialise(build_dan(8), BACKBONES["dan"], f"official:{tmp_path / 'dan'}{suffix}")


def test_a_broken_checkpoint_is_named(tmp_path: Path):
    path = tmp_path / "dan.safetensors"
    path.write_bytes(b"not tensors")
    with pytest.raises(InputError, match=r"dan\.safetensors cannot be read"):
        load_official(build_dan(8), path)
