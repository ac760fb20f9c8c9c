"""From positions in the training set to what the network sees: cut, augment, cover, photograph, mix.

`draw` decides everything that is random about a batch, on the CPU and the same in every process of a run;
`batch` makes the share of it that falls to one process, on the device where the pictures are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.training.attention import guide_maps
from fer_space.training.augment import Augment, Draw
from fer_space.training.camera import Camera, CameraDraw
from fer_space.training.config import TrainConfig
from fer_space.training.losses import draw_labels, smooth
from fer_space.training.masking import MaskDraw, Masking, UpperDraw, UpperFace
from fer_space.training.mixing import MIXES, Mix, MixDraw
from fer_space.training.parallel import Worker
from fer_space.training.pictures import LabelledPictures
from fer_space.training.shipping import ship
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
        camera: what it does to each picture.
    """

    picks: Tensor
    size: int
    look: Draw
    targets: Tensor
    masks: MaskDraw
    upper: UpperDraw
    mix: MixDraw | None
    camera: CameraDraw | None

    def map(self, pick: Callable[[Tensor], Tensor], mix: MixDraw | None) -> "BatchDraw":
        """The draw of some of the pictures, which are mixed as `mix` says."""
        camera = self.camera.map(pick) if self.camera else None
        return BatchDraw(
            pick(self.picks),
            self.size,
            self.look.map(pick),
            pick(self.targets),
            self.masks.map(pick),
            self.upper.map(pick),
            mix,
            camera,
        )


@dataclass(frozen=True, eq=False)
class Shipment:
    """What the training device is told about a batch, in one copy.

    Attributes:
        draw: of the R pictures that are made; partners in its `mix` are those of its B rows.
        affect: float (B, 2), of the pictures that are shown.
        first, second: int64 (B,), which of the R pictures each row is, and which is mixed into it.
    """

    draw: BatchDraw
    affect: Tensor
    first: Tensor
    second: Tensor


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
        augment, masking, upper, camera, mix: the steps; the last is None where the config has none.
        guide: whose attention a mix follows, or None.
        teaching: who has a say in the targets, or None.
    """

    config: TrainConfig
    augment: Augment
    masking: Masking
    upper: UpperFace
    camera: Camera
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
        camera = Camera(config.decolour, config.gamma, config.blur, config.noise, config.jpeg)
        return cls(config, augment, masking, UpperFace(config.upper), camera, mix, guide, teaching)

    def draw(self, train_set: LabelledPictures, picks: Tensor, size: int, rng: torch.Generator) -> BatchDraw:
        """Draw for the pictures at `picks` from `rng`; nothing else is random."""
        look = self.augment.draw(len(picks), rng)
        targets = train_set.targets[picks]
        if self.config.target == "pld":
            targets = draw_labels(targets, rng)
        masks, upper = self.masking.draw(len(picks), rng), self.upper.draw(len(picks), rng)
        mix = self.mix.draw(len(picks), size, rng) if self.mix else None
        camera = None if self.camera.idle else self.camera.draw(len(picks), rng)
        return BatchDraw(picks, size, look, targets, masks, upper, mix, camera)

    def batch(
        self,
        train_set: LabelledPictures,
        draw: BatchDraw,
        preprocess: Preprocess,
        network: Backbone,
        worker: Worker,
    ) -> Batch:
        """The worker's share of a batch; `network` gives the maps of a mix that follows them."""
        sent = ship(self.shipment(train_set, draw, worker), train_set.pictures.device)
        pictures, targets = self._rows(train_set, sent.draw)
        affect, mine = sent.affect, sent.draw.mix
        if self.mix is None or mine is None:
            return Batch(preprocess.normalise(pictures), targets, affect)
        first, second = sent.first, sent.second
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

    def shipment(self, train_set: LabelledPictures, draw: BatchDraw, worker: Worker) -> Shipment:
        """What of a draw the worker needs for its share, on the CPU."""
        rows = worker.share(torch.arange(len(draw.picks)))
        affect = train_set.affect[draw.picks[rows]]
        if draw.mix is None:
            return Shipment(draw.map(worker.share, None), affect, rows, rows)
        mine = draw.mix.map(worker.share)
        needed, place = torch.unique(torch.cat([rows, mine.partner]), return_inverse=True)
        first, second = place.chunk(2)
        return Shipment(draw.map(lambda tensor: tensor[needed], mine), affect, first, second)

    def _rows(self, train_set: LabelledPictures, draw: BatchDraw) -> tuple[Tensor, Tensor]:
        """Augmented and covered pictures float (R, C, S, S) and targets (R, K)."""
        look, targets, faces = draw.look, draw.targets, train_set.pictures[draw.picks]
        shown = self.upper.apply(faces.float(), draw.upper) if self.config.upper else faces
        pictures = self.augment.apply(shown, look, draw.size)
        if self.teaching:
            uncut = self.augment.apply(faces, look, draw.size) if self.config.upper else pictures
            targets = self.teaching.apply(uncut, targets)
        if self.config.mask:
            worn = draw.masks.worn & ~draw.upper.cut  # a face that was cut has nothing to hide
            pictures = self.masking.apply(pictures, replace(draw.masks, worn=worn), look.affine)
        if draw.camera:
            pictures = self.camera.apply(pictures, draw.camera)
        if self.config.label_smoothing:
            targets = smooth(targets, self.config.label_smoothing, train_set.present_there)
        return pictures, targets

    def _maps(self, pictures: Tensor, targets: Tensor, own: Guide) -> Tensor | None:
        """Attention float (R, h, w) to each picture's strongest label, if the mix asks for it."""
        assert self.mix is not None
        source = {"own": own, "guide": self.guide}.get(self.mix.needs)
        if source is None:
            return None
        return guide_maps(source.network, source.preprocess, pictures, targets.argmax(dim=1))
