"""A backbone is a body and a head.

The **body** turns pictures into a feature map: nearly all the arithmetic, never a gradient when
reading. The **head** turns features into logits: small and differentiable. So one forward of the
body gives the probabilities and, by a gradient through the head alone, the attention maps of every
emotion (`fer_space.gradcam`).
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Output(NamedTuple):
    """What a head returns.

    Attributes:
        logits: float (B, K), one column a class of the card's labels.
        affect: float (B, 2), valence and arousal in [-1, 1], or None for heads without them.
        embedding: float (B, C), what the classifier reads, or None for heads without one.
    """

    logits: Tensor
    affect: Tensor | None = None
    embedding: Tensor | None = None


class Backbone(nn.Module):
    """`head(body(x))` for normalised pictures float (B, 3, S, S).

    A head that is trained here has `keep_classes`, which drops what the training faces did not teach.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pictures: Tensor) -> Output:
        """Read a batch; see `Output`."""
        output: Output = self.head(self.body(pictures))
        return output

    def for_reading(self) -> "Backbone":
        """The same network, divided where attention maps are sharpest; it shares the weights.

        Training divides body and head where their learning rates differ, at the last feature map. A
        family whose last map is too coarse to point at a mouth divides earlier for reading.
        """
        return self

    @torch.no_grad()
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())


class PooledLinearHead(nn.Module):
    """Global average pooling, dropout and one linear layer, which starts at zero.

    A zero classifier makes the first loss log(K) whatever the body says; the wide initialisation
    that libraries use starts at about 8 and spoils transferred features.

    Args:
        channels: of the features.
        num_classes: columns of the logits.
        affect: whether a second linear layer and tanh read valence and arousal; it starts at zero too.
        dropout: share of pooled features that training leaves out.
    """

    def __init__(
        self, channels: int, num_classes: int, *, affect: bool = False, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = _zero_linear(channels, num_classes)
        self.affect = _zero_linear(channels, 2) if affect else None

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        kept = _zero_linear(self.classifier.in_features, len(columns))
        with torch.no_grad():
            kept.weight.copy_(self.classifier.weight[columns])
            kept.bias.copy_(self.classifier.bias[columns])
        self.classifier = kept

    def forward(self, features: Tensor) -> Output:
        """Features float (B, C, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        embedding = features.mean(dim=(2, 3))
        pooled = self.dropout(embedding)
        affect = None if self.affect is None else torch.tanh(self.affect(pooled))
        return Output(self.classifier(pooled), affect, embedding)


def _zero_linear(channels: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(channels, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
