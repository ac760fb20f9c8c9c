import pytest
import torch

from fer_space.backbones.vit import WIDTH, build_vit


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
def test_patches_lie_where_they_were():
    backbone = build_vit(8).eval()
    pictures = torch.zeros(1, 3, 96, 96)
    plain = backbone.body.embeddings(pictures)[:, 1:]
    pictures[:, :, 8:16, 24:32] = 1.0
    changed = (backbone.body.embeddings(pictures)[:, 1:] - plain).abs().sum(dim=2).view(12, 12)
    assert changed.nonzero().tolist() == [[1, 3]]
    backbone.body.blocks = torch.nn.ModuleList()
    moved = (backbone.body(pictures) - plain.transpose(1, 2).view(1, WIDTH, 12, 12)).abs().sum(dim=1)[0]
    assert moved.nonzero().tolist() == [[1, 3]]


def test_it_has_no_loss_of_its_own():
    backbone = build_vit(3)
    output = backbone(torch.randn(2, 3, 32, 32))
    assert backbone.head.own_loss(output, torch.eye(3)[:2]) == 0.0
