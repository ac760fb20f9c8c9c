"""A small hybrid Vision Transformer: timm's first stages of EfficientNet-Lite0, then blocks of transformers.

Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.1, "hybrid architecture": tokens are the cells of a
convolutional feature map instead of raw patches. Few faces teach a transformer better so (Xiao et al. 2021,
arXiv 2106.14881). Width and heads are those of DeiT-Ti (Touvron et al. 2021, arXiv 2012.12877), with fewer
blocks. The prediction reads the mean of the tokens, so the tokens before the last block are a feature map
like any other.
"""

from typing import Any

import timm
from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from fer_space.backbones.base import Backbone, Head, Output, kept_outputs, zero_linear

STEM = "tf_efficientnet_lite0"
STAGES = 3  # of the stem; they end at an eighth of the picture's side
CHANNELS = 40  # of the stem's map
CELLS = 12  # a side of the map of a picture of 96 pixels
WIDTH = 192
BLOCKS = 6


class VitBody(nn.Module):
    """Pictures float (B, 3, S, S) -> tokens of all blocks but the last, float (B, 192, S/8, S/8).

    The class token, which nothing reads in the end, gives the blocks a place to gather what belongs to the
    whole face; it is left out of the features. Position embeddings are interpolated for other sizes than 96.
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
        """The tokens of the cells, laid out as a map."""
        (cells,) = self.network(pictures)
        tokens = self.embeddings(cells, interpolate_pos_encoding=cells.shape[2] != CELLS)
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = tokens[:, 1:].transpose(1, 2).unflatten(2, tuple(cells.shape[2:]))
        return features


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

    def forward(self, features: Tensor) -> Output:
        """Features float (B, 192, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        tokens = self.norm(self.block(features.flatten(2).transpose(1, 2)))
        embedding = tokens.mean(dim=1)
        affect = None if self.affect is None else self.affect(embedding).tanh()
        return Output(self.classifier(embedding), affect, embedding)


def build_vit(num_classes: int, affect: bool = False) -> Backbone:
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
    return Backbone(VitBody(model), VitHead(model, num_classes, affect))
