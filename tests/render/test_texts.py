"""Sentences and numbers as people read them."""

import pytest

from fer_space.render.texts import Look, doubtful, for_masks


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


def test_the_model_that_reads_masks_best_is_named():
    looks = {
        "plain": Look("Plain", "#000000", 1, masked=0.4),
        "made": Look("Made for masks", "#ffffff", 1, masked=0.7),
        "unmeasured": Look("Unmeasured", "#ff0000", 1),
    }
    assert for_masks(looks, ["plain", "made"]).startswith(
        "Made for masks reads faces behind masks best (70.0"
    )
    assert for_masks(looks, ["plain", "made"]).endswith("trust it most here.")
    assert for_masks(looks, ["plain"]).endswith("choose it, too.")
    assert for_masks({"unmeasured": looks["unmeasured"]}, ["unmeasured"]) == ""
