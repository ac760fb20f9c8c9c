"""A whole split as tensors, small enough to stay in memory."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fer_space.data.faceset import FaceSet
from fer_space.vision.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures uint8 (N, C, h, w), labels int64 (N,), targets float32 (N, 8), affect float32 (N, 2).

    `affect` is valence and arousal in [-1, 1], NaN where nobody labelled a face.
    """

    pictures: Tensor
    labels: Tensor
    targets: Tensor
    affect: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def present(self) -> Tensor:
        """The emotions that some target names, bool (8,): what a network can learn from these faces."""
        return self.targets.sum(dim=0) > 0

    @classmethod
    def read(cls, faces: FaceSet, preprocess: Preprocess, limit: int = 0) -> "LabelledPictures":
        """Decode and reduce every picture once (the first `limit` of them, if given)."""
        count = min(limit or len(faces), len(faces))
        pictures = torch.cat([preprocess.reduce([faces.read(i)]) for i in range(count)])
        affect = torch.full((count, 2), torch.nan)
        if faces.affect is not None:
            affect = torch.from_numpy(faces.affect[:count]).float()
        labels, targets = torch.from_numpy(faces.labels[:count]), torch.from_numpy(faces.targets[:count])
        return cls(pictures, labels, targets, affect)
