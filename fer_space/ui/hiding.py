"""What the Occlude tab computes from a sitting: covered and painted faces, and what each region is worth."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison, Covered
from fer_space.errors import FerSpaceError
from fer_space.explain.sensitivity import Sensitivity
from fer_space.occlusion import CROP_ONLY
from fer_space.occlusion.cover import Cover
from fer_space.render import data_uri, shrink
from fer_space.ui.sitting import Compare, Each, Image, Sitting, read_faces
from fer_space.vision.imaging import resize

Slide = Callable[..., Iterator[Sensitivity]]
Window = tuple[int, int, int, int]

PAINTED = "painted"
NOTHING_PAINTED = "Paint over a part of the face first, then have it read."
_AROUND = 0.45  # of a face's longer side, shown on every side of it while it is painted


@dataclass(frozen=True, eq=False)
class Hiding:
    """What was tried on the faces of one sitting.

    Attributes:
        of: the sitting's comparisons; with those of another sitting this says nothing.
        covered: one a face.
        photo_uri: the covered picture for display, or "" where only crops were covered.
        problem: a sentence that says why there is nothing to show, or "".
        slid: one a backbone, for the face `slid_face`.
    """

    of: tuple[Comparison, ...] = ()
    covered: tuple[Covered, ...] = ()
    photo_uri: str = ""
    problem: str = ""
    slid: tuple[Sensitivity, ...] = ()
    slid_face: int = 0

    def for_sitting(self, sitting: Sitting) -> "Hiding":
        """Itself where it belongs to the sitting, else an empty one that does."""
        return self if self.of and self.of is sitting.comparisons else Hiding(sitting.comparisons)


def cover_faces(
    compare: Compare, sitting: Sitting, hiding: Hiding, cover: Cover, each: Each = iter
) -> Hiding:
    """Cover every face of the sitting and read it again."""
    try:
        image = sitting.image
        photo = "" if cover.kind in CROP_ONLY else data_uri(shrink(cover.on_photo(image, sitting.faces)))
        after = read_faces(compare, image, sitting.asked, sitting.faces, cover, each)
    except FerSpaceError as error:
        return replace(hiding, covered=(), problem=str(error))
    covered = covered_faces(sitting.comparisons, after, cover.kind)
    return replace(hiding, covered=covered, photo_uri=photo, problem="")


def read_painted(
    compare: Compare,
    sitting: Sitting,
    hiding: Hiding,
    strokes_rgba: NDArray[np.uint8],
    window: Window,
    each: Each = iter,
) -> Hiding:
    """Lay what was painted over its window of the picture and read the same faces again."""
    if not strokes_rgba[..., 3].any():
        return replace(hiding, covered=(), problem=NOTHING_PAINTED)
    try:
        painted = lay_over(sitting.image, strokes_rgba, window)
        after = read_faces(compare, painted, sitting.asked, sitting.faces, each=each)
    except FerSpaceError as error:
        return replace(hiding, covered=(), problem=str(error))
    covered = covered_faces(sitting.comparisons, after, PAINTED)
    return replace(hiding, covered=covered, photo_uri=data_uri(shrink(painted)), problem="")


def slide_patch(
    slide: Slide, sitting: Sitting, hiding: Hiding, each: Callable[[Sequence[str]], Iterable[str]] = iter
) -> Hiding:
    """Measure what each region of the selected face is worth to each backbone."""
    try:
        image, face = sitting.image, sitting.shown.face
        slid = [s for name in each(sitting.asked.backbones) for s in slide(image, face, backbones=[name])]
    except FerSpaceError as error:
        return replace(hiding, slid=(), problem=str(error))
    return replace(hiding, slid=tuple(slid), slid_face=sitting.selected, problem="")


def window_of(sitting: Sitting, whole: bool) -> Window:
    """The part of the picture that is painted on: left, top, right, bottom (both excluded) in pixels."""
    width, height = sitting.size_wh
    if whole:
        return 0, 0, width, height
    left, top, right, bottom = sitting.shown.face.box_xyxy
    side = max(right - left, bottom - top) * (0.5 + _AROUND)
    x, y = (left + right) / 2, (top + bottom) / 2
    first_x, first_y = int(np.clip(x - side, 0, width - 1)), int(np.clip(y - side, 0, height - 1))
    last_x, last_y = np.clip(x + side, first_x + 1, width), np.clip(y + side, first_y + 1, height)
    return first_x, first_y, int(last_x), int(last_y)


def lay_over(image_rgb: Image, strokes_rgba: NDArray[np.uint8], window: Window) -> Image:
    """A new picture with strokes, uint8 (h, w, 4) of any size, over a window of it."""
    left, top, right, bottom = window
    size_hw = bottom - top, right - left
    alpha = resize(np.ascontiguousarray(strokes_rgba[..., 3]), size_hw)
    colours = resize(np.ascontiguousarray(strokes_rgba[..., :3]), size_hw)
    painted = image_rgb.copy()
    under = painted[top:bottom, left:right]
    for row in np.flatnonzero(alpha.any(axis=1)):  # row by row: a large photo has no room for copies in float
        share = alpha[row, :, None].astype(np.float32) / 255.0
        under[row] = (under[row] * (1 - share) + colours[row] * share).round().astype(np.uint8)
    return painted
