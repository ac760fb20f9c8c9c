"""A surgical mask: it covers the jaw from landmark 2 to 14 and reaches up between 28 and 29."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.occlusion.average import AVERAGE, TEMPLATE_BRIDGE
from fer_space.occlusion.curves import rounded
from fer_space.occlusion.layers import Colour, Image, Layer, Plane, Window, drawn_over, stacked, tinted
from fer_space.occlusion.loops import ear_loops
from fer_space.occlusion.pose import Landmarks, Points, Pose, checked

SURGICAL_BLUE = (168, 205, 222)

_SLACK = 1.03  # cloth stands off the skin: the jaw line is moved out from the nose by this factor
_SOFT = 0.7  # pixels of blur on the edge of a template's mask
_STEEPEST = 1e6  # masks a pixel: float32 holds its powers
_PLEATS = (0.42, 0.57, 0.72)  # how far down the mask, from its upper edge (0) to the chin (1)


class _Outline(NamedTuple):
    """What a mask hangs on: jaw float64 (13, 2) from left to right, and the top of its upper edge (2,)."""

    jaw: Points
    top: Points

    def moved(self, factor: Points | float, shift: float) -> "_Outline":
        return _Outline(self.jaw * factor + shift, self.top * factor + shift)


def mask_polygon(landmarks: Landmarks) -> Points:
    """The outline of a surgical mask on a face.

    Args:
        landmarks: float (68, 2) in pixels, iBUG order.

    Returns:
        float64 (M, 2), a closed smooth polygon in the same pixels.

    Raises:
        ValueError: the landmarks have another shape or are not finite.
    """
    return _polygon(_outline(checked(landmarks)))


def draw_mask(
    image_rgb: Image,
    landmarks: Landmarks | None = None,
    colour: Colour = SURGICAL_BLUE,
    opacity: float = 1.0,
) -> Image:
    """Draw a surgical mask with pleats, soft shading and ear loops on a face.

    Args:
        image_rgb: uint8 (H, W, 3) RGB; it is not changed.
        landmarks: float (68, 2) in pixels of the picture, iBUG order; may reach past its edges. None draws
            the mask of an average face, without loops, on a picture that is framed like FERPlus.
        colour: RGB of the cloth, 0 to 255.
        opacity: in [0, 1]; 0 draws nothing.

    Returns:
        A new picture uint8 (H, W, 3) RGB, equal to `image_rgb` outside `region("surgical", ...)`.

    Raises:
        ValueError: see `mask_polygon`.
    """
    size_hw = image_rgb.shape[:2]
    return drawn_over(image_rgb, paint_surgical(Pose.of(landmarks, size_hw), size_hw, colour), opacity)


def paint_surgical(pose: Pose, size_hw: tuple[int, int], colour: Colour) -> Layer:
    """The mask over its ear loops, for a picture of `size_hw`."""
    outline = _outline(pose.points) if pose.known else _average_outline(size_hw[1], size_hw[0])
    window = Window.around([_polygon(outline)], size_hw)
    coverage, shade = _cloth(outline, window)
    return stacked([*ear_loops(pose, size_hw, colour), Layer(window, coverage, tinted(colour, shade))])


def template_mask(side: int, margin: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mask of an average face, for pictures framed like FERPlus: it needs no landmarks.

    Args:
        side: of the picture, in pixels.
        margin: added on all four sides, so that a mask that is moved does not end at the chin.

    Returns:
        float32 (side + 2 margin, side + 2 margin) each: coverage in [0, 1], its edge soft so that it may be
        turned and enlarged, and shade, by which the colour of the cloth is multiplied.
    """
    whole = side + 2 * margin
    outline = _average_outline(side, side).moved(1.0, margin)
    coverage, shade = _cloth(outline, Window(0, 0, whole, whole))
    return np.asarray(cv2.GaussianBlur(coverage, (3, 3), _SOFT), dtype=np.float32), shade


def _average_outline(width: int, height: int) -> _Outline:
    """The outline of an average training face that fills a picture, in pixels."""
    unit = _loose(AVERAGE[2:15], TEMPLATE_BRIDGE.mean(axis=0))
    return unit.moved(np.array([width, height], dtype=np.float64), -0.5)


def _outline(points: Points) -> _Outline:
    return _loose(points[2:15], points[28:30].mean(axis=0))


def _loose(jaw: Points, top: Points) -> _Outline:
    return _Outline((jaw - top) * _SLACK + top, top)


def _polygon(outline: _Outline) -> Points:
    """Jaw line and upper edge, corners rounded: float64 (M, 2).

    The upper edge leaves the jaw's ends along the line between them and rises to the nose in a bell:
    sin² is flat at the ends and at the top, and stays below the eyes in between.
    """
    jaw, top = outline
    along = np.linspace(1.0, 0.0, 17)[1:-1, None]
    line = along * jaw[-1] + (1.0 - along) * jaw[0]
    edge = line + np.sin(np.pi * along) ** 1.5 * (top - (jaw[0] + jaw[-1]) / 2.0)
    return rounded(np.concatenate([jaw, edge]))


def _cloth(outline: _Outline, window: Window) -> tuple[Plane, Plane]:
    """Coverage in [0, 1] and shade of the pixels of a window, float32 (h, w) each."""
    return window.fill(_polygon(outline)), _shade(*_cloth_positions(outline, window))


def _cloth_positions(outline: _Outline, window: Window) -> tuple[Plane, Plane]:
    """Place of each pixel on the cloth: across from -1 to 1, down from 0 (upper edge) to 1 (chin)."""
    axes = np.column_stack([(outline.jaw[-1] - outline.jaw[0]) / 2.0, outline.jaw[6] - outline.top])
    # An edge-on face has no inverse, and one that is almost edge-on has a huge one.
    back = np.clip(np.linalg.pinv(axes), -_STEEPEST, _STEEPEST).astype(np.float32)
    height, width = window.size_hw
    x = np.arange(width, dtype=np.float32)[None, :] + np.float32(window.left - outline.top[0])
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(window.top - outline.top[1])
    return back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y


def _shade(across: Plane, down: Plane) -> Plane:
    """How bright the cloth is: darker where it turns away, a dark line with a lit rim for each pleat."""
    away = np.minimum(across**2, 1.5)
    shade = 1.04 - 0.2 * away - 0.1 * np.maximum(down - 0.5, 0.0)
    for place in _PLEATS:
        offset = (down - place + 0.06 * away) / 0.02
        shade = shade - 0.13 / (1.0 + offset**2) + 0.05 / (1.0 + (offset + 2.5) ** 2)
    return np.asarray(shade, dtype=np.float32)
