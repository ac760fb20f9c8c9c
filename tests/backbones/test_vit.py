import pytest
import torch

from fer_space.backbones.efficientnet import build_lite0
from fer_space.backbones.vit import CELLS, CHANNELS, STAGES, WIDTH, build_vit


@torch.no_grad()
@pytest.mark.parametrize(("side", "cells"), [(96, 12), (64, 8)], ids=["as configured", "interpolated"])
def test_tokens_are_a_map(side: int, cells: int):
    backbone = build_vit(8, affect=True).eval()
    features = backbone.body(torch.randn(2, 3, side, side))
    assert features.shape == (2, WIDTH, cells, cells)
    output = backbone.head(features)
    assert torch.equal(output.logits, torch.zeros(2, 8))
    assert torch.equal(output.affect, torch.zeros(2, 2))


@torch.no_grad()
def test_cells_lie_where_they_were():
    body = build_vit(8).eval().body
    cells = torch.zeros(1, CHANNELS, CELLS, CELLS)
    plain = body.embeddings(cells)[:, 1:]
    cells[:, :, 1, 3] = 1.0
    changed = (body.embeddings(cells)[:, 1:] - plain).abs().sum(dim=2).view(CELLS, CELLS)
    assert changed.nonzero().tolist() == [[1, 3]]
    body.network.forward = lambda pictures: [cells]
    body.blocks = torch.nn.ModuleList()
    moved = (body(torch.zeros(1, 3, 96, 96)) - plain.transpose(1, 2).view(1, WIDTH, CELLS, CELLS)).abs()
    assert moved.sum(dim=1)[0].nonzero().tolist() == [[1, 3]]


@torch.no_grad()
def test_the_stem_is_the_beginning_of_lite0():
    lite0, backbone = build_lite0(8).eval(), build_vit(8).eval()
    own, given = backbone.state_dict(), lite0.state_dict()
    shared = {n: tensor for n, tensor in given.items() if n in own and n.startswith("body.")}
    assert {name for name in own if name.startswith("body.network.")} == set(shared)
    backbone.load_state_dict(own | shared)
    pictures = torch.randn(1, 3, 96, 96)
    network = lite0.body.network
    expected = network.blocks[:STAGES](network.bn1(network.conv_stem(pictures)))
    torch.testing.assert_close(backbone.body.network(pictures)[0], expected)


def test_it_has_no_loss_of_its_own():
    backbone = build_vit(3)
    output = backbone(torch.randn(2, 3, 32, 32))
    assert backbone.head.own_loss(output, torch.eye(3)[:2]) == 0.0


@torch.no_grad()
def test_for_reading_it_is_divided_behind_the_stem():
    backbone = build_vit(8).eval()
    pictures = torch.randn(1, 3, 64, 64)
    cells = backbone.for_reading().body(pictures)
    assert cells.shape == (1, CHANNELS, 8, 8)
    assert torch.equal(cells, backbone.body.network(pictures)[0])
