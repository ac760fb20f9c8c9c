"""The two colour scales: one for heat, one for a difference; both even to the eye."""

from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

OPACITY = 0.75

# Viridis is even to the eye, readable without colour vision, and far from the colours of skin.
_LEVELS = np.arange(256, dtype=np.uint8)[:, None]
HEAT_RGB: NDArray[np.uint8] = np.asarray(
    cv2.applyColorMap(_LEVELS, cv2.COLORMAP_VIRIDIS)[:, 0, ::-1], np.uint8
)

# Green and purple stay apart for colour-blind eyes too (ColorBrewer's PRGn), and no skin has them. Lightness
# and chroma run in straight lines of Oklab, alike on both sides (Ottosson 2020, "A perceptual color space").
_MIDDLE_LIGHTNESS, _END_LIGHTNESS, _END_CHROMA = 0.97, 0.58, 0.17
_MINUS_HUE, _PLUS_HUE = 145.0, 308.0
_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LINEAR_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def _arm(hue: float) -> NDArray[np.float64]:
    """128 colours in Oklab from the middle outwards, float64 (128, 3)."""
    outwards = np.linspace(0.0, 1.0, 128)
    chroma = _END_CHROMA * outwards
    lightness = _MIDDLE_LIGHTNESS + (_END_LIGHTNESS - _MIDDLE_LIGHTNESS) * outwards
    return np.stack([lightness, chroma * cos(radians(hue)), chroma * sin(radians(hue))], axis=1)


def _srgb(oklab: NDArray[np.float64]) -> NDArray[np.uint8]:
    linear = ((oklab @ _TO_LMS.T) ** 3 @ _TO_LINEAR_RGB.T).clip(0.0, 1.0)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((255 * shown).round(), np.uint8)


DIFFERENCE_RGB: NDArray[np.uint8] = _srgb(np.concatenate([_arm(_MINUS_HUE)[::-1], _arm(_PLUS_HUE)]))
