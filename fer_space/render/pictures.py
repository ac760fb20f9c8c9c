"""Pixels as data URIs that leave no file."""

from base64 import b64encode

import cv2
import numpy as np
from numpy.typing import NDArray


def shrink(image_rgb: NDArray[np.uint8], longest: int = 1280) -> NDArray[np.uint8]:
    """Scale a picture (uint8 RGB) down so that no side is longer than `longest`; smaller ones stay."""
    height, width = image_rgb.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1.0:
        return image_rgb
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image_rgb, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def data_uri(image_rgb: NDArray[np.uint8], quality: int = 88) -> str:
    """Encode a picture (uint8 RGB) as a JPEG inside a data URI."""
    _, jpeg = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"data:image/jpeg;base64,{b64encode(jpeg.tobytes()).decode()}"
