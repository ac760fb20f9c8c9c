"""From a face crop to the tensor that a backbone sees: the same code in training, tests and the app."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional

from fer_space.vision.imaging import resize

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601


Side = Annotated[int, Field(ge=1, le=2048)]
Spread = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Preprocess:
    """What a backbone's card says about its input.

    Attributes:
        input_size: side in pixels of the tensor.
        native_size: side in pixels that every crop is first reduced to. Faces of FERPlus have 48; a
            crop from a sharp photo has to lose the same detail before it is enlarged to `input_size`.
        gray: whether colour is dropped (ITU-R 601 luma, repeated in three channels).
        mean, std: per RGB channel, for values in [0, 1].
    """

    input_size: Side
    native_size: Side
    gray: bool
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[Spread, Spread, Spread] = IMAGENET_STD

    def reduce(self, crops_rgb: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Crops uint8 (H, W, 3) RGB of any size -> uint8 (B, C, n, n), C = 1 if gray, n = native_size."""
        size = (self.native_size, self.native_size)
        pictures = [resize(_luma(crop) if self.gray else crop, size) for crop in crops_rgb]
        batch = torch.from_numpy(np.stack(pictures))
        return batch.unsqueeze(1) if self.gray else batch.permute(0, 3, 1, 2).contiguous()

    def normalise(self, pictures: Tensor) -> Tensor:
        """Pictures (B, C, h, w) with values 0 to 255 -> float (B, 3, S, S), S = input_size, channels last."""
        size = (self.input_size, self.input_size)
        values = pictures.float()
        if values.shape[-2:] != size:
            values = functional.interpolate(values, size, mode="bilinear", antialias=False)
        mean, std = _per_channel(self.mean, values.device), _per_channel(self.std, values.device)
        normalised = (values / 255.0 - mean) / std  # one gray channel spreads over the three
        return normalised.contiguous(memory_format=torch.channels_last)

    def see(self, pictures: Tensor, native_size: int = 0) -> Tensor:
        """`normalise` pictures made for another network, with no more colour and detail than this one knows.

        Args:
            pictures: float (B, C, h, w), values 0 to 255.
            native_size: side that they were reduced to; 0 for none that is known.
        """
        if native_size > self.native_size:
            pictures = functional.interpolate(pictures, (self.native_size, self.native_size), mode="area")
        if self.gray and pictures.shape[1] == 3:
            weights = _per_channel(LUMA, pictures.device)
            pictures = (pictures * weights).sum(dim=1, keepdim=True)
        return self.normalise(pictures)

    def pictures(self, inputs: Tensor) -> Tensor:
        """The way back from `normalise`: float (B, 3, S, S) -> uint8 (B, 3, S, S), to look at."""
        mean = inputs.new_tensor(self.mean).view(1, 3, 1, 1)
        std = inputs.new_tensor(self.std).view(1, 3, 1, 1)
        return ((inputs * std + mean) * 255.0).round().clamp(0.0, 255.0).to(torch.uint8)


@lru_cache(maxsize=32)
def _per_channel(values: tuple[float, float, float], device: torch.device) -> Tensor:
    """Three numbers as float32 (1, 3, 1, 1), copied to a device once: each copy stops a GPU's queue."""
    return torch.tensor(values).view(1, 3, 1, 1).to(device)


def _luma(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Picture uint8 (H, W, 3) RGB -> uint8 (H, W) by ITU-R 601."""
    return np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
