import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.data import near_duplicates as module
from fer_space.data.near_duplicates import count_near_duplicates, find_near_duplicates, thumbnail


def correlations(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The definition, in float64."""

    def unit(stack: np.ndarray) -> np.ndarray:
        flat = stack.reshape(len(stack), -1).astype(np.float64)
        flat = flat - flat.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(flat, axis=1, keepdims=True)
        return np.divide(flat, norm, out=np.zeros_like(flat), where=norm > 0)

    return unit(pictures) @ unit(others).T


stacks = st.integers(1, 6).flatmap(lambda n: arrays(np.uint8, (n, 6, 5)))


@settings(max_examples=60)
@given(stacks, stacks, st.sampled_from([0.3, 0.9, 0.995]))
def test_near_duplicates_are_what_the_definition_says(
    pictures: np.ndarray, others: np.ndarray, threshold: float
):
    exact = correlations(pictures, others).max(axis=1)
    clear = np.abs(exact - threshold) > 1e-4
    np.testing.assert_array_equal(
        find_near_duplicates(pictures, others, threshold)[clear], (exact >= threshold)[clear]
    )


@pytest.mark.parametrize("block", [3, 2048], ids=["many blocks", "one block"])
def test_copies_are_found_brighter_paler_or_noisy_but_not_mirrored(
    block: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    faces = rng.integers(40, 200, (8, 48, 48), dtype=np.uint8)
    noisy = np.clip(faces[1] + rng.normal(0, 1.0, (48, 48)), 0, 255).astype(np.uint8)
    others = np.stack([faces[0] + 30, noisy, faces[2] // 2, faces[3, :, ::-1]])
    assert find_near_duplicates(faces, others).tolist() == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert count_near_duplicates(faces, others) == 3


def test_a_picture_is_not_its_own_near_duplicate_and_one_colour_has_none():
    rng = np.random.default_rng(1)
    faces = rng.integers(0, 256, (5, 12, 12), dtype=np.uint8)
    faces[4] = faces[2]
    faces[0] = faces[1] = 7
    assert find_near_duplicates(faces).tolist() == [False, False, True, False, True]
    assert count_near_duplicates(faces[:1]) == 0
    assert find_near_duplicates(faces[:0], faces).tolist() == []
    assert find_near_duplicates(faces, faces[:0]).tolist() == [False] * 5


@pytest.mark.parametrize("threshold", [0.0, 1.5, float("nan")])
def test_threshold_and_sizes_are_checked(threshold: float):
    faces = np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="threshold"):
        find_near_duplicates(faces, faces, threshold)
    with pytest.raises(ValueError, match="one size"):
        find_near_duplicates(faces, np.zeros((2, 4, 5), np.uint8))


def test_faces_are_compared_by_their_luma():
    red = np.zeros((60, 90, 3), dtype=np.uint8)
    red[..., 0] = 255
    np.testing.assert_array_equal(thumbnail(red), np.full((48, 48), 76, dtype=np.uint8))
