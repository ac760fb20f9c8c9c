"""Pictures: a heatmap over a face, its colour legend, and pixels as data URIs that leave no file."""

from base64 import b64encode
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

OPACITY = 0.75
# Viridis is even to the eye, readable without colour vision, and far from the colours of skin.
_LEVELS = np.arange(256, dtype=np.uint8)[:, None]
_HEAT_RGB = np.asarray(cv2.applyColorMap(_LEVELS, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1], np.uint8)
_LEGEND_STOPS = 9


def overlay(
    crop_rgb: NDArray[np.uint8], heatmap: NDArray[np.float32], opacity: float = OPACITY
) -> NDArray[np.uint8]:
    """Lay a heatmap over the crop that it belongs to.

    Args:
        crop_rgb: uint8 (H, W, 3).
        heatmap: float32 (h, w) in [0, 1], covering the whole crop whatever its h and w.
        opacity: opacity where the heat is 1; colder pixels are clearer, so the face stays visible.

    Returns:
        uint8 RGB (H, W, 3).
    """
    height, width = crop_rgb.shape[:2]
    heat = cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_CUBIC).clip(0.0, 1.0)
    colours = _HEAT_RGB[(heat * 255).round().astype(np.uint8)]
    alpha = (opacity * heat)[..., None]
    blended: NDArray[np.uint8] = (crop_rgb * (1 - alpha) + colours * alpha).round().astype(np.uint8)
    return blended


def legend_html(caption: str, opacity: float) -> str:
    """Build the one legend that all maps share; `caption` says what the maps show."""
    steps = np.linspace(0.0, 1.0, _LEGEND_STOPS)
    stops = ", ".join(
        "rgb({} {} {} / {:.2f})".format(*_HEAT_RGB[round(step * 255)], opacity * step) for step in steps
    )
    return (
        f'<p class="fer-legend"><b>{escape(caption)}</b><span>ignored</span>'
        f'<span class="fer-ramp" style="background-image:linear-gradient(to right, {stops})"></span>'
        "<span>decisive</span></p>"
    )


def shrink(image_rgb: NDArray[np.uint8], longest: int = 1280) -> NDArray[np.uint8]:
    """Scale a picture down so that no side is longer than `longest`; smaller ones stay as they are."""
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
