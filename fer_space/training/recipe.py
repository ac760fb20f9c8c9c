"""From positions in the training set to what the network sees: cut, augment, cover, photograph, mix.

`sample` decides everything that is random about a batch, on the CPU and the same in every process of a run;
`batch` makes the share of it that falls to one process, on the device where the pictures are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.model import Model
from fer_space.training.attention import class_maps
from fer_space.training.augment import Augment, LookParams
from fer_space.training.camera import Camera, CameraParams
from fer_space.training.config import TrainConfig
from fer_space.training.data import LabelledPictures
from fer_space.training.distillation import Teaching
from fer_space.training.losses import sample_labels, smooth
from fer_space.training.masking import Masking, MaskParams, UpperFace, UpperParams
from fer_space.training.mixing import MIXES, Mix, MixParams
from fer_space.training.parallel import Worker
from fer_space.training.params import ship
from fer_space.vision.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class BatchParams:
    """What was sampled for a batch of B pictures.

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
    look: LookParams
    targets: Tensor
    masks: MaskParams
    upper: UpperParams
    mix: MixParams | None
    camera: CameraParams | None

    def part(self, pick: Callable[[Tensor], Tensor], mix: MixParams | None) -> "BatchParams":
        """Keep some of the pictures, which are mixed as `mix` says."""
        return replace(
            self,
            picks=pick(self.picks),
            look=self.look.map(pick),
            targets=pick(self.targets),
            masks=self.masks.map(pick),
            upper=self.upper.map(pick),
            mix=mix,
            camera=self.camera.map(pick) if self.camera else None,
        )


@dataclass(frozen=True, eq=False)
class Shipment:
    """What the training device is told about a batch, in one copy.

    Attributes:
        params: of the R pictures that are made; partners in its `mix` are those of its B rows.
        affect: float (B, 2), of the pictures that are shown.
        first, second: int64 (B,), which of the R pictures each row is, and which is mixed into it.
    """

    params: BatchParams
    affect: Tensor
    first: Tensor
    second: Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalised inputs float (B, 3, S, S), targets float (B, K), affect float (B, 2)."""

    inputs: Tensor
    targets: Tensor
    affect: Tensor


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
    guide: Model | None
    teaching: Teaching | None

    @classmethod
    def of(
        cls, config: TrainConfig, guide: Model | None = None, teaching: Teaching | None = None
    ) -> "Recipe":
        """Build the recipe of a config, with a guide where its mix needs one, and teachers if any."""
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

    def sample(
        self, train_set: LabelledPictures, picks: Tensor, size: int, rng: torch.Generator
    ) -> BatchParams:
        """Sample for the pictures at `picks` int64 (B,) from `rng`; nothing else is random."""
        look = self.augment.sample(len(picks), rng)
        targets = train_set.targets[picks]
        if self.config.target == "pld":
            targets = sample_labels(targets, rng)
        masks, upper = self.masking.sample(len(picks), rng), self.upper.sample(len(picks), rng)
        mix = self.mix.sample(len(picks), size, rng) if self.mix else None
        camera = None if self.camera.idle else self.camera.sample(len(picks), rng)
        return BatchParams(picks, size, look, targets, masks, upper, mix, camera)

    def batch(
        self,
        train_set: LabelledPictures,
        params: BatchParams,
        preprocess: Preprocess,
        network: Backbone,
        worker: Worker,
    ) -> Batch:
        """Make the worker's share of a batch.

        Args:
            train_set: its pictures lie on the training device.
            params: from `sample`, on the CPU.
            preprocess: of the size that is trained.
            network: in training; gives the maps of a mix that follows them.
            worker: whose share.
        """
        # 1. All numbers go to the device together.
        sent = ship(self.shipment(train_set, params, worker), train_set.pictures.device)
        # 2. Every picture that is needed is made once.
        pictures, targets = self._rows(train_set, sent.params)
        # 3. Pictures and targets of two become one.
        affect, mine = sent.affect, sent.params.mix
        if self.mix is None or mine is None:
            return Batch(preprocess.normalise(pictures), targets, affect)
        first, second = sent.first, sent.second
        maps = self._maps(pictures, targets, network, preprocess)
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

    def shipment(self, train_set: LabelledPictures, params: BatchParams, worker: Worker) -> Shipment:
        """Pick what the worker needs for its share, on the CPU."""
        rows = worker.share(torch.arange(len(params.picks)))
        affect = train_set.affect[params.picks[rows]]
        if params.mix is None:
            return Shipment(params.part(worker.share, None), affect, rows, rows)
        mine = params.mix.map(worker.share)
        needed, place = torch.unique(torch.cat([rows, mine.partner]), return_inverse=True)
        first, second = place.chunk(2)
        return Shipment(params.part(lambda tensor: tensor[needed], mine), affect, first, second)

    def _rows(self, train_set: LabelledPictures, params: BatchParams) -> tuple[Tensor, Tensor]:
        """Make augmented and covered pictures float (R, C, S, S) and targets (R, K)."""
        look, targets, faces = params.look, params.targets, train_set.pictures[params.picks]
        shown = self.upper.apply(faces.float(), params.upper) if self.config.upper else faces
        pictures = self.augment.apply(shown, look, params.size)
        if self.teaching:
            uncut = self.augment.apply(faces, look, params.size) if self.config.upper else pictures
            targets = self.teaching.apply(uncut, targets)
        if self.config.mask:
            worn = params.masks.worn & ~params.upper.cut  # a face that was cut has nothing to hide
            pictures = self.masking.apply(pictures, replace(params.masks, worn=worn), look.affine)
        if params.camera:
            pictures = self.camera.apply(pictures, params.camera)
        if self.config.label_smoothing:
            targets = smooth(targets, self.config.label_smoothing, train_set.present_there)
        return pictures, targets

    def _maps(
        self, pictures: Tensor, targets: Tensor, network: Backbone, preprocess: Preprocess
    ) -> Tensor | None:
        """Give attention float (R, h, w) to each picture's strongest label, if the mix asks for it."""
        strongest = targets.argmax(dim=1)
        if self.mix is not None and self.mix.needs == "own":
            return class_maps(network, preprocess.normalise(pictures), strongest)
        if self.mix is not None and self.mix.needs == "guide" and self.guide is not None:
            return self.guide.class_maps(pictures, strongest, self.config.native_size)
        return None
