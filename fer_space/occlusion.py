"""A face mask worn on a face: drawn by its 68 landmarks, or by the shape of an average training face.

    masked_rgb = draw_mask(image_rgb, face.landmarks)
    covered_rgb = occlude(crop_rgb, "surgical")

Landmarks are in iBUG order: jaw 0 to 16, nose bridge 27 to 30. A surgical mask covers the jaw from 2 to 14
and reaches up between 28 and 29.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.errors import UnknownNameError
from fer_space.imaging import resize

Image = NDArray[np.uint8]
Landmarks = NDArray[np.floating[Any]]

SURGICAL_BLUE = (168, 205, 222)

# Jaw 2 to 8 and the two points of the nose bridge of an average FERPlus training face, in parts of the
# picture's side: medians over 1,491 of the first 1,500 faces, left and right averaged, by
# benchmarks/measure_template.py. The chin lies below the picture.
TEMPLATE_JAW = np.array(
    [
        [0.115, 0.611],
        [0.137, 0.716],
        [0.177, 0.814],
        [0.238, 0.901],
        [0.316, 0.975],
        [0.401, 1.034],
        [0.5, 1.051],
    ]
)
TEMPLATE_BRIDGE = np.array([[0.5, 0.452], [0.5, 0.520]])

UPPER_SHARE = 0.52  # of a crop's height lies above point 29 of the average face

_SLACK = 1.03  # cloth stands off the skin: the jaw line is moved out from the nose by this factor
_SOFT = 0.7  # pixels of blur on the edge of a template's mask
_FINE_PIXELS = 4_000_000  # smaller masks are filled on a grid four times as fine, for smooth edges
_SHIFT = 4  # OpenCV takes sixteenths of a pixel
_PLEATS = (0.42, 0.57, 0.72)  # how far down the mask, from its upper edge (0) to the chin (1)


class _Outline(NamedTuple):
    """What a mask hangs on: jaw float64 (13, 2) from left to right, and the top of its upper edge (2,)."""

    jaw: NDArray[np.float64]
    top: NDArray[np.float64]

    def moved(self, factor: NDArray[np.float64] | float, shift: float) -> "_Outline":
        return _Outline(self.jaw * factor + shift, self.top * factor + shift)


def occlude(crop_rgb: Image, kind: str, landmarks: Landmarks | None = None) -> Image:
    """Cover a part of a face crop.

    Args:
        crop_rgb: uint8 (H, W, 3) RGB, framed like FERPlus where there are no landmarks; it is not changed.
        kind: a name in `OCCLUSIONS`: "surgical" draws a mask, "upper" leaves only what one does not cover.
        landmarks: float (68, 2) in pixels of the crop; None takes those of an average training face.

    Returns:
        A new picture uint8 (H, W, 3) RGB.

    Raises:
        UnknownNameError: there is no such kind.
    """
    if kind not in OCCLUSIONS:
        raise UnknownNameError.of("occlusion", kind, OCCLUSIONS)
    return OCCLUSIONS[kind](crop_rgb, landmarks)


def mask_polygon(landmarks: Landmarks) -> NDArray[np.float64]:
    """The outline of a surgical mask on a face.

    Args:
        landmarks: float (68, 2) in pixels, iBUG order.

    Returns:
        float64 (M, 2), a closed smooth polygon in the same pixels.

    Raises:
        ValueError: the landmarks have another shape or are not finite.
    """
    return _polygon(_outline(landmarks))


def draw_mask(
    image_rgb: Image,
    landmarks: Landmarks | None = None,
    colour: tuple[int, int, int] = SURGICAL_BLUE,
    opacity: float = 1.0,
) -> Image:
    """Draw a surgical mask with pleats and soft shading on a face.

    Args:
        image_rgb: uint8 (H, W, 3) RGB; it is not changed.
        landmarks: float (68, 2) in pixels of the picture, iBUG order; may reach past its edges. None draws
            the mask of an average face on a picture that is framed like FERPlus.
        colour: RGB of the cloth, 0 to 255.
        opacity: in [0, 1]; 0 draws nothing.

    Returns:
        A new picture uint8 (H, W, 3) RGB, equal to `image_rgb` more than a pixel outside `mask_polygon`.

    Raises:
        ValueError: see `mask_polygon`.
    """
    height, width = image_rgb.shape[:2]
    outline = _average_outline(width, height) if landmarks is None else _outline(landmarks)
    drawn = image_rgb.copy()
    left, top, right, bottom = _bounds(_polygon(outline), height, width)
    if left >= right or top >= bottom:
        return drawn
    coverage, shade = _cloth(outline, left, top, (bottom - top, right - left))
    skin = image_rgb[top:bottom, left:right].astype(np.float32)
    cloth = np.clip(np.array(colour, dtype=np.float32) * shade[:, :, None], 0.0, 255.0)
    mixed = skin + (cloth - skin) * (coverage[:, :, None] * np.float32(opacity))
    drawn[top:bottom, left:right] = np.rint(mixed).astype(np.uint8)
    return drawn


def template_mask(side: int, margin: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mask of an average face, for pictures framed like FERPlus: it needs no landmarks.

    Args:
        side: of the picture, in pixels.
        margin: added on all four sides, so that a mask that is moved does not end at the chin.

    Returns:
        float32 (side + 2 margin, side + 2 margin) each: coverage in [0, 1], its edge soft so that it may be
        turned and enlarged, and shade, by which the colour
        of the cloth is multiplied.
    """
    whole = side + 2 * margin
    coverage, shade = _cloth(_average_outline(side, side).moved(1.0, margin), 0, 0, (whole, whole))
    return np.asarray(cv2.GaussianBlur(coverage, (3, 3), _SOFT), dtype=np.float32), shade


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
    """
    height, width = crop_rgb.shape[:2]
    cut = height * UPPER_SHARE if landmarks is None else float(landmarks[29, 1]) + 0.5
    rows = min(max(round(cut), 1), height)
    return resize(np.ascontiguousarray(crop_rgb[:rows]), (height, width))


OCCLUSIONS: dict[str, Callable[[Image, Landmarks | None], Image]] = {
    "surgical": draw_mask,
    "upper": upper_face,
}


def _average_outline(width: int, height: int) -> _Outline:
    """The outline of an average training face that fills a picture, in pixels."""
    jaw = np.concatenate([TEMPLATE_JAW, (TEMPLATE_JAW[-2::-1] - [1.0, 0.0]) * [-1.0, 1.0]])
    unit = _loose(jaw, TEMPLATE_BRIDGE.mean(axis=0))
    return unit.moved(np.array([width, height], dtype=np.float64), -0.5)


def _outline(landmarks: Landmarks) -> _Outline:
    if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
        raise ValueError(f"a mask needs 68 finite landmarks, got {landmarks.shape}")
    points = landmarks.astype(np.float64)
    return _loose(points[2:15], points[28:30].mean(axis=0))


def _loose(jaw: NDArray[np.float64], top: NDArray[np.float64]) -> _Outline:
    return _Outline((jaw - top) * _SLACK + top, top)


def _polygon(outline: _Outline) -> NDArray[np.float64]:
    """Jaw line and upper edge, corners rounded: float64 (M, 2).

    The upper edge leaves the jaw's ends along the line between them and rises to the nose in a bell:
    sin² is flat at the ends and at the top, and stays below the eyes in between.
    """
    jaw, top = outline
    along = np.linspace(1.0, 0.0, 17)[1:-1, None]
    line = along * jaw[-1] + (1.0 - along) * jaw[0]
    edge = line + np.sin(np.pi * along) ** 1.5 * (top - (jaw[0] + jaw[-1]) / 2.0)
    points = np.concatenate([jaw, edge])
    for _ in range(2):  # Chaikin 1974: cut every corner at a quarter and three quarters of its sides
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1).reshape(-1, 2)
    return np.asarray(points)


def _bounds(polygon: NDArray[np.float64], height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (exclusive) of the pixels that a polygon may touch inside a picture."""
    (left, top), (right, bottom) = np.floor(polygon.min(axis=0)) - 1, np.ceil(polygon.max(axis=0)) + 2
    return max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height)


def _cloth(
    outline: _Outline, left: int, top: int, size_hw: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage in [0, 1] and shade of the pixels from (left, top) on, float32 (H, W) each."""
    fine = 4 if size_hw[0] * size_hw[1] < _FINE_PIXELS else 1
    corners = (_polygon(outline) - [left, top] + 0.5) * fine - 0.5
    filled = np.zeros((size_hw[0] * fine, size_hw[1] * fine), dtype=np.uint8)
    cv2.fillPoly(filled, [np.rint(corners * 2**_SHIFT).astype(np.int32)], 255, shift=_SHIFT)
    across, down = _cloth_positions(outline, left, top, size_hw)
    return resize(filled, size_hw).astype(np.float32) / 255.0, _shade(across, down)


def _cloth_positions(
    outline: _Outline, left: int, top: int, size_hw: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place of each pixel on the cloth: across from -1 to 1, down from 0 (upper edge) to 1 (chin)."""
    axes = np.column_stack([(outline.jaw[-1] - outline.jaw[0]) / 2.0, outline.jaw[6] - outline.top])
    back = np.linalg.pinv(axes).astype(np.float32)  # an edge-on face has no inverse
    x = np.arange(size_hw[1], dtype=np.float32)[None, :] + np.float32(left - outline.top[0])
    y = np.arange(size_hw[0], dtype=np.float32)[:, None] + np.float32(top - outline.top[1])
    return back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y


def _shade(across: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """How bright the cloth is: darker where it turns away, a dark line with a lit rim for each pleat."""
    away = np.minimum(across**2, 1.5)
    shade = 1.04 - 0.2 * away - 0.1 * np.maximum(down - 0.5, 0.0)
    for place in _PLEATS:
        offset = (down - place + 0.06 * away) / 0.02
        shade = shade - 0.13 / (1.0 + offset**2) + 0.05 / (1.0 + (offset + 2.5) ** 2)
    return np.asarray(shade, dtype=np.float32)
