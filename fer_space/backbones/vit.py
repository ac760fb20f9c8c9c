"""A small Vision Transformer, as the library transformers builds it.

Dosovitskiy et al. 2021, arXiv 2010.11929; the size is that of DeiT-Ti (Touvron et al. 2021, arXiv 2012.12877)
with fewer blocks and smaller patches. The prediction reads the mean of the patch tokens, so the tokens before
the last block are a feature map like any other.
"""

from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from fer_space.backbones.base import Backbone, Head, Output, kept_outputs, zero_linear

SIZE = 96
PATCH = 8
WIDTH = 192
BLOCKS = 8


class VitBody(nn.Module):
    """Pictures float (B, 3, S, S) -> tokens of all blocks but the last, float (B, 192, S/8, S/8).

    The class token, which nothing reads in the end, gives the blocks a place to gather what belongs to the
    whole face; it is left out of the features. Position embeddings are interpolated for other sizes than 96.
    """

    def __init__(self, model: ViTModel) -> None:
        super().__init__()
        self.embeddings = model.embeddings
        self.blocks = model.layers[:-1]

    def forward(self, pictures: Tensor) -> Tensor:
        """The patch tokens, laid out as a map."""
        cells_hw = (pictures.shape[2] // PATCH, pictures.shape[3] // PATCH)
        tokens = self.embeddings(pictures, interpolate_pos_encoding=pictures.shape[2] != SIZE)
        for block in self.blocks:
            tokens = block(tokens)
        features: Tensor = tokens[:, 1:].transpose(1, 2).unflatten(2, cells_hw)
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
        image_size=SIZE,
        patch_size=PATCH,
        hidden_dropout_prob=0.1,
        layer_norm_eps=1e-6,
    )
    model = ViTModel(config, add_pooling_layer=False)
    return Backbone(VitBody(model), VitHead(model, num_classes, affect))
