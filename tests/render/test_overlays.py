"""What is laid over a face: pixels by hand and rules that hold for all maps."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.render.colours import DIFFERENCE_RGB, HEAT_RGB
from fer_space.render.overlays import cells_overlay, contour_overlay, difference_overlay, overlay

GREY = np.full((60, 60, 3), 120, np.uint8)


def _hot_corner(value: float = 1.0) -> np.ndarray:
    heatmap = np.zeros((3, 3), np.float32)
    heatmap[2, 2] = value
    return heatmap


def test_overlay_leaves_cold_pixels_alone_and_colours_hot_ones() -> None:
    drawn = overlay(GREY, _hot_corner())
    assert (drawn[:10, :10] == 120).all()
    red, green, blue = drawn[50, 50].astype(int)
    assert red > 180
    assert green > 180
    assert blue < 90
    assert (GREY == 120).all()


@pytest.mark.parametrize("draw", [overlay, difference_overlay])
def test_without_opacity_a_map_is_the_crop(draw) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    assert (draw(crop, np.ones((6, 6), np.float32), 0.0) == crop).all()


@given(
    arrays(np.float32, (4, 4), elements=st.floats(0, 1, width=32)),
    st.floats(0.0, 1.0),
)
def test_a_pixel_lies_between_the_crop_and_the_palette(heatmap: np.ndarray, opacity: float) -> None:
    drawn = overlay(GREY, heatmap, opacity).astype(int)
    low, high = HEAT_RGB.min(axis=0), HEAT_RGB.max(axis=0)
    assert (drawn >= np.minimum(low, 120) - 1).all()
    assert (drawn <= np.maximum(high, 120) + 1).all()


def test_a_difference_is_purple_where_it_is_more_and_green_where_it_is_less() -> None:
    drawn = difference_overlay(GREY, _hot_corner() - _hot_corner()[::-1, ::-1], 1.0).astype(int)
    more, less = drawn[57, 57], drawn[2, 2]
    assert more[1] < min(more[0], more[2])
    assert less[1] > max(less[0], less[2])
    assert (drawn[28:32, 28:32] == 120).all()


def test_signs_tell_more_from_less_without_colour() -> None:
    face = np.full((224, 224, 3), 120, np.uint8)
    tall = []
    for sign in (1, -1):
        drawn = difference_overlay(face, sign * _hot_corner(), 1.0)
        tall.append((drawn[150:, 150:] > 250).all(axis=2).any(axis=1).sum())
    plus, minus = tall
    assert plus > 2 * minus > 0


def test_the_scale_of_differences_is_even() -> None:
    lab = cv2.cvtColor((DIFFERENCE_RGB[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    assert np.abs(np.diff(lab[:, 0])).max() < 1.0
    assert abs(lab[0, 0] - lab[-1, 0]) < 6.0


def test_contours_change_only_pixels_near_a_line() -> None:
    drawn = contour_overlay(GREY, _hot_corner())
    changed = (drawn != 120).any(axis=2)
    assert changed.any()
    assert not changed[:15, :15].any()
    assert (contour_overlay(GREY, np.zeros((3, 3), np.float32)) == GREY).all()


@given(arrays(np.bool_, (7, 7)))
def test_chosen_cells_keep_their_colours_inside_their_frame(cells: np.ndarray) -> None:
    crop = np.full((70, 70, 3), (200, 120, 90), np.uint8)
    drawn = cells_overlay(crop, cells)
    for row, column in np.ndindex(7, 7):
        inside = drawn[row * 10 + 4 : row * 10 + 6, column * 10 + 4 : column * 10 + 6]
        assert (inside == (200, 120, 90)).all() == cells[row, column]
