"""From positions in the training set to what the network sees: cut, augment, cover, mix.

`draw` decides everything that is random about a batch, the same in every process of a run; `batch` makes the
share of it that falls to one process.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.training.attention import guide_maps
from fer_space.training.augment import Augment, Draw
from fer_space.training.config import TrainConfig
from fer_space.training.losses import draw_labels, smooth
from fer_space.training.masking import MaskDraw, Masking, UpperDraw, UpperFace
from fer_space.training.mixing import MIXES, Mix, MixDraw
from fer_space.training.parallel import Worker
from fer_space.training.pictures import LabelledPictures
from fer_space.training.teaching import Teaching
from fer_space.vision.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class BatchDraw:
    """What was drawn for a batch of B pictures.

    Attributes:
        picks: int64 (B,), positions in the training set.
        size: side in pixels of the network's input.
        look: geometry, light and erasing.
        targets: float (B, K), before smoothing and mixing.
        masks: who wears one.
        upper: who is cut above the mask.
        mix: partners and how they are joined, or None.
    """

    picks: Tensor
    size: int
    look: Draw
    targets: Tensor
    masks: MaskDraw
    upper: UpperDraw
    mix: MixDraw | None


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalised inputs float (B, 3, S, S), targets float (B, K), affect float (B, 2)."""

    inputs: Tensor
    targets: Tensor
    affect: Tensor


class Guide(NamedTuple):
    """A trained network and how it wants its pictures: its attention steers a mix."""

    network: Backbone
    preprocess: Preprocess


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that a config does to a batch, built once a run.

    Attributes:
        config: names the steps.
        augment, masking, upper, mix: the steps; the last is None where the config has none.
        guide: whose attention a mix follows, or None.
        teaching: who has a say in the targets, or None.
    """

    config: TrainConfig
    augment: Augment
    masking: Masking
    upper: UpperFace
    mix: Mix | None
    guide: Guide | None
    teaching: Teaching | None

    @classmethod
    def of(
        cls, config: TrainConfig, guide: Guide | None = None, teaching: Teaching | None = None
    ) -> "Recipe":
        """The recipe of a config; `guide` where its mix needs one, `teaching` where it names teachers."""
        augment = Augment(
            config.rotate,
            config.zoom,
            config.shift,
            config.brightness,
            config.contrast,
            config.flip,
            config.erase,
        )
        masking = Masking(config.mask, native_size=config.native_size)
        mix = None if config.mix == "none" else MIXES[config.mix](share=config.mix_share)
        return cls(config, augment, masking, UpperFace(config.upper), mix, guide, teaching)

    def draw(self, train_set: LabelledPictures, picks: Tensor, size: int, rng: torch.Generator) -> BatchDraw:
        """Draw for the pictures at `picks` from `rng`; nothing else is random."""
        look = self.augment.draw(len(picks), rng)
        targets = train_set.targets[picks]
        if self.config.target == "pld":
            targets = draw_labels(targets, rng)
        masks, upper = self.masking.draw(len(picks), rng), self.upper.draw(len(picks), rng)
        mix = self.mix.draw(len(picks), size, rng) if self.mix else None
        return BatchDraw(picks, size, look, targets, masks, upper, mix)

    def batch(
        self,
        train_set: LabelledPictures,
        draw: BatchDraw,
        preprocess: Preprocess,
        network: Backbone,
        worker: Worker,
    ) -> Batch:
        """The worker's share of a batch; `network` gives the maps of a mix that follows them."""
        rows = worker.share(torch.arange(len(draw.picks)))
        affect = train_set.affect[draw.picks[rows]]
        if self.mix is None or draw.mix is None:
            pictures, targets = self._rows(train_set, draw, rows)
            return Batch(preprocess.normalise(pictures), targets, affect)
        mine = draw.mix.map(worker.share)
        needed, place = torch.unique(torch.cat([rows, mine.partner]), return_inverse=True)
        pictures, targets = self._rows(train_set, draw, needed)
        first, second = place.chunk(2)
        maps = self._maps(pictures, targets, Guide(network, preprocess))
        mixed, labels = self.mix.apply(
            pictures[first],
            targets[first],
            pictures[second],
            targets[second],
            mine,
            None if maps is None else maps[first],
            None if maps is None else maps[second],
        )
        mingled = (mixed != pictures[first]).flatten(1).any(dim=1)
        affect = affect.masked_fill(mingled[:, None], torch.nan)  # no rule says what half a face feels
        return Batch(preprocess.normalise(mixed), labels, affect)

    def _rows(self, train_set: LabelledPictures, draw: BatchDraw, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Augmented and covered pictures float (R, C, S, S) and targets (R, K) of rows of the batch."""

        def pick(tensor: Tensor) -> Tensor:
            return tensor[rows]

        look, masks, upper = draw.look.map(pick), draw.masks.map(pick), draw.upper.map(pick)
        targets, faces = draw.targets[rows], train_set.pictures[draw.picks[rows]]
        shown = self.upper.apply(faces.float(), upper) if self.config.upper else faces
        pictures = self.augment.apply(shown, look, draw.size)
        if self.teaching:
            uncut = self.augment.apply(faces, look, draw.size) if self.config.upper else pictures
            targets = self.teaching.apply(uncut, targets)
        if self.config.mask:
            whole = replace(masks, worn=masks.worn & ~upper.cut)  # a face that was cut has nothing to hide
            pictures = self.masking.apply(pictures, whole, look.affine)
        if self.config.label_smoothing:
            targets = smooth(targets, self.config.label_smoothing, train_set.present)
        return pictures, targets

    def _maps(self, pictures: Tensor, targets: Tensor, own: Guide) -> Tensor | None:
        """Attention float (R, h, w) to each picture's strongest label, if the mix asks for it."""
        assert self.mix is not None
        source = {"own": own, "guide": self.guide}.get(self.mix.needs)
        if source is None:
            return None
        device = next(source.network.parameters()).device
        classes = targets.argmax(dim=1)
        return guide_maps(source.network, source.preprocess, pictures.to(device), classes.to(device)).cpu()
