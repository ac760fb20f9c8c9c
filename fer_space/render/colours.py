"""Every colour that means something: the emotions', and the two scales of the maps."""

from math import cos, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

OPACITY = 0.75

# By emotion: the colour on a light ground and on a dark one. As words both stand out from their ground by
# more than 4.5 (WCAG 2); as cells they are mixed with it.
EMOTION_COLOURS: dict[str, tuple[str, str]] = {
    "neutral": ("#475569", "#b3c0d2"),
    "happiness": ("#a16207", "#fbbf24"),
    "surprise": ("#0e7490", "#22d3ee"),
    "sadness": ("#1d4ed8", "#8ab4ff"),
    "anger": ("#b91c1c", "#ff8f8f"),
    "disgust": ("#3f7d0a", "#a3e635"),
    "fear": ("#7e22ce", "#d0a2ff"),
    "contempt": ("#be185d", "#ff8cc6"),
}

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


def ink_on(colour: str) -> str:
    """Choose black or white, whichever reads better.

    Args:
        colour: "#rrggbb" of the ground.

    Returns:
        The one with the higher contrast by WCAG 2 relative luminance.
    """
    return "#000000" if _luminance(colour) > 0.179 else "#ffffff"


def ramp_css(palette_rgb: NDArray[np.uint8], alphas: NDArray[np.float64]) -> str:
    """Write a palette as stops of a CSS gradient.

    Args:
        palette_rgb: uint8 (N, 3).
        alphas: opacity of each of the stops, in [0, 1].
    """
    places = np.linspace(0, len(palette_rgb) - 1, len(alphas)).round().astype(int)
    return ", ".join(
        "rgb({} {} {} / {:.2f})".format(*palette_rgb[place], alpha)
        for place, alpha in zip(places, alphas, strict=True)
    )


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
