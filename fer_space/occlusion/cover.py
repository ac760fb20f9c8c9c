"""Something that covers every face of a picture, on the photo and on the crops that backbones get."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.occlusion import CROP_ONLY, occlude
from fer_space.types import Face, FaceCrop
from fer_space.vision.alignment import landmarks_in_crop

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Cover:
    """Something that covers every face of a picture.

    Attributes:
        kind: a name in `fer_space.occlusion.OCCLUSIONS`.
        colour: RGB, 0 to 255; None takes the kind's own.
        opacity: in [0, 1].
    """

    kind: str
    colour: tuple[int, int, int] | None = None
    opacity: float = 1.0

    def on_photo(self, image_rgb: Image, faces: Sequence[Face]) -> Image:
        """A new picture, every face with 68 landmarks covered; kinds that cut crops change nothing."""
        covered = image_rgb
        if self.kind in CROP_ONLY:
            return covered
        for face in faces:
            if face.all_68 is not None:
                covered = self._draw(covered, face.all_68)
        return covered

    def on_crop(self, crop: FaceCrop, face: Face) -> FaceCrop:
        """The crop of a face as the backbone gets it, cut from a picture that `on_photo` made.

        A face without 68 landmarks is covered here, as an average face.
        """
        landmarks = landmarks_in_crop(face, crop)
        if self.kind not in CROP_ONLY and landmarks is not None:
            return crop
        return replace(crop, image_rgb=self._draw(crop.image_rgb, landmarks))

    def _draw(self, image_rgb: Image, landmarks: NDArray[np.floating[Any]] | None) -> Image:
        return occlude(image_rgb, self.kind, landmarks, colour=self.colour, opacity=self.opacity)
