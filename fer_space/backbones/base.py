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
    """

    logits: Tensor
    affect: Tensor | None = None


class Backbone(nn.Module):
    """`head(body(x))` for normalised pictures float (B, 3, S, S)."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pictures: Tensor) -> Output:
        """Read a batch; see `Output`."""
        output: Output = self.head(self.body(pictures))
        return output

    def refine(self) -> "Backbone":
        """Switch to the denser feature map that reading uses, if the family has one; returns self."""
        return self

    @torch.no_grad()
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())


class PooledLinearHead(nn.Module):
    """Global average pooling, dropout and one linear layer, which starts at zero.

    A zero classifier makes the first loss log(K) whatever the body says; the wide initialisation
    that libraries use starts at about 8 and spoils transferred features.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, features: Tensor) -> Output:
        """Features float (B, C, h, w) -> logits (B, K)."""
        return Output(self.classifier(self.dropout(features.mean(dim=(2, 3)))))
