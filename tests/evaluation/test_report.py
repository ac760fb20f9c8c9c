import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_space.card import Card, Setting
from fer_space.errors import InputError
from fer_space.evaluation.cost import Cost
from fer_space.evaluation.ensemble import fitted_mean, plain_mean
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.recording import record, scores_of
from fer_space.evaluation.report import (
    differences_from,
    occlusion_table,
    scores_table,
    summarise,
    write_summary,
    zoo_table,
)
from tests.evaluation.made import lively, outputs_of, rows_of
from tests.evaluation.test_ensemble import fit_of
from tests.networks import toy_card
from tests.running import is_drawn

COSTS = {"one": Cost(1_000_000, 10_000_000, 1.0), "two": Cost(2_000_000, 30_000_000, 2.5)}
PICTURES = {"cost.png", "confusions.png", "overlap.png"}


@pytest.fixture
def three() -> list[Outputs]:
    """Three models on the same 40 faces."""
    made = lively(40)
    return [
        replace(
            made,
            about=made.about.model_copy(update={"model": name}),
            probabilities=np.roll(made.probabilities, shift, axis=0) if shift else made.probabilities,
        )
        for name, shift in (("one", 0), ("two", 1), ("far", 2))
    ]


def test_a_summary_holds_scores_costs_and_overlap(three: list[Outputs], tmp_path: Path):
    weighted = fitted_mean(three, fit_of(one=0.5, two=0.5))
    assert weighted is not None
    several = [*three, plain_mean(three), weighted]
    summary = summarise(several, COSTS, "fer-space test")
    models = summary["models"]
    assert list(models) == ["one", "two", "far", "ensemble", "weighted"]
    assert models["one"]["accuracy"] == scores_of(three[0]).accuracy
    assert np.sum(models["two"]["confusion"]) == models["two"]["n"] == 40
    assert summary["overlap"]["backbones"] == ["one", "two", "far"]
    # The fitted mean costs what its members cost; one of the plain mean's members is of unknown cost.
    assert (models["weighted"]["parameters"], models["weighted"]["time"]) == (3_000_000, 3.5)
    assert "time" not in models["far"]
    assert "time" not in models["ensemble"]
    write_summary(summary, tmp_path / "new")
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == summary
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"results.json", *PICTURES}
    assert all(is_drawn(tmp_path / "new" / name) for name in PICTURES)
    table = zoo_table(summary)
    assert "| one | 1.0 M | 10 M | 1.0 |" in table
    assert "| weighted | 3.0 M | 40 M | 3.5 |" in table
    assert "| far | – | – | – |" in table


def test_a_summary_without_any_cost_draws_none(three: list[Outputs], tmp_path: Path):
    write_summary(summarise(three[:1], {}, "none"), tmp_path)
    assert not (tmp_path / "cost.png").exists()


@pytest.mark.parametrize(
    ("several", "sentence"),
    [
        ([lively(9), lively(9)], "no name twice"),
        ([lively(9), lively(9, model="b", boost_rare=True)], "of several"),
        ([lively(9), lively(9, seed=1, model="b")], "not of the same faces"),
        ([plain_mean([lively(9), lively(9, model="b")])], "one backbone or more"),
    ],
    ids=["twice", "settings", "faces", "ensemble alone"],
)
def test_what_cannot_be_compared(several: list[Outputs], sentence: str):
    with pytest.raises(InputError, match=sentence):
        summarise(several, {}, "none")


def test_differences_are_those_of_the_scores_and_lie_in_their_intervals():
    base = lively(400)
    other = replace(base, probabilities=lively(400, seed=3).probabilities)
    found = differences_from(base, other)
    assert list(found) == ["accuracy", "balanced_accuracy"]
    for rule in (accuracy, balanced_accuracy):
        value, low, high = found[rule.__name__]
        expected = rule(other.probabilities, base.labels) - rule(base.probabilities, base.labels)
        assert value == pytest.approx(expected, abs=1e-5)
        assert low < value < high
    with pytest.raises(InputError, match="not of the same faces"):
        differences_from(lively(20), lively(20, seed=1))


def test_what_the_data_lack_is_left_out_of_both():
    labels = ["neutral", "happiness"] * 20
    rows = rows_of(["contempt", "happiness"] * 20)
    rows[::2, 0] += 0.05  # neutral is second to contempt
    rows /= rows.sum(axis=1, keepdims=True)
    known = ("neutral", "happiness")
    one = outputs_of(labels, rows, data_classes=known)
    two = outputs_of(labels, rows_of(labels), data_classes=known)
    assert differences_from(one, two)["accuracy"] == (0.0, 0.0, 0.0)


def test_tables_of_cards_keep_occluded_faces_apart(tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    for occlusion in (None, "scarf"):
        record(lively(40, data="ferplus", occlusion=occlusion), ["ferplus"], folder)
    measured = Card.from_json((folder / "tiny.json").read_bytes(), "tiny.json")
    cards = [measured, toy_card(name="unmeasured")]
    scores = measured.measured(Setting(data="ferplus", split="test")).scores
    assert scores_table(cards).count("| tiny | ferplus test | 40 |") == 1
    assert "occluded" not in scores_table(cards)
    pair = f"{100 * scores.accuracy:.1f} / {100 * scores.macro_f1:.1f}"
    assert f"| tiny | {pair} | – | – | – | {pair} |" in occlusion_table(cards)
    assert "unmeasured" not in occlusion_table(cards)
