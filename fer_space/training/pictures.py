"""A whole split as tensors, small enough to stay in memory."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from fer_space.data.faceset import FaceSet, Member
from fer_space.emotions import EMOTIONS
from fer_space.vision.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """One split of the training data, decoded.

    Attributes:
        pictures: uint8 (N, C, h, w), the only tensor that `on` moves.
        labels: int64 (N,), index into `EMOTIONS`.
        targets: float32 (N, 8).
        affect: float32 (N, 2), valence and arousal in [-1, 1], NaN where nobody labelled a face.
        members: the sets that were joined; a set alone is its own member.
        origins: int64 (N,), which member each face is of; empty for a set alone.
    """

    pictures: Tensor
    labels: Tensor
    targets: Tensor
    affect: Tensor
    members: tuple[Member, ...] = (Member("", EMOTIONS),)
    origins: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def present(self) -> Tensor:
        """The emotions that some target names, bool (8,): what a network can learn from these faces."""
        return self.targets.sum(dim=0) > 0

    @cached_property
    def present_there(self) -> Tensor:
        """`present` on the device of the pictures."""
        return self.present.to(self.pictures.device)

    def of_member(self, number: int) -> Tensor:
        """Which faces are of a member of the joined sets, bool (N,)."""
        return self.origins == number if len(self.origins) else torch.ones(len(self), dtype=torch.bool)

    def on(self, device: torch.device) -> "LabelledPictures":
        """The same faces with their pictures on a device."""
        return replace(self, pictures=self.pictures.to(device))

    @classmethod
    def read(cls, faces: FaceSet, preprocess: Preprocess, limit: int = 0) -> "LabelledPictures":
        """Decode and reduce every picture once; with `limit` so many of them, of joined sets an even sample."""
        chosen = _sample(faces, limit)
        if len(chosen) < len(faces):
            faces = faces.select(chosen)
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            pictures = torch.cat(list(pool.map(lambda i: preprocess.reduce([faces.read(i)]), range(len(faces)))))
        affect = torch.full((len(faces), 2), torch.nan)
        if faces.affect is not None:
            affect = torch.from_numpy(faces.affect).float()
        labels, targets = torch.from_numpy(faces.labels), torch.from_numpy(faces.targets)
        origins = torch.empty(0, dtype=torch.int64)
        if faces.origins is not None:
            origins = torch.from_numpy(faces.origins)
        return cls(pictures, labels, targets, affect, faces.members, origins)


def _sample(faces: FaceSet, limit: int) -> Iterable[int]:
    """The first `limit` faces; of joined sets, whose faces stand one set after the other, every so many."""
    if not 0 < limit < len(faces):
        return range(len(faces))
    if faces.origins is None:
        return range(limit)
    return [i * len(faces) // limit for i in range(limit)]
