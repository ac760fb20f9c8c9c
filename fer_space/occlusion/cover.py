"""Something that occludes every face of a picture, on the photo and on the crops that models get."""

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
    """Something that occludes every face of a picture.

    Models see it drawn on their crops, in the app and in tests alike; the photo shows it to people.

    Attributes:
        kind: a name in `fer_space.occlusion.OCCLUSIONS`.
        colour: RGB, 0 to 255; None takes the kind's own.
        opacity: in [0, 1].

    Example:
        >>> Cover("surgical", opacity=0.5).kind
        'surgical'
    """

    kind: str
    colour: tuple[int, int, int] | None = None
    opacity: float = 1.0

    def on_photo(self, image_rgb: Image, faces: Sequence[Face]) -> Image:
        """Draw it on every face with 68 landmarks.

        Returns:
            A new picture, or the same one where nothing is drawn: kinds that cut crops change no photo.
        """
        covered = image_rgb
        if self.kind in CROP_ONLY:
            return covered
        for face in faces:
            if face.all_68 is not None:
                covered = self._draw(covered, face.all_68)
        return covered

    def on_crop(self, crop: FaceCrop, face: Face) -> FaceCrop:
        """Draw it on the crop of a face, by its landmarks, or else as on an average face."""
        return replace(crop, image_rgb=self._draw(crop.image_rgb, landmarks_in_crop(face, crop)))

    def on_picture(self, crop_rgb: Image) -> Image:
        """Draw it as on an average face on a picture uint8 (S, S, 3) that is a face crop already."""
        return self._draw(crop_rgb, None)

    def _draw(self, image_rgb: Image, landmarks: NDArray[np.floating[Any]] | None) -> Image:
        return occlude(image_rgb, self.kind, landmarks, colour=self.colour, opacity=self.opacity)
