"""DAN: several heads of spatial and channel attention, which a loss keeps apart.

Wen et al. 2023, "Distract Your Attention: Multi-head Cross Attention Network for Facial Expression
Recognition", arXiv 2109.07270. A ResNet-18 feeds four heads; two losses join the cross entropy: affinity
pulls the pooled features of an emotion to a learned centre, partition drives the heads apart.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import Followed, cells, chain, follow, landing, slope_of
from fer_space.backbones.base import (
    Backbone,
    DeferredHead,
    Head,
    Output,
    kept_outputs,
    over_places,
    zero_linear,
)
from fer_space.backbones.resnet import (
    CHANNELS,
    body_name,
    canonical_columns,
    fill,
    read_checkpoint,
    resnet18_body,
)

HEADS = 4
SQUEEZED = 32
OFFICIAL_ORDER = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
OFFICIAL_PARTS = {
    "sa.conv1x1": "spatial.reduce",
    "sa.conv_3x3": "spatial.square",
    "sa.conv_1x3": "spatial.wide",
    "sa.conv_3x1": "spatial.tall",
    "ca.attention": "channel.gates",
}


class SpatialUnit(nn.Module):
    """Features float (B, C, h, w) times one map (B, 1, h, w): section 3.2 of the paper.

    The map is the sum over channels of three convolutions, square, wide and tall, added and rectified.
    """

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        half = channels // 2
        self.reduce = _convolution(channels, half, (1, 1))
        self.square = _convolution(half, channels, (3, 3))
        self.wide = _convolution(half, channels, (1, 3))
        self.tall = _convolution(half, channels, (3, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C, h, w)."""
        reduced = self.reduce(features)
        local = torch.relu(self.square(reduced) + self.wide(reduced) + self.tall(reduced))
        return features * local.sum(dim=1, keepdim=True)


class ChannelUnit(nn.Module):
    """Pooled features float (B, C), each channel times a gate in [0, 1] that all channels decide."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.gates = nn.Sequential(
            nn.Linear(channels, SQUEEZED),
            nn.BatchNorm1d(SQUEEZED),
            nn.ReLU(),
            nn.Linear(SQUEEZED, channels),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C)."""
        pooled = features.mean(dim=(2, 3))
        gated: Tensor = pooled * self.gates(pooled)
        return gated


class CrossAttention(nn.Module):
    """One head: the spatial unit, then the channel unit, features float (B, C, h, w) -> (B, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = SpatialUnit()
        self.channel = ChannelUnit()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.001)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features float (B, C, h, w) -> (B, C)."""
        attended: Tensor = self.channel(self.spatial(features))
        return attended


@follow.register
def _spatial_unit(module: SpatialUnit, features: Tensor) -> Followed:
    reduced, pull_reduced = follow(module.reduce, features)
    branches = (module.square, module.wide, module.tall)
    local = torch.relu(module.square(reduced) + module.wide(reduced) + module.tall(reduced))
    attention = local.sum(dim=1, keepdim=True)
    passing = cells((local > 0.0).to(local.dtype))
    # How each place's attention changes with the reduced features around it is the same for all classes.
    steps, lands = zip(*(_steps(branch, passing, features) for branch in branches), strict=True)
    step, land = torch.cat(steps, dim=1)[:, None], torch.cat(lands, dim=1)
    taps = land.shape[1] // passing.shape[1]
    read, attended = cells(features)[:, None], cells(attention)[:, None]

    def back(gradient: Tensor) -> Tensor:
        by_attention = (gradient * read).sum(dim=3)  # (B, K, N)
        reached = by_attention.repeat(1, 1, taps)[:, :, None] * land
        return gradient * attended + pull_reduced(reached @ step)

    return features * attention, back


def _steps(branch: nn.Sequential, passing: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """How the attention of each place changes with what each tap of a branch reads.

    Args:
        branch: a convolution and its batch norm.
        passing: float (B, N, O), 1 where the branch's output counts.
        features: float (B, C, h, w), of N places.

    Returns:
        float (B, taps * N, I), and where it lands: float (N, taps * N), 1 at the place that a tap reads.
    """
    convolution, norm = branch
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    height, width = convolution.kernel_size
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)  # (taps * I, O)
    step = torch.unflatten(functional.linear(passing * slope_of(norm), weight), 2, (height * width, -1))
    return step.transpose(1, 2).flatten(1, 2), landing(convolution, features).flatten(1)


@follow.register
def _channel_unit(module: ChannelUnit, features: Tensor) -> Followed:
    pooled = features.mean(dim=(2, 3))
    gates, pull = follow(module.gates, pooled)

    def back(gradient: Tensor) -> Tensor:
        by_pooled = gradient * gates[:, None] + pull(gradient * pooled[:, None])
        return over_places(by_pooled, features)

    return pooled * gates, back


def fuse(heads: Tensor) -> tuple[Tensor, Tensor]:
    """Heads float (B, H, C) -> their log-softmax over the heads (B, H, C), and its sum over them (B, C)."""
    shares = functional.log_softmax(heads, dim=1)
    return shares, shares.sum(dim=1)


def affinity_loss(pooled: Tensor, centres: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of features to their emotion's centre, divided by the spread of the centres.

    Args:
        pooled: float (B, C), the body's features averaged over the picture.
        centres: float (K, C), K > 1.
        targets: float (B, K); of a distribution the expected squared distance is taken.

    Returns:
        A scalar, the mean over the pictures.
    """
    squared = (pooled[:, None] - centres[None]).square().sum(dim=2)
    spread = centres.var(dim=0).sum()
    return (targets * squared).sum(dim=1).mean() / spread


def partition_loss(heads: Tensor, eps: float = 1e-6) -> Tensor:
    """Heads float (B, H, C) -> log(1 + H / their variance), a scalar: large while the heads agree."""
    return torch.log1p(heads.shape[1] / (heads.var(dim=1).mean() + eps))


class DanHead(Head):
    """Four cross-attention heads, their fusion, and a linear layer with batch norm on the logits.

    The linear layer does not start at zero: batch norm would blow up its first gradient.

    Args:
        num_classes, affect: see `fer_space.backbones.base.PooledLinearHead`.
    """

    def __init__(self, num_classes: int, affect: bool) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(CrossAttention() for _ in range(HEADS))
        self.classifier = nn.Linear(CHANNELS, num_classes)
        self.norm = nn.BatchNorm1d(num_classes)
        self.affect = zero_linear(CHANNELS, 2) if affect else None
        self.centres = nn.Parameter(torch.randn(num_classes, CHANNELS))

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        norm = nn.BatchNorm1d(len(columns))
        state = self.norm.state_dict()
        norm.load_state_dict({name: t[columns] if t.ndim else t for name, t in state.items()})
        self.norm = norm.train(self.norm.training)
        self.classifier = kept_outputs(self.classifier, columns)
        self.centres = nn.Parameter(self.centres.detach()[columns])

    def own_loss(self, output: Output, targets: Tensor) -> Tensor:
        """Affinity and partition loss, equations 3 and 8 of the paper, each with weight 1."""
        assert output.auxiliary is not None
        pooled, heads = output.auxiliary["pooled"].float(), output.auxiliary["heads"].float()
        return affinity_loss(pooled, self.centres, targets) + partition_loss(heads)

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head."""
        parts = [
            (attend.get_submodule("spatial"), attend.get_submodule("channel")) for attend in self.attentions
        ]
        attended, pulls = zip(*(chain(units, features) for units in parts), strict=True)
        heads = torch.stack(attended, dim=1)
        slopes = 1.0 - HEADS * heads.softmax(dim=1)  # of the sum of log-softmax
        top = self.classifier.weight * slope_of(self.norm)[:, None]
        gradients = [pull(top * slopes[:, place, None]) for place, pull in enumerate(pulls)]
        return self._answer(heads, features), torch.stack(gradients).sum(dim=0)

    def forward(self, features: Tensor) -> Output:
        """Features float (B, 512, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        return self._answer(torch.stack([attend(features) for attend in self.attentions], dim=1), features)

    def _answer(self, heads: Tensor, features: Tensor) -> Output:
        shares, fused = fuse(heads)
        level = functional.layer_norm(fused, fused.shape[1:])  # sums of logarithms are large
        affect = None if self.affect is None else torch.tanh(self.affect(level))
        auxiliary = {"pooled": features.mean(dim=(2, 3)), "heads": shares}
        return Output(self.norm(self.classifier(fused)), affect, fused, auxiliary)


class Dan(Backbone):
    """ResNet-18 and the heads of DAN; faces of 224 pixels give features of 512x7x7."""

    def __init__(self, num_classes: int, affect: bool) -> None:
        super().__init__(resnet18_body(), DanHead(num_classes, affect))

    def for_reading(self) -> Backbone:
        """Divided before the last stage, where the map has twice as many cells a side."""
        assert isinstance(self.body, nn.Sequential)
        divided = Backbone(self.body[:-1], DeferredHead(self.body[-1], self.head))
        return divided.train(self.training)


def build_dan(num_classes: int, affect: bool = False) -> Dan:
    """Build the untrained network, with valence and arousal if `affect`."""
    return Dan(num_classes, affect)


def load_official(backbone: Dan, path: Path, labels: Sequence[str] | None = None) -> None:
    """Fill the network from a checkpoint of the authors, converted to .safetensors.

    Centres, valence and arousal, which it lacks, stay at their start.

    Args:
        backbone: with as many classes as the checkpoint; they come out in the order of `EMOTIONS`.
        path: the file.
        labels: the checkpoint's order; None takes that of its AffectNet models, of seven or eight classes.
            Its RAF-DB model has another.

    Raises InputError for other files.
    """
    tensors = read_checkpoint(path)
    classes = len(tensors.get("fc.bias", ()))
    columns = canonical_columns(OFFICIAL_ORDER[:classes] if labels is None else labels)
    ours: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        renamed = _our_name(name)
        by_class = renamed.startswith(("head.classifier.", "head.norm.")) and tensor.ndim
        ours[renamed] = tensor[columns] if by_class and len(columns) == classes else tensor
    fill(backbone, ours, ("head.centres", "head.affect."), path)


def _our_name(name: str) -> str:
    """The name here of a tensor of the official network; names that it does not know stay as they are."""
    if inside := body_name(name):
        return f"body.{inside}"
    first, _, rest = name.partition(".")
    if first.startswith("cat_head"):
        for theirs, part in OFFICIAL_PARTS.items():
            if rest.startswith(f"{theirs}."):
                return f"head.attentions.{first.removeprefix('cat_head')}.{part}{rest.removeprefix(theirs)}"
    return {"fc": "head.classifier.", "bn": "head.norm."}.get(first, f"{first}.") + rest


def _convolution(channels: int, filters: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(channels, filters, kernel, padding=padding), nn.BatchNorm2d(filters))
