import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.distributions import CIRCUMPLEX, circumplex
from fer_space.emotions import EMOTIONS


def test_every_emotion_has_its_place():
    assert tuple(CIRCUMPLEX) == EMOTIONS


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_a_sure_answer_is_the_emotions_own_place(emotion: str):
    assert circumplex({emotion: 1.0}) == CIRCUMPLEX[emotion]


def test_half_and_half_is_the_middle():
    valence, arousal = circumplex({"happiness": 0.5, "sadness": 0.5})
    assert valence == pytest.approx(0.022)
    assert arousal == pytest.approx(-0.093)


@given(st.lists(st.floats(0.001, 1.0), min_size=8, max_size=8))
def test_always_inside_the_square(weights: list[float]):
    total = sum(weights)
    point = circumplex({e: w / total for e, w in zip(EMOTIONS, weights, strict=True)})
    assert max(map(abs, point)) <= 1.0
