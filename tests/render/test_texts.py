"""Sentences and numbers as people read them."""

import pytest

from fer_space.render.texts import doubtful


@pytest.mark.parametrize(
    ("doubts", "sentence"),
    [
        ((), ""),
        (("dark",), "This face is dark: believe"),
        (("dark", "blurred", "pale"), "This face is dark, blurred and pale: believe"),
    ],
)
def test_doubts_are_one_sentence(doubts: tuple[str, ...], sentence: str):
    assert doubtful(doubts).startswith(sentence)
    assert bool(doubtful(doubts)) == bool(doubts)
