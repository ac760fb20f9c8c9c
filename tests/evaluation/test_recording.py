import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.card import Card, Setting, paths_of, read_card, write_card
from fer_space.distributions import CIRCUMPLEX, restrict
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError
from fer_space.evaluation.recording import (
    command_of,
    describe,
    describe_fit,
    record,
    record_boost,
    record_calibration,
    record_of,
    scores_of,
)
from tests.evaluation.made import SEVEN, lively, outputs_of, rows_of
from tests.evaluation.test_ensemble import fit_of

LABELS = ["neutral", "happiness", "fear", "fear"]
RATED = np.array([(0.0, 0.0), (0.7, 0.1), (np.nan, np.nan), (-0.1, 0.8)])

some_classes = st.sets(st.sampled_from(EMOTIONS), min_size=2).map(
    lambda chosen: tuple(emotion for emotion in EMOTIONS if emotion in chosen)
)
distributions = arrays(np.float64, (6, 8), elements=st.floats(0.01, 1.0)).map(
    lambda rows: rows / rows.sum(axis=1, keepdims=True)
)


@given(distributions, some_classes, some_classes, st.lists(st.integers(0, 7), min_size=6, max_size=6))
def test_every_record_tells_what_is_absent_and_counts_it(
    rows: np.ndarray, model: tuple[str, ...], data: tuple[str, ...], picks: list[int]
):
    labels = [data[pick % len(data)] for pick in picks]
    made = outputs_of(labels, restrict(rows, model), model_classes=model, data_classes=data)
    if not set(model) & set(data):
        with pytest.raises(DataError, match="in common"):
            scores_of(made)
        return
    scores = scores_of(made)
    assert set(scores.absent_from_data) == set(model) - set(data)
    assert set(scores.absent_from_model) == set(data) - set(model)
    assert all(scores.per_class.get(emotion, 0.0) == 0.0 for emotion in scores.absent_from_model)
    if scores.absent_from_model:
        shared = scores.accuracy_on_shared
        assert scores.n_shared == sum(label in model for label in labels)
        assert round(scores.accuracy * scores.n) == round((shared or 0.0) * scores.n_shared)
    else:
        assert "accuracy_on_shared" not in record_of(made)


def test_the_answer_is_the_best_that_the_data_has():
    rows = rows_of(["contempt"], 0.6)
    rows[0, 0], rows[0, 1] = 0.1, rows[0, 1] + rows[0, 0] - 0.1
    made = outputs_of(["neutral"], rows, data_classes=SEVEN)
    assert scores_of(made).accuracy == float(np.nanargmax(made.scored[0]) == 0)
    assert made.scored[0, 0] == pytest.approx(0.1 / 0.4)


def test_faces_of_an_emotion_that_the_model_lacks_are_wrong_and_named():
    rows = rows_of(["neutral", "happiness", "neutral"], classes=SEVEN)
    scores = scores_of(outputs_of(["neutral", "happiness", "contempt"], rows, model_classes=SEVEN))
    assert scores.accuracy == pytest.approx(2 / 3, abs=1e-4)
    assert (scores.accuracy_on_shared, scores.n_shared) == (1.0, 2)
    assert scores.per_class["contempt"] == 0.0
    assert scores.absent_from_model == ("contempt",)


def test_affect_of_the_head_is_scored_where_there_is_one():
    made = outputs_of(LABELS, rows_of(LABELS), affect=np.nan_to_num(RATED), affect_labels=RATED)
    assert record_of(made)["affect"] == {
        "valence": {"ccc": 1.0, "pearson": 1.0, "rmse": 0.0},
        "arousal": {"ccc": 1.0, "pearson": 1.0, "rmse": 0.0},
        "source": "head",
        "n": 3,
    }


def test_affect_is_else_derived_and_says_so():
    """One face is not found and one is not rated: both are left out."""
    made = outputs_of(LABELS, rows_of(["neutral", "", "fear", "fear"], 1.0), affect_labels=RATED)
    affect = record_of(made)["affect"]
    assert (affect["source"], affect["n"]) == ("circumplex", 2)
    error = np.array([CIRCUMPLEX["neutral"][0], CIRCUMPLEX["fear"][0] + 0.1])
    assert affect["valence"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-5)


def test_a_score_that_is_not_defined_is_null():
    made = outputs_of(LABELS, rows_of(["fear"] * 4), affect_labels=RATED)
    assert record_of(made)["affect"]["valence"]["pearson"] is None
    assert record_of(made)["affect"]["valence"]["ccc"] == pytest.approx(0.0)
    assert "PEARSON undefined" in describe(made, scores_of(made))
    assert "affect" not in record_of(outputs_of(LABELS, rows_of(LABELS)))


def test_near_duplicates_of_training_faces_are_left_out_of_the_second_score():
    rows = rows_of(["neutral", "happiness", "anger", "fear"])
    scores = scores_of(outputs_of(LABELS, rows, near_duplicate=np.array([True, True, False, False])))
    assert (scores.near_duplicates, scores.n, scores.accuracy) == (2, 4, 0.75)
    assert scores.without_near_duplicates is not None
    assert (scores.without_near_duplicates.n, scores.without_near_duplicates.accuracy) == (2, 0.5)
    only = record_of(outputs_of(LABELS, rows, near_duplicate=np.ones(4, dtype=bool)))
    assert only["without_near_duplicates"] is None


def test_a_record_is_json_and_holds_what_applies():
    written = record_of(lively(detector="dlib", occlusion="upper", flip=False, boost_rare=True))
    assert json.loads(json.dumps(written)) == written
    assert list(written)[:7] == ["backbone", "data", "split", "detector", "occlusion", "flip", "boost_rare"]
    assert written["undetected"] == 0
    assert list(record_of(lively())) == [
        "backbone",
        "data",
        "split",
        "flip",
        "n",
        "accuracy",
        "accuracy_interval",
        "balanced_accuracy",
        "macro_f1",
        "ece",
        "per_class",
        "absent_from_data",
        "absent_from_model",
    ]


def test_a_person_is_told_what_the_figures_mean():
    made = lively(40, data_classes=SEVEN, detector="dlib", occlusion="upper", flip=False)
    text = describe(made, scores_of(made))
    assert text.startswith("tiny on made test, detected by dlib, occluded: upper, without flip: accuracy ")
    assert "not in the data, dropped and the rest rescaled: contempt" in text
    assert "no face found in 0" in text
    assert describe_fit(fit_of(a=0.25, b=0.75)) == "fitted on made valid: b 75.0%, a 25.0%"


@pytest.mark.parametrize(
    ("changes", "kinds", "options", "words"),
    [
        ({}, ["ferplus"], [], ""),
        ({"detector": "dlib", "occlusion": "hand"}, ["folder"], [], " --detect dlib --occlude hand"),
        ({"flip": False, "boost_rare": True}, ["a", "b"], ["--x"], " --no-flip --boost-rare --x"),
    ],
)
def test_commands_are_built_from_values(
    changes: dict[str, object], kinds: list[str], options: list[str], words: str
):
    setting = Setting(**{"data": "a folder with spaces", "split": "valid", **changes})
    data = "+".join(f"{kind}:DIR" for kind in kinds)
    command = command_of("tiny", setting, kinds, options)
    assert command == f"fer-space test --backbone tiny --data {data} --split valid{words}"


def test_a_measurement_replaces_the_one_of_its_setting(tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    for seed, kwargs in ((0, {}), (1, {"occlusion": "scarf"}), (2, {})):
        record(lively(40, seed, **kwargs), ["folder"], folder)
    measurements = read_card(paths_of("tiny", folder)[1]).measurements
    assert [m.setting.occlusion for m in measurements] == [None, "scarf"]
    assert measurements[0].scores == scores_of(lively(40, 2))
    assert measurements[0].date == dt.date(2031, 2, 3)


def test_scores_that_are_not_defined_survive_in_a_card(tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    made = outputs_of(LABELS, rows_of(["fear"] * 4), affect_labels=RATED)
    record(made, ["folder"], folder)
    (measurement,) = read_card(paths_of("tiny", folder)[1]).measurements
    assert measurement.scores.affect is not None
    assert measurement.scores.affect.valence.pearson is None


def test_the_second_operating_point_is_measured_too_where_faces_are_free(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    write_card(card.model_copy(update={"boost": (0.0,) * 7 + (50.0,)}), folder)
    record(lively(40, near_duplicate=np.zeros(40, dtype=bool)), ["folder"], folder)
    record(lively(40, occlusion="scarf"), ["folder"], folder)
    first, second, third = read_card(paths_of("tiny", folder)[1]).measurements
    assert [m.setting.boost_rare for m in (first, second, third)] == [False, True, False]
    assert second.command.endswith("--split test --boost-rare --without-near-duplicates")
    assert second.scores.accuracy == (lively(40).labels == 7).mean()  # every face is contempt now


def test_the_second_operating_point_is_fitted_on_a_models_own_answers(tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    made = lively(400)
    made.probabilities[0] = np.nan  # no face was found
    boost = record_boost(replace(made), folder).boost
    assert boost == read_card(paths_of("tiny", folder)[1]).boost
    assert len(boost) == 8
    assert min(boost) == 0.0


def test_the_calibration_of_anothers_network_is_fitted_on_its_own_answers(tiny_weights: tuple[Path, Card]):
    folder, given_card = tiny_weights
    logits = np.random.default_rng(0).normal(size=(400, 8))
    labels = [EMOTIONS[k] for k in (logits + np.random.default_rng(1).normal(size=(400, 8))).argmax(axis=1)]
    harsh = given_card.model_copy(update={"bias": (0.0,) * 8, "temperature": 0.2})
    write_card(harsh, folder)
    made = outputs_of(labels, harsh.probabilities(logits[:, harsh.columns]), model="tiny")
    made.probabilities[0] = np.nan  # no face was found
    done = record_calibration(made, folder)
    card = read_card(paths_of("tiny", folder)[1])
    assert card.temperature > 0.5
    assert card.validation is not None
    assert card.validation.calibrated.ece < card.validation.plain.ece
    assert card.validation.plain.n == 399
    expected = card.probabilities(logits[:, card.columns])
    np.testing.assert_allclose(done.probabilities[1:], expected[1:], atol=1e-6)
    assert np.isnan(done.probabilities[0]).all()
    again = record_calibration(done, folder)  # fitting twice is fitting once
    np.testing.assert_allclose(again.probabilities[1:], done.probabilities[1:], atol=1e-3)
