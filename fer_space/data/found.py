"""A face that a detector found in a whole picture, and how it is cut out; or that it found none."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_space.types import Face
from fer_space.vision.alignment import CROP_SIZE, CropRule, crop_transform
from fer_space.vision.imaging import warp

NO_FACE = "no face was found in the picture"


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector made of one picture.

    Attributes:
        detector: its name.
        sha256: of the picture's file, hexadecimal: a picture that changed is looked at again.
        face: in pixels of the whole picture; None where there is none.
        photo_to_crop: float64 (2, 3), maps a point [x, y, 1] of the picture to a crop of `CROP_SIZE`;
            None without a face.
    """

    detector: str
    sha256: str
    face: Face | None = None
    photo_to_crop: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if (self.face is None) != (self.photo_to_crop is None):
            raise ValueError("a face and its transform belong together")

    @property
    def is_face(self) -> bool:
        """Whether there is a face."""
        return self.face is not None

    def is_of(self, encoded: bytes) -> bool:
        """Whether this file is the picture, and not another one that took its place."""
        return self.sha256 == digest(encoded)

    def framed(self, rule: CropRule) -> "Found":
        """The same face, cut out by another rule."""
        if self.face is None:
            return self
        return Found(self.detector, self.sha256, self.face, crop_transform(self.face, rule))

    def crop(self, image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the face out of its whole picture, uint8 (H, W, 3) -> (`CROP_SIZE`, `CROP_SIZE`, 3) RGB.

        Raises ValueError where there is no face.
        """
        if self.photo_to_crop is None:
            raise ValueError("there is no face to cut out")
        return warp(image_rgb, self.photo_to_crop, CROP_SIZE)


def digest(encoded: bytes) -> str:
    """sha256 of the bytes of a picture's file, hexadecimal."""
    return hashlib.sha256(encoded).hexdigest()
