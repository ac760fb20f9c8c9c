"""What a mask leaves free of a face crop."""

import numpy as np

from fer_space.occlusion.layers import Image
from fer_space.occlusion.pose import Landmarks, checked
from fer_space.vision.imaging import resize

UPPER_SHARE = 0.52  # of a crop's height lies above point 29 of the average face


def upper_face(crop_rgb: Image, landmarks: Landmarks | None = None) -> Image:
    """The part of a face crop that a mask leaves free, stretched to the crop's own size.

    All that is left fills the network's input, at the price of a face drawn taller. What training cuts
    (`fer_space.training.masking.UpperFace`) is stretched in the same way.

    Args:
        crop_rgb: uint8 (H, W, 3) RGB, an upright face crop; it is not changed.
        landmarks: float (68, 2) in pixels of the crop: it is cut at point 29, on the nose bridge, if that
            lies in the crop. Without them it is cut at `UPPER_SHARE` of its height.

    Returns:
        A new picture uint8 (H, W, 3) RGB.

    Raises:
        ValueError: the landmarks have another shape or are not finite.
    """
    height, width = crop_rgb.shape[:2]
    cut = height * UPPER_SHARE if landmarks is None else float(checked(landmarks)[29, 1]) + 0.5
    rows = min(max(round(cut), 1), height)
    return resize(np.ascontiguousarray(crop_rgb[:rows]), (height, width))
