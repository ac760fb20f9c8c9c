"""What a network of others is here: a body that gives rows of outputs, and a head that divides them.

So an external model is read by the same code as the shipped ones (`fer_space.model`), each face together with
its mirror image. What it lacks is a feature map between the two, hence attention maps.
"""

from torch import Tensor, nn

from fer_space.backbones.base import Backbone, Head, Output


class OutputsHead(Head):
    """Rows of outputs float (B, K) or (B, K + 2) -> logits (B, K) and, where there are two more, affect.

    Args:
        classes: K.
        affect: whether valence and arousal follow the logits; they are unbounded and clamped to [-1, 1].
    """

    has_maps = False

    def __init__(self, classes: int, affect: bool) -> None:
        super().__init__()
        self.classes = classes
        self.affect = affect

    def forward(self, features: Tensor) -> Output:
        """Divide the rows. Their logits are all the embedding there is."""
        logits = features[:, : self.classes]
        affect = features[:, self.classes :].clamp(-1.0, 1.0) if self.affect else None
        return Output(logits, affect, logits)


class ExternalNetwork(Backbone):
    """A network of others behind the face of a backbone, without attention maps.

    Args:
        body: normalised pictures float (B, 3, S, S) -> rows float (B, K) or (B, K + 2). It needs a parameter,
            whose device and type tell where and how it is fed.
        classes: K.
        affect: whether the rows have the two more.
    """

    def __init__(self, body: nn.Module, classes: int, affect: bool = False) -> None:
        super().__init__(body, OutputsHead(classes, affect))
