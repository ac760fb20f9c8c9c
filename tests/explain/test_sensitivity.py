"""The patch that slides over a face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.explain.sensitivity import patched

CROP = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)


@given(st.integers(1, 6), st.floats(0.05, 1.0))
def test_a_patch_changes_nothing_outside_itself(cells: int, patch: float) -> None:
    covered = patched(CROP, cells, patch)
    assert len(covered) == cells**2
    reach = patch * 90 / 2 + 1.5
    for number, picture in enumerate(covered):
        row, column = divmod(number, cells)
        y, x = ((place + 0.5) / cells * 90 for place in (row, column))
        rows, columns = np.nonzero((picture != CROP).any(axis=2))
        assert len(rows) > 0
        assert (np.abs(rows + 0.5 - y) <= reach).all()
        assert (np.abs(columns + 0.5 - x) <= reach).all()


def test_together_the_patches_reach_every_pixel() -> None:
    touched = np.any([(picture != CROP).any(axis=2) for picture in patched(CROP)], axis=0)
    assert touched.mean() > 0.98  # a pixel may happen to equal its blurred neighbours


@pytest.mark.parametrize(("cells", "patch"), [(0, 0.2), (3, 0.0), (3, 1.2)])
def test_impossible_patches_are_refused(cells: int, patch: float) -> None:
    with pytest.raises(ValueError, match="cells"):
        patched(CROP, cells, patch)
