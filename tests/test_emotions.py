import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.emotions import EMOTIONS, canonical, columns_of, to_eight
from fer_space.errors import DataError


@pytest.mark.parametrize(
    ("word", "emotion"), [("Happy", "happiness"), (" fearful ", "fear"), ("anger", "anger")]
)
def test_synonyms(word: str, emotion: str):
    assert canonical(word) == emotion


def test_unknown_emotion_lists_the_known_ones():
    with pytest.raises(DataError, match=r"hungry.*neutral"):
        canonical("hungry")


@given(st.lists(st.sampled_from(EMOTIONS), unique=True, min_size=1), st.integers(0, 4))
def test_rows_of_eight_hold_each_column_at_its_place(labels: list[str], count: int):
    rows = np.random.default_rng(0).random((count, len(labels), 2))
    eight = to_eight(rows, labels)
    assert eight.shape == (count, 8, 2)
    assert np.array_equal(eight[:, columns_of(labels)], rows)
    absent = [k for k, emotion in enumerate(EMOTIONS) if emotion not in labels]
    assert np.isnan(eight[:, absent]).all()
