from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.errors import InputError
from fer_space.evaluation.face_plots import draw_sheet, stratified, tsne_points
from tests.evaluation.made import lively
from tests.running import is_drawn


@given(st.lists(st.integers(0, 7), min_size=1, max_size=300), st.integers(8, 400))
def test_a_sample_keeps_the_shares_and_every_label(drawn: list[int], limit: int):
    labels = np.array(drawn)
    picks = stratified(labels, limit)
    assert len(picks) == min(limit, len(labels))
    assert (np.diff(picks) > 0).all()
    assert set(labels[picks]) == set(labels)
    for label in set(drawn):
        fair = (labels == label).mean() * len(picks)
        assert abs((labels[picks] == label).sum() - fair) <= len(set(drawn))


def test_a_map_is_repeatable_and_keeps_neighbours_together():
    made = lively(80)
    assert made.embeddings is not None
    points = tsne_points(made.embeddings)
    assert points.shape == (80, 2)
    np.testing.assert_array_equal(points, tsne_points(made.embeddings))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(80)
    assert (made.labels[apart.argmin(axis=1)] == made.labels).mean() > 0.7


def test_too_few_faces_make_no_map():
    with pytest.raises(InputError, match="at least 5"):
        tsne_points(np.zeros((4, 3), dtype=np.float16))


def test_a_sheet_takes_gray_and_colour_and_rows_of_any_length(tmp_path: Path):
    rng = np.random.default_rng(0)
    gray, colour = rng.integers(0, 256, (20, 30), np.uint8), rng.integers(0, 256, (20, 20, 3), np.uint8)
    rows = [("mixup", [gray, colour, gray], ["fear .6\nanger .4", "", "fear"]), ("flip", [colour], ["x"])]
    draw_sheet(rows, tmp_path / "sheet.png")
    assert is_drawn(tmp_path / "sheet.png")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [([("flip", [np.zeros((9, 9), np.uint8)], [])], "as many captions"), ([], "at least one picture")],
)
def test_a_sheet_that_cannot_be_drawn_leaves_no_file(rows: list, sentence: str, tmp_path: Path):
    with pytest.raises(ValueError, match=sentence):
        draw_sheet(rows, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()
