"""A backbone is a body and a head.

The **body** turns pictures into a feature map: most of the arithmetic (but for the ViT, see there), never a
gradient when reading. The **head** turns features into logits, and knows the way back as plain arithmetic
(`fer_space.backbones.backward`). So one forward of the body gives the probabilities and, by the head alone,
the attention maps of every emotion (`fer_space.explain.maps`). What differs between the heads of papers,
an auxiliary loss or the way a map finds its place on the face, is a method that they override.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fer_space.backbones.backward import cells, follow

HIRESCAM = "hirescam"
RELEVANCE = "relevance"


class Output(NamedTuple):
    """What a head returns.

    Attributes:
        logits: float (B, K), one column a class of the card's labels.
        affect: float (B, 2), valence and arousal in [-1, 1], or None for heads without them.
        embedding: float (B, C), what the classifier reads, or None for heads without one.
        auxiliary: tensors by name that the head's `own_loss` reads, or None for heads without one.
    """

    logits: Tensor
    affect: Tensor | None = None
    embedding: Tensor | None = None
    auxiliary: Mapping[str, Tensor] | None = None


class Head(nn.Module):
    """Features float (B, C, h, w) -> `Output`, with the defaults of a head without peculiarities.

    Attributes:
        views: how many pictures of the face the features hold, stacked in the channels.
        has_maps: whether the features are places on the face, so that attention maps mean something.
        method: how `evidence` is made.
    """

    views: int = 1
    has_maps: bool = True
    method: str = HIRESCAM

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order: what the training faces did not teach."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop classes.")

    def own_loss(self, output: Output, targets: Tensor) -> Tensor:
        """What training adds to the loss of the logits; nothing unless a paper says so.

        Args:
            output: of this head, in training mode.
            targets: float (B, K), a distribution a picture; rows need not sum to 1.

        Returns:
            A scalar.
        """
        return targets.new_zeros(())

    def lay(self, evidence: Tensor) -> Tensor:
        """Evidence of each view, float (B, views, h, w) -> over the whole face, float (B, h', w').

        Here the only view is the whole face.
        """
        return evidence.squeeze(1)

    def evidence(self, features: Tensor) -> tuple[Output, Tensor]:
        """What the head says, and how much each place of the features speaks for each class.

        Here by HiResCAM (Draelos & Carin 2020, arXiv 2011.08891): features times the gradient of the class's
        logit, place by place, summed over the channels. Grad-CAM averages the gradient first: that is the
        same where only a mean and a linear layer follow, and misleads in some other networks (docs/maps.md).

        Args:
            features: float (B, C, h, w), the body's output; the head is in evaluation mode.

        Returns:
            The output, detached, and float (B, K, views, h, w); below 0 where a place speaks against a class.
        """
        output, gradient = self.jacobian(features)
        by_view = torch.unflatten(gradient, 3, (self.views, -1)) * torch.unflatten(
            cells(features)[:, None], 3, (self.views, -1)
        )
        places = by_view.sum(dim=4).transpose(2, 3)  # (B, K, V, N)
        return output, torch.unflatten(places, 3, features.shape[2:])

    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """What the head says, and the gradient of each logit by the features.

        Here autograd goes back once a class; the heads of this package know all classes at once, in plain
        arithmetic, and are tested against this.

        Args:
            features: float (B, C, h, w), the body's output; the head is in evaluation mode.

        Returns:
            The output, detached, and float (B, K, h * w, C), or what broadcasts to it: one place stands for
            all that are alike.
        """
        with torch.enable_grad():
            features = features.detach().requires_grad_(True)
            output: Output = self(features)
            columns = output.logits.sum(dim=0).unbind()
            gradients = [torch.autograd.grad(c, features, retain_graph=True)[0] for c in columns]
        affect = None if output.affect is None else output.affect.detach()
        by_class = [cells(gradient) for gradient in gradients]
        return Output(output.logits.detach(), affect), torch.stack(by_class, dim=1)


class Backbone(nn.Module):
    """`head(body(x))` for normalised pictures float (B, 3, S, S)."""

    def __init__(self, body: nn.Module, head: Head) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pictures: Tensor) -> Output:
        """Read a batch; see `Output`."""
        output: Output = self.head(self.body(pictures))
        return output

    def for_reading(self) -> "Backbone":
        """The same network, divided where attention maps are sharpest; it shares the weights.

        Training divides body and head where their learning rates differ, at the last feature map. A family
        whose last map is too coarse to point at a mouth, or whose cells have ceased to be places, divides
        earlier for reading.
        """
        return self

    @torch.no_grad()
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())


class DeferredHead(Head):
    """A head after the last stages of the body, for `Backbone.for_reading`.

    Args:
        stages: features of an earlier stage -> the features that the head reads.
        head: the network's own.
    """

    def __init__(self, stages: nn.Module, head: Head) -> None:
        super().__init__()
        self.stages = stages
        self.head = head
        self.views = head.views

    def keep_classes(self, columns: list[int]) -> None:
        """As the network's own head."""
        self.head.keep_classes(columns)

    def own_loss(self, output: Output, targets: Tensor) -> Tensor:
        """As the network's own head."""
        return self.head.own_loss(output, targets)

    def lay(self, evidence: Tensor) -> Tensor:
        """As the network's own head."""
        return self.head.lay(evidence)

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head, in plain arithmetic."""
        read, pull = follow(self.stages, features)
        output, gradient = self.head.jacobian(read)
        return output, pull(gradient)

    def forward(self, features: Tensor) -> Output:
        """What the head says of the features."""
        output: Output = self.head(self.stages(features))
        return output


class PooledLinearHead(Head):
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
        self.classifier = zero_linear(channels, num_classes)
        self.affect = zero_linear(channels, 2) if affect else None

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        self.classifier = kept_outputs(self.classifier, columns)

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head; the same at every place."""
        output: Output = self(features)
        return output, over_places(self.classifier.weight[None], features)

    def forward(self, features: Tensor) -> Output:
        """Features float (B, C, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        embedding = features.mean(dim=(2, 3))
        pooled = self.dropout(embedding)
        affect = None if self.affect is None else torch.tanh(self.affect(pooled))
        return Output(self.classifier(pooled), affect, embedding)


def over_places(gradient: Tensor, features: Tensor) -> Tensor:
    """Gradients by the mean over the places -> by each of the places.

    Args:
        gradient: float (B, K, C), or (1, K, C) for all alike.
        features: float (B, C, h, w), of which the mean was taken.

    Returns:
        float (B, K, 1, C), or (1, K, 1, C): the same at every place.
    """
    return gradient[:, :, None] / (features.shape[2] * features.shape[3])


def zero_linear(channels: int, outputs: int) -> nn.Linear:
    """A linear layer whose weights and biases start at zero."""
    layer = nn.Linear(channels, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def kept_outputs(layer: nn.Linear, rows: list[int]) -> nn.Linear:
    """A linear layer with these outputs of another, in this order."""
    kept = zero_linear(layer.in_features, len(rows))
    kept.weight.copy_(layer.weight[rows])
    kept.bias.copy_(layer.bias[rows])
    return kept
