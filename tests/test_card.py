"""Cards: what they compute, what they refuse, and the shipped ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fer_space.card import (
    FERPLUS_TEST,
    WEIGHTS_DIR,
    Card,
    Fit,
    Measurement,
    Scores,
    Setting,
    check_sha256,
    paths_of,
    read_card,
    read_fits,
    write_card,
    write_fit,
)
from fer_space.emotions import EMOTIONS
from fer_space.errors import WeightsError
from tests.networks import toy_card

SCORES = Scores(
    n=10,
    accuracy=0.8,
    accuracy_interval=(0.7, 0.9),
    balanced_accuracy=0.6,
    macro_f1=0.6,
    ece=0.02,
    per_class={"neutral": 0.9},
)
SHIPPED = sorted(path for path in WEIGHTS_DIR.glob("*.json") if path.name != "ensemble.json")


def measured(setting: Setting, accuracy: float = 0.8) -> Measurement:
    scores = SCORES.model_copy(update={"accuracy": accuracy})
    return Measurement(setting=setting, scores=scores, command="none", date="2026-11-27")


def test_a_card_survives_the_round_trip(tmp_path: Path):
    card = toy_card().with_measurement(measured(FERPLUS_TEST))
    write_card(card, tmp_path)
    assert read_card(paths_of(card.name, tmp_path)[1]) == card


def test_probabilities_by_hand():
    card = toy_card(labels=("fear", "neutral"), bias=(0.0, 1.0), temperature=2.0)
    (row,) = card.probabilities(np.array([[1.0, 2.0]], np.float32))
    assert row[EMOTIONS.index("neutral")] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert np.isnan(row).sum() == 6
    assert np.nansum(row) == pytest.approx(1.0)


def test_large_logits_do_not_overflow():
    rows = toy_card().probabilities(np.array([[1e30] + [0.0] * 7, [-1e30] * 8]))
    assert np.isfinite(rows).all()


def test_a_card_without_a_second_point_has_one_answer():
    rows = toy_card().probabilities(np.random.default_rng(0).normal(size=(3, 8)))
    assert toy_card().boosted(rows) is rows
    boosted = toy_card(boost=(0.0,) * 6 + (1.0, 0.0)).boosted(rows)
    odds = (boosted[:, 6] / boosted[:, 0]) / (rows[:, 6] / rows[:, 0])
    assert odds == pytest.approx(np.e)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"temperature": 0.0}, "temperature", id="zero temperature"),
        pytest.param({"temperature": float("inf")}, "temperature", id="endless temperature"),
        pytest.param({"bias": [1e308] * 8}, "bias", id="enormous bias"),
        pytest.param({"bias": [0.0] * 7}, "bias", id="one bias short"),
        pytest.param({"boost": [0.0] * 3}, "boost", id="half a boost"),
        pytest.param({"labels": ["hunger", "fear"], "bias": [0.0, 0.0]}, "hunger", id="no emotion"),
        pytest.param({"labels": ["fear", "fear"], "bias": [0.0, 0.0]}, "twice", id="one twice"),
        pytest.param({"labels": ["fear"], "bias": [0.0]}, "labels", id="one alone"),
        pytest.param({"surprise_field": 1}, "surprise_field", id="unknown field"),
        pytest.param({"preprocess": {}}, "preprocess", id="half a preprocess"),
        pytest.param(
            {"preprocess": {"input_size": -5, "native_size": 48, "gray": True}}, "input_size", id="-5 px"
        ),
        pytest.param({"crop": {"scale": 0.0}}, "crop", id="no crop"),
        pytest.param({"measurements": [{}]}, "measurements", id="half a measurement"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(change: dict[str, Any], sentence: str):
    text = json.dumps(json.loads(toy_card().to_json()) | change)
    with pytest.raises(WeightsError, match=rf"^tiny\.json is not .*{sentence}.*\.$"):
        Card.from_json(text, "tiny.json")


@pytest.mark.parametrize("content", [b"not json", b"\xff\xfe", b"[" * 100_000, b"{}", b""], ids=range(5))
def test_files_that_are_no_cards(tmp_path: Path, content: bytes):
    path = tmp_path / "tiny.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"tiny\.json"):
        read_card(path)


def test_a_missing_and_an_endless_card(tmp_path: Path):
    with pytest.raises(WeightsError, match="There is no card"):
        read_card(tmp_path / "tiny.json")
    (tmp_path / "tiny.json").write_bytes(b" " * 2**21)
    with pytest.raises(WeightsError, match="too long"):
        read_card(tmp_path / "tiny.json")


def test_one_changed_byte_is_noticed(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    path, _ = paths_of("tiny", folder)
    check_sha256(card, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        check_sha256(card, path)


def test_a_measurement_takes_the_place_of_that_of_its_setting():
    masked = Setting(data="ferplus", split="test", occlusion="surgical")
    card = toy_card().with_measurement(measured(FERPLUS_TEST)).with_measurement(measured(masked, 0.5))
    again = card.with_measurement(measured(FERPLUS_TEST, 0.9))
    assert [m.setting for m in again.measurements] == [FERPLUS_TEST, masked]
    assert again.measured(FERPLUS_TEST).scores.accuracy == 0.9
    assert again.measured(Setting(data="rafdb", split="test")) is None


def test_results_under_occlusion_begin_with_the_free_face():
    settings = [
        FERPLUS_TEST.model_copy(update=change) for change in ({"occlusion": "kn95"}, {}, {"flip": False})
    ]
    card = toy_card()
    for setting in settings:
        card = card.with_measurement(measured(setting))
    assert list(card.under_occlusion(["surgical", "kn95"])) == [None, "kn95"]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (FERPLUS_TEST, "ferplus test"),
        (
            Setting(data="a", split="b", detector="c", occlusion="d", flip=False, boost_rare=True),
            "a b, detected by c, occluded: d, without flip, rare emotions boosted",
        ),
    ],
)
def test_settings_in_words(setting: Setting, text: str):
    assert str(setting) == text


def test_a_fit_says_nothing_without_all_its_members(tmp_path: Path):
    fit = Fit(name="ferplus", shares={"dan": 0.25, "vit": 0.75}, data="x", command="y", date="2026-11-27")
    assert fit.shares_of(["vit", "ran", "dan"]) == (0.75, 0.0, 0.25)
    assert fit.shares_of(["vit", "ran"]) == ()
    write_fit(fit, tmp_path)
    write_fit(fit.model_copy(update={"name": "posed"}), tmp_path)
    write_fit(fit.model_copy(update={"data": "new"}), tmp_path)
    assert [(f.name, f.data) for f in read_fits(tmp_path)] == [("ferplus", "new"), ("posed", "x")]
    assert read_fits(tmp_path / "nowhere") == ()


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_shipped_cards_are_read_and_written_alike(path: Path):
    assert read_card(path).to_json() == path.read_text(encoding="utf-8")


def test_members_of_the_shipped_ensemble_are_shipped():
    for fit in read_fits():
        assert set(fit.shares) <= {path.stem for path in SHIPPED}
        assert sum(fit.shares.values()) == pytest.approx(1.0, abs=1e-3)
