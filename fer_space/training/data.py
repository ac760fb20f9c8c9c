"""The faces of a run: read once, kept as tensors, and shown in an order that each epoch samples anew."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_space.data import open_data
from fer_space.data.aligning import Detect, aligned
from fer_space.data.faceset import FaceSet, Member
from fer_space.detectors.pipeline import finder
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError
from fer_space.runtime.threads import cores
from fer_space.training.config import Imbalance, TrainConfig, parse_numbers
from fer_space.training.initialise import start_card
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

COLUMNS = ("pictures", "labels", "targets", "affect")  # of every face
POWER = {"balanced": 0.0, "sqrt": 0.5}


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Hold one split of the training data, decoded.

    Attributes:
        pictures: uint8 (N, C, h, w), the only tensor that `on` moves.
        labels: int64 (N,), index into `EMOTIONS`; NO_ANSWER where nobody named an emotion.
        targets: float32 (N, 8); zeros there.
        affect: float32 (N, 2), valence and arousal in [-1, 1], NaN where nobody labelled a face.
        members: the sets that were joined; a set alone is its own member.
        origins: int64 (N,), which member each face is of; empty for a set alone.
    """

    pictures: Tensor
    labels: Tensor
    targets: Tensor
    affect: Tensor
    members: tuple[Member, ...] = (Member("faces", EMOTIONS),)
    origins: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def present(self) -> Tensor:
        """Find the emotions that some target names, bool (8,): what a network can learn here."""
        return self.targets.sum(dim=0) > 0

    @cached_property
    def present_there(self) -> Tensor:
        """Give `present` on the device of the pictures."""
        return self.present.to(self.pictures.device)

    @property
    def labelled(self) -> Tensor:
        """Find the faces of which somebody named an emotion, bool (N,)."""
        return self.labels != NO_ANSWER

    @property
    def has_emotions(self) -> bool:
        """Whether there is an emotion to learn; else valence and arousal are all that is known."""
        return bool(self.labelled.any())

    def of_member(self, number: int) -> Tensor:
        """Find the faces of a member of the joined sets, bool (N,)."""
        return self.origins == number if len(self.origins) else torch.ones(len(self), dtype=torch.bool)

    @property
    def first_member(self) -> Tensor:
        """Find the labelled faces of the first of the joined sets that has one, bool (N,): they decide.

        Where nobody named an emotion, none decides.
        """
        members = (self.of_member(n) & self.labelled for n in range(len(self.members)))
        return next((mine for mine in members if mine.any()), torch.zeros(len(self), dtype=torch.bool))

    def on(self, device: torch.device) -> "LabelledPictures":
        """Move the pictures, and nothing else, to a device."""
        return replace(self, pictures=self.pictures.to(device))

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "LabelledPictures":
        """Keep some faces: by their positions, or by whether each is kept."""
        at = torch.from_numpy(rows)
        kept = {name: getattr(self, name)[at] for name in COLUMNS}
        return replace(self, **kept, origins=self.origins[at] if len(self.origins) else self.origins)

    @classmethod
    def joined(cls, parts: Sequence["LabelledPictures"]) -> "LabelledPictures":
        """Put faces of several sets one after the other, as one set alone."""
        pictures, labels, targets, affect = (
            torch.cat([getattr(part, name) for part in parts]) for name in COLUMNS
        )
        return cls(pictures, labels, targets, affect)

    @classmethod
    def read(cls, faces: FaceSet, preprocess: Preprocess, limit: int = 0) -> "LabelledPictures":
        """Decode and reduce every picture once, or `limit` of them: of joined sets an even sample."""
        chosen = _sample(faces, limit)
        if len(chosen) < len(faces):
            faces = faces.select(chosen)
        with ThreadPoolExecutor(max_workers=cores()) as pool:
            pictures = torch.cat(
                list(pool.map(lambda i: preprocess.reduce([faces.read(i)]), range(len(faces))))
            )
        affect = torch.full((len(faces), 2), torch.nan)
        if faces.affect is not None:
            affect = torch.from_numpy(faces.affect).float()
        labels, targets = torch.from_numpy(faces.labels), torch.from_numpy(faces.targets)
        origins = torch.empty(0, dtype=torch.int64)
        if faces.origins is not None:
            origins = torch.from_numpy(faces.origins)
        return cls(pictures, labels, targets, affect, faces.members, origins)


def _sample(faces: FaceSet, limit: int) -> Sequence[int]:
    """The first `limit` faces; of joined sets, whose faces stand one set after the other, every so many."""
    if not 0 < limit < len(faces):
        return range(len(faces))
    if faces.origins is None:
        return range(limit)
    return [i * len(faces) // limit for i in range(limit)]


def read_faces(
    config: TrainConfig, preprocess: Preprocess, *, aloud: bool = True
) -> tuple[LabelledPictures, LabelledPictures]:
    """Read the training and the validation faces of a run, and refuse what it could not end with.

    Args:
        config: names the data, and what finds the faces in it.
        preprocess: how the network sees faces.
        aloud: say on stderr what was left out.

    Raises:
        InputError: a split has too few faces, emotions or ratings for this run.
        UnknownNameError, MissingDependencyError: there is no such detector, or it is not installed.
        DataError: the data cannot be read.
    """
    detect = finder(config.detect) if config.detect else None
    train_set, valid_set = (
        _aligned(faces, config, detect)
        for faces in (
            open_data(config.data, "train", config.target, config.second_label),
            open_data(config.data, "valid"),
        )
    )
    if aloud:
        train_set.say_dropped()
        valid_set.say_dropped()
        _say_shared(train_set, valid_set)
    trained, held_out = (
        LabelledPictures.read(faces, preprocess, config.limit) for faces in (train_set, valid_set)
    )
    check_faces(config, trained, held_out)
    return trained, held_out


def _aligned(faces: FaceSet, config: TrainConfig, detect: Detect | None) -> FaceSet:
    """The faces that the run reads, found and framed as its card will say, if it has a detector."""
    if detect is None:
        return faces
    return aligned(faces.select(_sample(faces, config.limit)), config.detect, detect, CropRule())


def check_faces(config: TrainConfig, train_set: LabelledPictures, valid_set: LabelledPictures) -> None:
    """Raise InputError or DataError for faces with which a run would fail after hours."""
    if min(len(train_set), len(valid_set)) < 2 * config.processes:
        raise InputError(f"{config.data} has fewer pictures in a split than two for each process of the run.")
    if config.affect_weight and not train_set.affect.isfinite().any():
        raise InputError(f"{config.data} has no valence and arousal to learn: leave out --affect-weight.")
    times_shown(train_set, config.sampling)  # names a set that is not there
    if not train_set.has_emotions:
        _check_affect(config, valid_set)
        return
    if int(train_set.present.sum()) < 2:
        raise DataError(f"{config.data} shows one emotion alone in training: there is nothing to tell apart.")
    first = valid_set.first_member
    if not train_set.present[valid_set.labels[first]].any():
        raise DataError(f"No validation face of {config.data} shows an emotion that is trained.")


def _check_affect(config: TrainConfig, valid_set: LabelledPictures) -> None:
    """Raise InputError unless a run can learn from faces with valence and arousal alone."""
    alone = f"{config.data} has valence and arousal alone"
    if not config.affect_weight:
        raise InputError(f"{alone}: without --affect-weight there is nothing to learn.")
    if start_card(config.init) is None:
        raise InputError(
            f"{alone}: join a set that has emotions, or name weights of {config.backbone} that know them, "
            "their card beside them, with --init FILE."
        )
    if int(valid_set.affect.isfinite().all(dim=1).sum()) < 2:
        raise InputError(f"{alone}, and too few such faces in its valid split to choose an epoch by.")


def _say_shared(train_set: FaceSet, valid_set: FaceSet) -> None:
    """Say on stderr when the epoch is chosen, and any later test made, on faces that are trained on."""
    if shared := len(set(train_set.files) & set(valid_set.files)):
        print(
            f"{train_set.name}: {shared:,} training faces are valid faces too. The set has no training split "
            "of its own, so what is measured on it says nothing about new faces.",
            file=sys.stderr,
        )


def times_shown(faces: LabelledPictures, sampling: str) -> Tensor | None:
    """Count how often an epoch shows each face.

    Args:
        faces: of one set or of joined ones.
        sampling: as `TrainConfig.sampling`.

    Returns:
        float32 (N,), or None where each is shown once.

    Raises:
        InputError: a set is named that is not among the joined ones.
    """
    shares = parse_numbers(sampling, "sampling")
    names = [member.name for member in faces.members]
    if unknown := [name for name in shares if name not in names]:
        raise InputError(f"--sampling: there is no set “{unknown[0]}” in --data, only {', '.join(names)}.")
    if not shares:
        return None
    times = torch.ones(len(faces))
    for number, name in enumerate(names):
        times[faces.of_member(number)] = shares.get(name, 1.0)
    return times


def epoch_length(labels: Tensor, imbalance: Imbalance, times: Tensor | None = None, limit: int = 0) -> int:
    """Count the pictures that an epoch shows, the same in every epoch; arguments as for `epoch_order`."""
    if times is not None:
        labels = labels[_repeated(times, None)]
    if not len(labels):
        return 0
    labels = _groups(labels)
    counts = torch.bincount(labels)
    counts = counts[counts > 0]
    per_class = {"oversample": counts.max(), "undersample": counts.min()}.get(imbalance)
    if per_class is None:
        return len(labels)
    return min(int(per_class), limit or int(per_class)) * len(counts)


def epoch_order(
    labels: Tensor,
    imbalance: Imbalance,
    rng: torch.Generator,
    times: Tensor | None = None,
    limit: int = 0,
) -> Tensor:
    """Shuffle one epoch.

    `none` shows every picture once. `oversample` repeats the pictures of each emotion until all have as many
    as the most frequent one, `undersample` takes as many of each as the rarest has. `balanced` samples the
    emotion evenly and then a picture of it, N times with replacement; `sqrt` samples the emotion in
    proportion to the square root of its count (Mahajan et al. 2018, arXiv 1805.00932).

    Args:
        labels: int64 (N,).
        imbalance: one of these rules.
        rng: nothing else is random.
        times: float (N,), how often a picture stands in the set before any of this: 2.5 twice, and half of
            the pictures of its kind a third time, others in each epoch. None for all once.
        limit: most pictures of an emotion that over- and undersampling show; 0 for no limit.

    Returns:
        Positions int64 (`epoch_length`,).
    """
    if times is not None:
        places = _repeated(times, rng)
        if not len(places):
            raise DataError("--sampling leaves no face to train on.")
        return places[epoch_order(labels[places], imbalance, rng, limit=limit)]
    if imbalance == "none":
        return torch.randperm(len(labels), generator=rng)
    labels = _groups(labels)
    if imbalance in POWER:
        counts = torch.bincount(labels).float()
        chance = torch.where(counts > 0, counts ** (POWER[imbalance] - 1.0), torch.zeros_like(counts))
        return torch.multinomial(chance[labels], len(labels), replacement=True, generator=rng)
    present = torch.nonzero(torch.bincount(labels))[:, 0]
    each = epoch_length(labels, imbalance, limit=limit) // len(present)
    picked = torch.cat([_repeat(torch.nonzero(labels == k)[:, 0], each, rng) for k in present])
    return picked[torch.randperm(len(picked), generator=rng)]


def _groups(labels: Tensor) -> Tensor:
    """Labels int64 (N,) in which the faces without an emotion are one more kind, none below 0."""
    return labels.where(labels != NO_ANSWER, len(EMOTIONS))


def _repeated(times: Tensor, rng: torch.Generator | None) -> Tensor:
    """Positions int64 (M,) in which each one stands `times` float (N,) times, M the same whatever is random.

    The part behind the point falls to a random part of the positions with one number of times, or without a
    generator to the first of them.
    """
    parts = []
    for number in sorted(set(times.tolist())):
        positions = torch.nonzero(times == number)[:, 0]
        whole, rest = int(number), round((number - int(number)) * len(positions))
        parts += [positions] * whole
        if rest and rng is not None:
            parts.append(positions[torch.randperm(len(positions), generator=rng)[:rest]])
        elif rest:
            parts.append(positions[:rest])
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _repeat(positions: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """`count` of the positions: all of them as often as they fit, then a random part once more."""
    rounds = -(-count // len(positions))
    return torch.cat([positions[torch.randperm(len(positions), generator=rng)] for _ in range(rounds)])[
        :count
    ]
