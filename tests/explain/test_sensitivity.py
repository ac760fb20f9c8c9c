"""The patch that slides over a face."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.distributions import row_of
from fer_space.explain.sensitivity import patched, worth_of

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


def test_worth_is_how_far_the_odds_fall() -> None:
    free, half = row_of({"fear": 0.8, "anger": 0.2}), row_of({"fear": 0.5, "anger": 0.5})
    result = worth_of("toy", np.stack([free, half, free, free, free]))
    assert result.target == "fear"
    assert result.worth == pytest.approx(np.array([[2.0, 0.0], [0.0, 0.0]]))  # odds 4 to 1 fall to 1 to 1


def test_an_answer_that_is_quite_sure_has_finite_worth() -> None:
    sure = row_of({"fear": 1.0, "anger": 0.0})
    assert np.isfinite(worth_of("toy", np.stack([sure] * 10)).worth).all()
