"""What can cover a face, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import UnknownNameError
from fer_space.occlusion.fabric import paint_cloth, paint_scarf
from fer_space.occlusion.glasses import paint_eye_bar, paint_sunglasses
from fer_space.occlusion.hand import paint_hand
from fer_space.occlusion.layers import Colour, Image, Layer, covered, drawn_over
from fer_space.occlusion.pose import Landmarks, Pose
from fer_space.occlusion.respirator import paint_kn95
from fer_space.occlusion.surgical import SURGICAL_BLUE, paint_surgical
from fer_space.occlusion.upper import upper_face

Region = NDArray[np.bool_]
Draw = Callable[[Image, Landmarks | None, Colour, float], Image]
Paint = Callable[[Pose, tuple[int, int], Colour], Layer]  # of the face, (H, W) of the picture, RGB 0 to 255

CROP_ONLY = frozenset({"upper"})
_NO_COLOUR = (0, 0, 0)


@dataclass(frozen=True)
class Occlusion:
    """Something that covers a part of a face.

    Attributes:
        name: its key in `OCCLUSIONS`.
        title: its name as people read it.
        colour: RGB, 0 to 255, that it has unless another is asked for; None where it has none.
        covers: what it hides, as a phrase.
        draw: (image_rgb, landmarks, colour, opacity) to a new picture; see `occlude`.
        region: (shape_hw, landmarks) to where it may change a picture; see `region`.
    """

    name: str
    title: str
    colour: Colour | None
    covers: str
    draw: Draw
    region: Callable[[tuple[int, int], Landmarks | None], Region]


def occlude(
    image_rgb: Image,
    kind: str,
    landmarks: Landmarks | None = None,
    *,
    colour: Colour | None = None,
    opacity: float = 1.0,
) -> Image:
    """Cover a part of a face.

    Args:
        image_rgb: uint8 (H, W, 3) RGB; it is not changed. Without landmarks, a face crop framed like FERPlus;
            for the kinds in `CROP_ONLY` an upright face crop.
        kind: a name in `OCCLUSIONS`.
        landmarks: float (68, 2) in pixels of the picture, iBUG order; may reach past its edges. None takes
            those of an average training face.
        colour: RGB, 0 to 255; None takes the kind's own. "upper" has none.
        opacity: in [0, 1]; 0 draws nothing. "upper" cuts at any opacity.

    Returns:
        A new picture uint8 (H, W, 3) RGB, equal to `image_rgb` outside `region`.

    Raises:
        UnknownNameError: there is no such kind.
        ValueError: the landmarks have another shape or are not finite, or the opacity is not in [0, 1].
    """
    spec = _spec(kind)
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must be in [0, 1], got {opacity}")
    chosen = spec.colour if colour is None else colour
    return spec.draw(image_rgb, landmarks, chosen or _NO_COLOUR, opacity)


def region(kind: str, shape_hw: tuple[int, int], landmarks: Landmarks | None = None) -> Region:
    """Where a kind may change a picture.

    Args:
        kind: a name in `OCCLUSIONS`.
        shape_hw: height and width of the picture.
        landmarks: as in `occlude`.

    Returns:
        bool (H, W): False where `occlude` leaves every pixel as it is, in any colour. All True for "upper".

    Raises:
        UnknownNameError, ValueError: see `occlude`.
    """
    return _spec(kind).region(shape_hw, landmarks)


def _spec(kind: str) -> Occlusion:
    if kind not in OCCLUSIONS:
        raise UnknownNameError.of("occlusion", kind, OCCLUSIONS)
    return OCCLUSIONS[kind]


def painted(name: str, title: str, colour: Colour, covers: str, paint: Paint) -> Occlusion:
    """Make a kind of a painter, which is asked for a layer and for where that may lie."""
    return Occlusion(name, title, colour, covers, partial(_draw, paint), partial(_region, paint))


def _draw(
    paint: Paint, image_rgb: Image, landmarks: Landmarks | None, colour: Colour, opacity: float
) -> Image:
    size_hw = image_rgb.shape[:2]
    return drawn_over(image_rgb, paint(Pose.of(landmarks, size_hw), size_hw, colour), opacity)


def _region(paint: Paint, shape_hw: tuple[int, int], landmarks: Landmarks | None) -> Region:
    return covered(paint(Pose.of(landmarks, shape_hw), shape_hw, _NO_COLOUR), shape_hw)


def _cut(image_rgb: Image, landmarks: Landmarks | None, colour: Colour, opacity: float) -> Image:
    return upper_face(image_rgb, landmarks)


def _everywhere(shape_hw: tuple[int, int], landmarks: Landmarks | None) -> Region:
    Pose.of(landmarks, shape_hw)
    return np.ones(shape_hw, dtype=np.bool_)


_NOSE_TO_CHIN = "nose, mouth and chin"
_KINDS = (
    painted("surgical", "Surgical mask", SURGICAL_BLUE, _NOSE_TO_CHIN, paint_surgical),
    painted("kn95", "KN95", (242, 241, 236), _NOSE_TO_CHIN, paint_kn95),
    painted("cloth", "Cloth mask", (86, 98, 122), _NOSE_TO_CHIN, paint_cloth),
    painted("scarf", "Scarf", (142, 52, 54), "mouth, chin and neck", paint_scarf),
    painted("sunglasses", "Sunglasses", (30, 29, 32), "both eyes", paint_sunglasses),
    painted("eye_bar", "Eye bar", (0, 0, 0), "eyes and brows", paint_eye_bar),
    painted("hand", "Hand-sized blob", (128, 128, 128), "mouth and one cheek", paint_hand),
    Occlusion("upper", "Upper face only", None, "all below the nose bridge", _cut, _everywhere),
)
OCCLUSIONS: dict[str, Occlusion] = {kind.name: kind for kind in _KINDS}
