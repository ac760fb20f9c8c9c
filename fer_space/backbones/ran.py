"""RAN: a face and five crops of it, weighed by attention, so that a covered part counts less.

Wang et al. 2020, "Region Attention Networks for Pose and Occlusion Robust Facial Expression Recognition",
arXiv 1905.04075. One ResNet-18 reads six views. Self-attention weighs them (alpha), relation-attention weighs
them again (beta), each view now beside the weighted mean of all. A rank-biased loss wants one crop to weigh
more than the whole face.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.backward import Followed, chain, follow
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
from fer_space.emotions import EMOTIONS

BOXES_XYXY = (  # in shares of the picture's side; the whole face comes last
    (0.125, 0.25, 0.875, 1.0),
    (0.0, 0.0, 0.75, 0.75),
    (0.25, 0.0, 1.0, 0.75),
    (0.05, 0.05, 0.95, 0.95),
    (0.1, 0.1, 0.9, 0.9),
    (0.0, 0.0, 1.0, 1.0),
)
VIEWS = len(BOXES_XYXY)
MARGIN = 0.02
FINER = 4  # cells of a map of the face for each cell of a view


class EachView(nn.Sequential):
    """Layers applied to each view: features float (B, 6 * C, h, w) -> (B, 6 * C', h', w')."""

    def forward(self, features: Tensor) -> Tensor:
        """All views go through the layers as one batch."""
        views = torch.unflatten(features, 1, (VIEWS, -1)).flatten(0, 1)
        seen: Tensor = super().forward(views.contiguous(memory_format=torch.channels_last))  # type: ignore[no-untyped-call]
        return torch.unflatten(seen, 0, (-1, VIEWS)).flatten(1, 2)


@follow.register
def _each_view(module: EachView, features: Tensor) -> Followed:
    views = torch.unflatten(features, 1, (VIEWS, -1)).flatten(0, 1)
    seen, pull = chain(module, views)

    def back(gradient: Tensor) -> Tensor:
        apart = torch.unflatten(gradient, 3, (VIEWS, -1)).expand(features.shape[0], -1, -1, -1, -1)
        pulled = pull(apart.permute(0, 3, 1, 2, 4).flatten(0, 1))  # (B * V, K, N, C)
        return torch.unflatten(pulled, 0, (-1, VIEWS)).permute(0, 2, 3, 1, 4).flatten(3)

    return torch.unflatten(seen, 0, (-1, VIEWS)).flatten(1, 2), back


class RegionBody(EachView):
    """Layers applied to the six views of pictures float (B, 3, S, S)."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Cut the views out, then read each."""
        return super().forward(region_views(pictures))


def region_views(pictures: Tensor) -> Tensor:
    """Pictures float (B, 3, S, S) -> their six views, each resized to S: float (B, 6 * 3, S, S)."""
    return torch.cat([_crop(pictures, box) for box in BOXES_XYXY[:-1]] + [pictures], dim=1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Values float (B, V, C), weights float (B, V, 1) -> (B, C)."""
    return (values * weights).sum(dim=1) / weights.sum(dim=1)


def rank_biased_loss(alpha: Tensor, margin: float = MARGIN) -> Tensor:
    """Alpha float (B, V), the whole face last: how far its best crop is from beating it by `margin`."""
    lead = alpha[:, :-1].amax(dim=1) - alpha[:, -1]
    return torch.relu(margin - lead).mean()


class RanHead(Head):
    """The two attention poolings over the views and a linear layer, which starts at zero.

    Args:
        num_classes, affect: see `fer_space.backbones.base.PooledLinearHead`.
        channels: of one view's features.
    """

    views = VIEWS

    def __init__(self, num_classes: int, affect: bool, channels: int = CHANNELS) -> None:
        super().__init__()
        self.alpha = nn.Linear(channels, 1)
        self.beta = nn.Linear(2 * channels, 1)
        self.classifier = zero_linear(2 * channels, num_classes)
        self.affect = zero_linear(2 * channels, 2) if affect else None

    def keep_classes(self, columns: list[int]) -> None:
        """Drop every column of the logits but these, in this order."""
        self.classifier = kept_outputs(self.classifier, columns)

    def own_loss(self, output: Output, targets: Tensor) -> Tensor:
        """The rank-biased loss, equation 4 of the paper, with weight 1."""
        assert output.auxiliary is not None
        return rank_biased_loss(output.auxiliary["alpha"].float())

    def lay(self, evidence: Tensor) -> Tensor:
        """Evidence of each view laid on the face at the view's box; where views overlap it adds up.

        A cell counts in inverse proportion to the area of its box: a crop spreads the same evidence over a
        smaller part of the face.

        Args:
            evidence: float (B, 6, h, w).

        Returns:
            float (B, 4 * h, 4 * w).
        """
        views = torch.split(evidence, 1, dim=1)
        laid = [_lay(view, box) for view, box in zip(views, BOXES_XYXY, strict=True)]
        return torch.cat(laid, dim=1).sum(dim=1)

    def forward(self, features: Tensor) -> Output:
        """Features float (B, 6 * 512, h, w) -> logits (B, K) and, if it was built so, affect (B, 2)."""
        pooled = torch.unflatten(features.mean(dim=(2, 3)), 1, (VIEWS, -1))
        alpha = torch.sigmoid(self.alpha(pooled)).softmax(dim=1)
        mean = weighted_mean(pooled, alpha)
        pairs = torch.cat([pooled, mean[:, None].expand_as(pooled)], dim=2)
        beta = torch.sigmoid(self.beta(pairs)).softmax(dim=1)
        embedding = weighted_mean(pairs, alpha * beta)
        affect = None if self.affect is None else torch.tanh(self.affect(embedding))
        return Output(self.classifier(embedding), affect, embedding, {"alpha": alpha.squeeze(2)})

    @torch.no_grad()
    def jacobian(self, features: Tensor) -> tuple[Output, Tensor]:
        """As for any head; the same at every place."""
        output = self(features)
        pooled = torch.unflatten(features.mean(dim=(2, 3)), 1, (VIEWS, -1))  # (B, V, C)
        alpha, pull_alpha = _shares(self.alpha, pooled)
        mean = weighted_mean(pooled, alpha)
        pairs = torch.cat([pooled, mean[:, None].expand_as(pooled)], dim=2)
        beta, pull_beta = _shares(self.beta, pairs)

        # By embedding = sum of pairs * alpha * beta / sum of alpha * beta; gradients are (B, K, V, C).
        top = self.classifier.weight
        product = alpha * beta
        sizes = product.sum(dim=1, keepdim=True)
        apart = (pairs - output.embedding[:, None]) / sizes  # (B, V, 2 C)
        by_product = functional.linear(apart, top).transpose(1, 2)[..., None]  # (B, K, V, 1)
        by_pairs = top[:, None] * (product / sizes)[:, None] + pull_beta(by_product * alpha[:, None])
        by_pooled, by_mean = by_pairs.chunk(2, dim=3)
        # The mean holds every view, weighed by alpha, which adds up to 1.
        by_mean = by_mean.sum(dim=2, keepdim=True)  # (B, K, 1, C)
        by_alpha = by_product * beta[:, None] + (by_mean @ pooled.transpose(1, 2)[:, None]).transpose(2, 3)
        by_pooled = by_pooled + by_mean * alpha[:, None] + pull_alpha(by_alpha)
        return output, over_places(by_pooled.flatten(2), features)


def _shares(layer: nn.Module, values: Tensor) -> Followed:
    """Weights of views, float (B, V, 1), and the way from gradients (B, K, V, 1) by them to (B, K, V, C)."""
    gate = torch.sigmoid(layer(values))
    shares = gate.softmax(dim=1)
    weight = layer.get_parameter("weight")

    def back(gradient: Tensor) -> Tensor:
        own = shares[:, None]
        centred = gradient - (gradient * own).sum(dim=2, keepdim=True)
        return centred * own * (gate * (1.0 - gate))[:, None] * weight[0]

    return shares, back


class Ran(Backbone):
    """Six views, one ResNet-18, two attention poolings.

    The tensors of the body have the names that they have in DAN, so `--init matching:` finds them.
    """

    def __init__(self, num_classes: int, affect: bool) -> None:
        body = RegionBody(OrderedDict(resnet18_body().named_children()))
        super().__init__(body, RanHead(num_classes, affect))

    def for_reading(self) -> Backbone:
        """Divided before the last stage, where the map of a view has twice as many cells a side."""
        assert isinstance(self.body, RegionBody)
        head = DeferredHead(EachView(self.body[-1]), self.head)
        return Backbone(self.body[:-1], head).train(self.training)


def build_ran(num_classes: int, affect: bool = False) -> Ran:
    """Build the untrained network, with valence and arousal if `affect`; its classifier starts at zero."""
    return Ran(num_classes, affect)


def load_official(backbone: Ran, path: Path, labels: Sequence[str] = EMOTIONS) -> None:
    """Fill the network from a checkpoint of the authors, converted to .safetensors.

    Valence and arousal, which it lacks, stay at their start.

    Args:
        backbone: with as many classes as the checkpoint; they come out in the order of `EMOTIONS`.
        path: the file.
        labels: the checkpoint's order; that of its FERPlus models is the one of FERPlus.

    Raises InputError for other files.
    """
    tensors = read_checkpoint(path)
    columns = canonical_columns(labels)
    ours: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        by_class = name.startswith("fc.") and len(tensor) == len(columns)
        ours[_our_name(name)] = tensor[columns] if by_class else tensor
    fill(backbone, ours, ("head.affect.",), path)


def _our_name(name: str) -> str:
    """The name here of a tensor of the official network; names that it does not know stay as they are."""
    if inside := body_name(name):
        return f"body.{inside}"
    for theirs, part in (("alpha.0.", "head.alpha."), ("beta.0.", "head.beta."), ("fc.", "head.classifier.")):
        if name.startswith(theirs):
            return part + name.removeprefix(theirs)
    return name


def _crop(pictures: Tensor, box_xyxy: tuple[float, float, float, float]) -> Tensor:
    """The box of pictures float (B, C, S, S), resized to S."""
    x0, y0, x1, y1 = box_xyxy
    affine = pictures.new_tensor([[x1 - x0, 0.0, x0 + x1 - 1.0], [0.0, y1 - y0, y0 + y1 - 1.0]])
    return _sample(pictures, _places(affine, pictures.shape[2:]))


def _lay(view: Tensor, box_xyxy: tuple[float, float, float, float]) -> Tensor:
    """A view's map float (B, 1, h, w) on the whole face, float (B, 1, 4h, 4w), zero outside its box."""
    x0, y0, x1, y1 = box_xyxy
    width, height = x1 - x0, y1 - y0
    affine = view.new_tensor(  # the inverse of the one that crops
        [[1.0 / width, 0.0, (1.0 - x0 - x1) / width], [0.0, 1.0 / height, (1.0 - y0 - y1) / height]]
    )
    places = _places(affine, [FINER * side for side in view.shape[2:]])
    inside = (places.abs() <= 1.0).all(dim=3)[:, None]
    return _sample(view, places) * inside / (width * height)


def _places(affine: Tensor, size_hw: Sequence[int]) -> Tensor:
    """Where each cell of a map lies after an affine matrix float (2, 3), float (1, h, w, 2) from -1 to 1.

    The same as `functional.affine_grid` with `align_corners=False`, which few runtimes know.
    """
    height, width = size_hw
    y, x = (_centres(side, affine) for side in (height, width))
    cells = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2)  # (h, w, 2)
    return (cells @ affine[:, :2].T + affine[:, 2])[None]


def _centres(cells: int, like: Tensor) -> Tensor:
    """Centres of cells that divide the way from -1 to 1, float (cells,)."""
    return (torch.arange(cells, dtype=like.dtype, device=like.device) * 2 + 1) / cells - 1


def _sample(maps: Tensor, places: Tensor) -> Tensor:
    """Read maps float (B, C, h, w) at places float (1, h', w', 2), bilinearly."""
    grid = places.expand(maps.shape[0], -1, -1, -1)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)
