import pytest
import torch
from torch import Tensor, nn

from fer_space.backbones.base import Backbone
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


def relevance_by_autograd(network: Backbone, cells: Tensor, column: int) -> Tensor:
    """The same walk, block by block, as the authors do it: full matrices, gradients by autograd."""
    encoder, last = network.head.stages, network.head.head
    attention = []

    def through(block: nn.Module, tokens: Tensor) -> Tensor:
        own, normed = block.attention, block.layernorm_before(tokens)
        parts = (layer(normed) for layer in (own.q_proj, own.k_proj, own.v_proj))
        query, key, value = (
            part.unflatten(2, (own.num_attention_heads, -1)).transpose(1, 2) for part in parts
        )
        attention.append((query @ key.transpose(2, 3) * own.scaling).softmax(dim=3).requires_grad_())
        tokens = tokens + own.o_proj((attention[-1] @ value).transpose(1, 2).flatten(2))
        return tokens + block.mlp.fc2(nn.functional.gelu(block.mlp.fc1(block.layernorm_after(tokens))))

    tokens = encoder.embed(cells)
    for block in encoder.blocks:
        tokens = through(block, tokens)
    logits = last.classifier(last.norm(through(last.block, tokens[:, 1:])).mean(dim=1))
    gradients = torch.autograd.grad(logits[:, column].sum(), attention)
    relevance = torch.eye(tokens.shape[1])
    for shares, gradient in zip(attention, gradients, strict=True):
        relevance = relevance[..., -shares.shape[2] :, :]  # the last block reads no class token
        relevance = relevance + (shares * gradient).clamp(min=0).mean(dim=1) @ relevance
    return relevance.mean(dim=1)[:, 1:].unflatten(1, cells.shape[2:]).detach()


def test_relevance_is_what_attention_moves():
    torch.manual_seed(0)
    backbone = build_vit(8).eval().requires_grad_(False)
    nn.init.normal_(backbone.head.classifier.weight)
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            module.weight.mul_(4.0)  # attention that is not nearly even
    network = backbone.for_reading()
    cells = network.body(torch.randn(2, 3, 48, 48))
    output, evidence = network.head.evidence(cells)
    assert evidence.shape == (2, 8, 1, 6, 6)
    for column in range(8):
        expected = relevance_by_autograd(network, cells, column)
        assert expected.std() > 0.01 * expected.mean()
        torch.testing.assert_close(evidence[:, column, 0], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(output.logits, network.head(cells).logits, rtol=1e-4, atol=1e-4)
