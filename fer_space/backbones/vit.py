"""A small hybrid Vision Transformer: timm's first stages of EfficientNet-Lite0, then blocks of transformers.

Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.1, "hybrid architecture": tokens are the cells of a
convolutional feature map instead of raw patches. Few faces teach a transformer better so (Xiao et al. 2021,
arXiv 2106.14881). Width and heads are those of DeiT-Ti (Touvron et al. 2021, arXiv 2012.12877), with fewer
blocks. The prediction reads the mean of the tokens.
"""

from collections.abc import Callable
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import ViTConfig, ViTModel
from transformers.models.vit.modeling_vit import ViTAttention, ViTLayer

from fer_space.backbones.backward import Followed, cells, chain, follow
from fer_space.backbones.base import (
    RELEVANCE,
    Backbone,
    DeferredHead,
    Head,
    Output,
    kept_outputs,
    zero_linear,
)

STEM = "tf_efficientnet_lite0"
STAGES = 3  # of the stem; they end at an eighth of the picture's side
CHANNELS = 40  # of the stem's map
CELLS = 12  # a side of the map of a picture of 96 pixels
WIDTH = 192
BLOCKS = 6


def encode(embeddings: nn.Module, blocks: nn.ModuleList, cells: Tensor) -> Tensor:
    """Cells float (B, 40, h, w) -> what the blocks make of them, laid out as a map float (B, 192, h, w).

    The class token, which nothing reads in the end, gives the blocks a place to gather what belongs to the
    whole face; it is left out of the map.
    """
    tokens = embed(embeddings, cells)
    for block in blocks:
        tokens = block(tokens)
    return torch.unflatten(tokens[:, 1:].transpose(1, 2), 2, cells.shape[2:])


def embed(embeddings: nn.Module, cells: Tensor) -> Tensor:
    """Cells float (B, 40, h, w) -> tokens float (B, 1 + h * w, 192), the class token first.

    Position embeddings are interpolated where h is not 12.
    """
    tokens: Tensor = embeddings(cells, interpolate_pos_encoding=cells.shape[2] != CELLS)
    return tokens


class VitBody(nn.Module):
    """Pictures float (B, 3, S, S) -> tokens of all blocks but the last, float (B, 192, S/8, S/8).

    The stem's tensors have the names that they have in EfficientNet-Lite0, so `--init matching:` finds them.
    """

    def __init__(self, model: ViTModel) -> None:
        super().__init__()
        network: Any = timm.create_model(STEM, features_only=True, out_indices=(STAGES - 1,))
        network.blocks = network.blocks[:STAGES]
        self.network = network
        self.embeddings = model.embeddings
        self.blocks = model.layers[:-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """The tokens of the cells."""
        (cells,) = self.network(pictures)
        return encode(self.embeddings, self.blocks, cells)


class Stem(nn.Module):
    """The convolutions of a body: pictures float (B, 3, S, S) -> cells float (B, 40, S/8, S/8)."""

    def __init__(self, body: VitBody) -> None:
        super().__init__()
        self.network = body.network

    def forward(self, pictures: Tensor) -> Tensor:
        """The last of the maps."""
        cells: Tensor
        (cells,) = self.network(pictures)
        return cells


class Encoder(nn.Module):
    """The rest of a body: cells float (B, 40, h, w) -> tokens float (B, 192, h, w)."""

    def __init__(self, body: VitBody) -> None:
        super().__init__()
        self.embeddings = body.embeddings
        self.blocks = body.blocks

    def embed(self, cells: Tensor) -> Tensor:
        """Cells float (B, 40, h, w) -> the tokens of the first block, float (B, 1 + h * w, 192)."""
        return embed(self.embeddings, cells)

    def forward(self, cells: Tensor) -> Tensor:
        """The tokens of the cells."""
        return encode(self.embeddings, self.blocks, cells)


Through = tuple[Tensor, Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]


@follow.register
def _encoder(module: Encoder, features: Tensor) -> Followed:
    tokens, pull = chain(module.blocks, module.embed(features))
    projection: Any = module.embeddings.get_submodule("patch_embeddings.projection")

    def back(gradient: Tensor) -> Tensor:
        by_tokens = pull(functional.pad(gradient, (0, 0, 1, 0)))[:, :, 1:]  # nothing reads the class token
        return functional.linear(by_tokens, projection.weight.flatten(1).T)

    return torch.unflatten(tokens[:, 1:].transpose(1, 2), 2, features.shape[2:]), back


@follow.register
def _block(module: ViTLayer, tokens: Tensor) -> Followed:
    out, _, pull = through_block(module, tokens)
    return out, lambda gradient: pull(gradient)[0]


def through_block(block: Any, tokens: Tensor) -> Through:
    """Follow a block, and its attention with it.

    Args:
        block: a `ViTLayer`, in evaluation mode.
        tokens: float (B, N, C).

    Returns:
        The block's tokens (B, N, C); how each token attends to each, float (B, heads, N, N), rows summing to
        1; and the way from gradients (B, K, N, C) by the block's tokens to those by its input, in the same
        shape, and those by the attention, (B, K, heads, N, N).
    """
    normed, pull_norm = follow(block.layernorm_before, tokens)
    mixed, shares, pull_mixed = _attended(block.attention, normed)
    between, mlp = tokens + mixed, block.mlp
    out, pull_out = chain((block.layernorm_after, mlp.fc1, nn.GELU(), mlp.fc2), between)

    def back(gradient: Tensor) -> tuple[Tensor, Tensor]:
        gradient = gradient + pull_out(gradient)
        by_normed, by_shares = pull_mixed(gradient)
        return gradient + pull_norm(by_normed), by_shares

    return between + out, shares, back


def _attended(module: ViTAttention, tokens: Tensor) -> Through:
    """As `through_block`, for the attention alone."""
    heads, scale = module.num_attention_heads, module.scaling
    followed = [follow(layer, tokens) for layer in (module.q_proj, module.k_proj, module.v_proj)]
    query, key, value = (_by_head(out, heads) for out, _ in followed)  # (B, H, N, C / H)
    shares = (query @ key.transpose(-2, -1) * scale).softmax(dim=-1)  # (B, H, N, N)
    mixed = shares @ value
    out, pull_out = follow(module.o_proj, mixed.transpose(1, 2).flatten(2))

    def back(gradient: Tensor) -> tuple[Tensor, Tensor]:
        by_mixed = _by_head(pull_out(gradient), heads)  # (B, K, H, N, C / H)
        by_shares = by_mixed @ value.transpose(-2, -1)[:, None]
        along = (by_mixed * mixed[:, None]).sum(dim=-1, keepdim=True)
        by_scores = (by_shares - along) * (shares * scale)[:, None]
        parts = (
            by_scores @ key[:, None],
            by_scores.transpose(-2, -1) @ query[:, None],
            shares.transpose(-2, -1)[:, None] @ by_mixed,
        )
        joined = [part.transpose(2, 3).flatten(3) for part in parts]
        by_query, by_key, by_value = (pull(part) for part, (_, pull) in zip(joined, followed, strict=True))
        return by_query + by_key + by_value, by_shares

    return out, shares, back


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """Tokens float (..., N, C) -> (..., heads, N, C / heads)."""
    return torch.unflatten(tokens, -1, (heads, -1)).transpose(-3, -2)


class VitHead(Head):
    """The last block, layer norm, the mean over the tokens and a linear layer, which starts at zero.

    Args:
        model: where block and norm come from.
        num_classes, affect: see `fer_space.backbones.base.PooledLinearHead`.
    """

    def __init__(self, model: ViTModel, num_classes: int, affect: bool) -> None:
        super().__init__()
        self.block = model.layers[-1]
        self.norm = model.layernorm
        self.classifier = zero_linear(WIDTH, num_classes)
        self.affect = zero_linear(WIDTH, 2) if affect else None

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        self.classifier = kept_outputs(self.classifier, columns)

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head."""
        tokens, pull = follow(self.block, cells(features))
        output, gradient = self.read(tokens)
        return output, pull(gradient)

    def read(self, tokens: Tensor) -> tuple[Output, Tensor]:
        """Tokens of the last block, float (B, N, C) -> the output, and its gradient by them, (B, K, N, C)."""
        normed, pull = follow(self.norm, tokens)
        return self._answer(normed), pull(self.classifier.weight[None, :, None] / tokens.shape[1])

    def forward(self, features: Tensor) -> Output:
        """Features float (B, 192, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        return self._answer(self.norm(self.block(cells(features))))

    def _answer(self, tokens: Tensor) -> Output:
        embedding = tokens.mean(dim=1)
        affect = None if self.affect is None else self.affect(embedding).tanh()
        return Output(self.classifier(embedding), affect, embedding)


class RelevanceHead(DeferredHead):
    """All blocks as one head, which says by the way of its attention where on the face it looked.

    Its stages are an `Encoder` and its own head a `VitHead`.
    """

    method = RELEVANCE

    @torch.no_grad()
    def evidence(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head, by relevance (Chefer et al. 2021, arXiv 2103.15679, equations 5 and 6).

        From the last block to the first, what counts is moved along each attention that speaks for the class:
        the positive part of attention times its gradient, averaged over the heads of a block.
        """
        encoder, last = self.stages, self.head
        assert isinstance(encoder, Encoder)
        assert isinstance(last, VitHead)
        tokens, ways = encoder.embed(features), []
        for block in encoder.blocks:
            tokens, shares, pull = through_block(block, tokens)
            ways.append((shares, pull))
        tokens, shares, pull = through_block(last.block, tokens[:, 1:])
        output, gradient = last.read(tokens)
        relevance = tokens.new_full((1, 1, tokens.shape[1]), 1.0 / tokens.shape[1])  # it reads their mean
        gradient, relevance = _moved(relevance, shares, *pull(gradient))
        gradient, relevance = functional.pad(gradient, (0, 0, 1, 0)), functional.pad(relevance, (1, 0))
        for shares, pull in reversed(ways):
            gradient, relevance = _moved(relevance, shares, *pull(gradient))
        return output, torch.unflatten(relevance[:, :, None, 1:], 3, features.shape[2:])


def _moved(relevance: Tensor, shares: Tensor, gradient: Tensor, by_shares: Tensor) -> tuple[Tensor, Tensor]:
    """Pass on a gradient, and relevance float (B, K, N) moved along attention; see `through_block`."""
    flow = torch.relu(shares[:, None] * by_shares).mean(dim=2)  # (B, K, N, N)
    return gradient, relevance + (relevance[:, :, None] @ flow)[:, :, 0]


class Vit(Backbone):
    """A hybrid ViT that is divided elsewhere for reading than for training."""

    def for_reading(self) -> Backbone:
        """Divided behind the stem, whose cells still are places: blocks carry what they see to other tokens.

        So the head is most of the network. Maps of the last tokens were no better than random ones.
        """
        assert isinstance(self.body, VitBody)
        assert isinstance(self.head, VitHead)
        head = RelevanceHead(Encoder(self.body), self.head)
        return Backbone(Stem(self.body), head).train(self.training)


def build_vit(num_classes: int, affect: bool = False) -> Vit:
    """Build the untrained network from its configuration alone; its classifier starts at zero."""
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=3,
        intermediate_size=4 * WIDTH,
        num_channels=CHANNELS,
        image_size=CELLS,
        patch_size=1,
        hidden_dropout_prob=0.1,
        layer_norm_eps=1e-6,
    )
    model = ViTModel(config, add_pooling_layer=False)
    return Vit(VitBody(model), VitHead(model, num_classes, affect))
