"""The Leaderboard's plot, which people must be able to read."""

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.card import Setting, read_card
from fer_space.render.html import BoardRow
from fer_space.render.texts import Look
from fer_space.ui.board import Box, _elsewhere, box_of, plot_of, read_results, rows_of
from tests.networks import toy_card
from tests.toys import toy_measurement

ROOT = Path(__file__).parents[2]


def _row(title: str, accuracy: float, time: float | None) -> BoardRow:
    return BoardRow(title, title, "#000", accuracy, (accuracy, accuracy), 0.5, 0.1, None, None, 1, time)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_no_words_cover_others_in_the_plot_of_the_models_that_are_shipped() -> None:
    cards = {
        file.stem: read_card(file)
        for file in sorted((ROOT / "weights").glob("*.json"))
        if file.stem != "ensemble"
    }
    looks = {name: Look(f"{name[:22]}", "#000", 1) for name in cards}
    plot = plot_of(list(rows_of(cards, looks, read_results(ROOT / "docs" / "results.json"))))
    assert len(plot.points) >= 14
    boxes = [box_of(point) for point in plot.points]
    assert not any(_meet(one, other) for one, other in combinations(boxes, 2))
    assert all(left >= 50 and right <= 980 for left, _, right, _ in boxes)
    for dot in plot.points:
        assert not any(_meet((dot.x - 5, dot.y - 5, dot.x + 5, dot.y + 5), box) for box in boxes)


def test_other_data_are_the_same_for_all_and_learned_by_none() -> None:
    sets = [
        Setting(data=name, split="test") for name in ("ckplus-peaks", "diffusionfer", "ckplus", "fer2013")
    ]
    card = toy_card().model_copy(update={"data": "ferplus", "measurements": ()})
    for setting, accuracy in zip(sets, (0.5, 0.7, 0.9, 0.1), strict=True):
        toy = toy_measurement(None)
        scores = toy.scores.model_copy(update={"accuracy": accuracy})
        card = card.with_measurement(toy.model_copy(update={"setting": setting, "scores": scores}))
    assert _elsewhere(card) == pytest.approx(0.6)
    assert _elsewhere(card.model_copy(update={"measurements": card.measurements[:1]})) is None
    for learned in ("ferplus+ckplus+diffusionfer", "ferplus+diffusionfer", "ckplus"):
        assert _elsewhere(card.model_copy(update={"data": learned})) is None


@given(st.lists(st.tuples(st.floats(0.1, 0.99), st.one_of(st.none(), st.floats(0.05, 200.0))), max_size=20))
def test_every_timed_row_lies_in_the_frame(values: list[tuple[float, float | None]]) -> None:
    rows = [_row(str(number), *value) for number, value in enumerate(values)]
    plot = plot_of(rows)
    assert len(plot.points) == sum(time is not None for _, time in values)
    assert all(50 <= point.x <= 980 and 0 <= point.y <= 352 for point in plot.points)
    assert len(plot.times) < 20
