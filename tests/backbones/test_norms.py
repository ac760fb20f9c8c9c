import pytest
import torch
from torch import nn

from fer_space.backbones.norms import restore_norms, set_affine
from fer_space.backbones.specs import BACKBONES

PICTURES = torch.randn(70, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.3


def folded(name: str) -> nn.Module:
    """A network of random filters whose norms are random scales and shifts."""
    torch.manual_seed(2)
    backbone = BACKBONES[name].build(8)
    for norm in (module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)):
        set_affine(norm, torch.rand(norm.num_features) + 0.5, torch.randn(norm.num_features) * 0.1)
    return backbone


@torch.no_grad()
def test_scale_and_shift_by_hand():
    norm = nn.BatchNorm2d(2).eval()
    nn.init.normal_(norm.running_mean)
    set_affine(norm, torch.tensor([2.0, -3.0]), torch.tensor([0.5, 1.0]))
    features = torch.randn(1, 2, 3, 3)
    expected = features * torch.tensor([2.0, -3.0]).view(1, 2, 1, 1) + torch.tensor([0.5, 1.0]).view(
        1, 2, 1, 1
    )
    torch.testing.assert_close(norm(features), expected)


@torch.no_grad()
@pytest.mark.parametrize("name", ["mobilenet_v1_faces", "resnet29_faces"])
def test_restored_norms_change_nothing(name: str):
    network = folded(name).eval()
    before = network.body(PICTURES)
    restore_norms(network, PICTURES)
    assert not network.training
    after = network.body(PICTURES)
    assert (after - before).norm() <= 1e-4 * before.norm()
    network.train()
    trained = network.body(PICTURES)  # a batch of these very pictures has the statistics that were kept
    assert (trained - before).norm() <= 1e-2 * before.norm()


@torch.no_grad()
def test_each_norm_gets_what_it_sees():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    set_affine(network[1], torch.tensor([1.0, 2.0, -1.0, 0.5]), torch.zeros(4))
    restore_norms(network, PICTURES)
    assert network.training
    network.eval()
    for place in (1, 3):
        seen = network[:place](PICTURES)
        torch.testing.assert_close(
            network[place].running_mean, seen.mean(dim=(0, 2, 3)), atol=1e-5, rtol=1e-4
        )
        variance = seen.var(dim=(0, 2, 3), unbiased=False)
        torch.testing.assert_close(network[place].running_var, variance, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_silent_channel_stays_finite():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    network[0].weight.zero_()
    restore_norms(network, PICTURES)
    assert network.eval()(PICTURES).isfinite().all()
