"""Painting: a layer is a colour and how much of it covers each pixel, on a window of the picture."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.occlusion.pose import Points, Pose
from fer_space.vision.imaging import blend, resize

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Light = NDArray[np.floating[Any]]
Colour = tuple[int, int, int]

_FINE_PIXELS = 4_000_000  # smaller windows are filled on a grid four times as fine, for smooth edges
_SHIFT = 4  # OpenCV takes sixteenths of a pixel
_UNSEEN = 0.5 / 256  # coverage that cannot move a channel by half a level
_FAR = 2.0**25  # corners farther away than this, in fine pixels, would overflow in OpenCV


class Window(NamedTuple):
    """A part of a picture, in pixels; `right` and `bottom` are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, polygons: Sequence[Points], size_hw: tuple[int, int]) -> "Window":
        """All pixels of a picture of `size_hw` that polygons, float64 (N, 2) each, may touch."""
        corners = np.concatenate(polygons)
        left, top = np.clip(np.floor(corners.min(axis=0)) - 1, 0, size_hw[::-1])
        right, bottom = np.clip(np.ceil(corners.max(axis=0)) + 2, 0, size_hw[::-1])
        return cls(int(left), int(top), max(int(right), int(left)), max(int(bottom), int(top)))

    def moved(self, right: int, down: int) -> "Window":
        """It, some pixels to the right and down."""
        return Window(self.left + right, self.top + down, self.right + right, self.bottom + down)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in the picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def fill(self, *polygons: Points) -> Plane:
        """How much of each pixel lies in any of the polygons: float32 (h, w) in [0, 1]."""
        height, width = self.size_hw
        filled = self._filled(polygons, 4 if height * width < _FINE_PIXELS else 1)
        if not filled.size:
            return np.zeros((height, width), dtype=np.float32)
        return resize(filled, (height, width)).astype(np.float32) / 255.0

    def depth(self, *polygons: Points) -> Plane:
        """How far inside the polygons' union each pixel lies: float32 (h, w) in pixels, 0 outside."""
        height, width = self.size_hw
        fine = 4 if height * width < _FINE_PIXELS / 8 else 1
        filled = self._filled(polygons, fine)
        if not filled.size:
            return np.zeros((height, width), dtype=np.float32)
        distance = cv2.distanceTransform(filled, cv2.DIST_L2, 5) / fine
        return np.asarray(cv2.resize(distance, (width, height), interpolation=cv2.INTER_AREA))

    def _filled(self, polygons: Sequence[Points], fine: int) -> NDArray[np.uint8]:
        """255 inside the polygons and 0 outside, uint8 (fine h, fine w)."""
        height, width = self.size_hw
        filled = np.zeros((height * fine, width * fine), dtype=np.uint8)
        for polygon in polygons if filled.size else ():
            corners = (polygon - [self.left, self.top] + 0.5) * fine - 0.5
            corners = np.clip(corners, -_FAR, _FAR)
            cv2.fillPoly(filled, [np.rint(corners * 2**_SHIFT).astype(np.int32)], 255, shift=_SHIFT)
        return filled

    def frame(self, pose: Pose) -> tuple[Plane, Plane]:
        """Place of each pixel in the face's frame: x and y, float32 (h, w) each."""
        back = (pose.turn / pose.side).astype(np.float32)
        x = np.arange(self.left, self.right, dtype=np.float32)[None, :] - np.float32(pose.origin[0])
        y = np.arange(self.top, self.bottom, dtype=np.float32)[:, None] - np.float32(pose.origin[1])
        return back[0, 0] * x + back[1, 0] * y, back[0, 1] * x + back[1, 1] * y


class Layer(NamedTuple):
    """Paint on a window: coverage float32 (h, w) in [0, 1] and rgb float32 (h, w, 3) in [0, 255]."""

    window: Window
    coverage: Plane
    rgb: Plane


def tinted(colour: Colour, shade: Light, shine: Light | float = 0.0) -> Plane:
    """A colour under light: float32 (h, w, 3) in [0, 255].

    Args:
        colour: RGB, 0 to 255.
        shade: float (h, w), by which the colour is multiplied.
        shine: float (h, w), levels of white light that are added.
    """
    shade, shine = np.asarray(shade, dtype=np.float32), np.asarray(shine, dtype=np.float32)
    lit = np.array(colour, dtype=np.float32) * shade[:, :, None] + shine[..., None]
    return np.clip(lit, 0.0, 255.0)


def stacked(layers: Sequence[Layer]) -> Layer:
    """One layer that looks like all of them, the last on top."""
    visible = [layer for layer in layers if layer.coverage.size]
    if len(visible) < 2:
        return (visible or layers)[0]
    corners = np.array([layer.window for layer in visible])
    window = Window(*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    coverage = np.zeros(window.size_hw, dtype=np.float32)
    rgb = np.zeros((*window.size_hw, 3), dtype=np.float32)
    for layer in visible:
        inside = layer.window.moved(-window.left, -window.top).slices
        _lay_over(coverage[inside], rgb[inside], layer)
    return Layer(window, coverage, rgb)


def _lay_over(coverage: Plane, rgb: Plane, above: Layer) -> None:
    """Change coverage and rgb of what is below, in place (Porter and Duff 1984: over)."""
    total = above.coverage + coverage * (1.0 - above.coverage)
    share = np.divide(above.coverage, total, out=np.ones_like(total), where=coverage > 0.0)
    rgb[:] = np.where(share[:, :, None] < 1.0, rgb + (above.rgb - rgb) * share[:, :, None], above.rgb)
    coverage[:] = total


def drawn_over(image_rgb: Image, layer: Layer, opacity: float) -> Image:
    """A new picture uint8 (H, W, 3) RGB with a layer on it; `opacity` in [0, 1]."""
    drawn = image_rgb.copy()
    if layer.coverage.size:
        below = drawn[layer.window.slices]
        below[:] = blend(below, layer.rgb, layer.coverage * np.float32(opacity))
    return drawn


def covered(layer: Layer, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a layer can change a picture of `size_hw`, in some colour on some skin: bool (H, W)."""
    where = np.zeros(size_hw, dtype=np.bool_)
    where[layer.window.slices] = layer.coverage > _UNSEEN
    return where
