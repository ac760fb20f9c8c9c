import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.errors import InputError
from fer_space.evaluation.projection import stratified, tsne_points
from tests.evaluation.made import lively


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
