"""Numbers that stay with faces, and averages over time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.tracks import MEMORY, Smoother, Tracker, likeness
from fer_space.types import Face


def face(x: float, y: float, side: float = 40.0) -> Face:
    return Face((x, y, x + side, y + side), 0.9)


def test_two_faces_that_walk_keep_their_numbers_in_any_order():
    tracker = Tracker()
    assert tracker.number(0.0, [face(0, 0), face(200, 60)]) == [1, 2]
    for step in range(1, 20):
        left, right = face(4.0 * step, 0), face(200 - 4.0 * step, 60)
        assert tracker.number(0.1 * step, [right, left]) == [2, 1]


def test_a_face_that_jumps_within_reach_stays_and_one_that_jumps_far_is_new():
    tracker = Tracker()
    assert tracker.number(0.0, [face(0, 0)]) == [1]
    assert tracker.number(0.1, [face(28, 0)]) == [1]
    assert tracker.number(0.2, [face(100, 0)]) == [2]
    assert likeness(face(0, 0), face(0, 0, 90)) == 0.0


def test_a_face_is_remembered_for_a_moment():
    tracker = Tracker()
    assert tracker.number(0.0, [face(0, 0)]) == [1]
    assert tracker.number(0.9 * MEMORY, [face(2, 0)]) == [1]
    assert tracker.number(2.0 * MEMORY, [face(2, 0)]) == [2]


@given(st.lists(st.lists(st.tuples(*[st.floats(0, 500)] * 2, st.floats(8, 200)), max_size=5), max_size=6))
def test_numbers_are_never_given_twice_in_a_frame(frames: list[list[tuple[float, float, float]]]):
    tracker = Tracker()
    for step, boxes in enumerate(frames):
        numbers = tracker.number(0.1 * step, [face(*box) for box in boxes])
        assert len(set(numbers)) == len(boxes)
        assert all(number >= 1 for number in numbers)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.floats(0.05, 3))
def test_averages_of_distributions_are_distributions(shares: list[float], seconds: float):
    smoother = Smoother()
    for step, share in enumerate(shares):
        mean = smoother.add("face", 0.1 * step, np.array([share, 1.0 - share]), seconds)
        assert mean.sum() == pytest.approx(1.0)
        assert min(shares) - 1e-9 <= mean[0] <= max(shares) + 1e-9


def test_an_average_does_not_depend_on_how_many_frames_come_between():
    ends = []
    for frames in (2, 40):
        smoother = Smoother()
        smoother.add("face", 0.0, np.array([0.0]), 0.5)
        for step in range(1, frames + 1):
            mean = smoother.add("face", step / frames, np.array([1.0]), 0.5)
        ends.append(float(mean[0]))
    assert ends[0] == pytest.approx(ends[1])


def test_no_smoothing_gives_what_came_and_a_gap_starts_anew():
    smoother = Smoother()
    smoother.add("face", 0.0, np.array([0.0]), 0.0)
    assert smoother.add("face", 0.1, np.array([1.0]), 0.0)[0] == 1.0
    assert smoother.add("face", 0.2 + MEMORY, np.array([0.3]), 2.0)[0] == 0.3
    smoother.forget(10.0)
    assert smoother.add("face", 10.0, np.array([0.7]), 2.0)[0] == 0.7


def test_what_was_unknown_starts_anew():
    smoother = Smoother()
    smoother.add("face", 0.0, np.array([1.0, np.nan]), 0.5)
    known = smoother.add("face", 0.1, np.array([0.6, 0.4]), 0.5)
    assert known[1] == 0.4
    assert 0.6 < known[0] < 1.0
