"""The JSON record is complete, plain, and the same however it is asked for."""

import csv
import json
from io import StringIO

import numpy as np
import pytest

from fer_space.comparison import Comparison, Covered
from fer_space.render.record import comparison_csv, comparison_record, covered_record
from fer_space.types import Face
from tests.toys import toy_prediction, toy_reading

SURE = {"neutral": 0.1, "happiness": 0.9}
UNSURE = {"neutral": 0.6, "happiness": 0.3, "contempt": 0.1}


def _comparison(landmarks: np.ndarray | None = None) -> Comparison:
    face = Face((-3.0, 4.5, 40.0, 60.0), 0.875, landmarks)
    readings = toy_reading(toy_prediction(SURE, "a")), toy_reading(toy_prediction(UNSURE, "b"))
    return Comparison(face, readings)


def test_record_survives_json() -> None:
    record = comparison_record("photo.jpg", (640, 480), [_comparison(np.ones((5, 2), np.float32))])
    assert json.loads(json.dumps(record)) == record


def test_record_has_the_agreed_keys() -> None:
    record = comparison_record("photo.jpg", (640, 480), [_comparison()])
    assert (record["source"], record["width"], record["height"]) == ("photo.jpg", 640, 480)
    (face,) = record["faces"]
    assert face["box_xyxy"] == [-3.0, 4.5, 40.0, 60.0]
    assert face["score"] == 0.875
    assert face["landmarks"] is None
    assert face["backbones"]["a"] == {
        "label": "happiness",
        "probabilities": SURE,
        "valence": 0.6,
        "arousal": 0.1,
        "va_source": "circumplex",
        "ms": 4.2,
        "runtime": "torch",
    }


def test_record_leaves_absent_emotions_out() -> None:
    (face,) = comparison_record("x", (9, 9), [_comparison()])["faces"]
    assert list(face["backbones"]["a"]["probabilities"]) == ["neutral", "happiness"]


def test_consensus_is_the_mean_with_its_spread() -> None:
    (face,) = comparison_record("x", (9, 9), [_comparison()])["faces"]
    consensus = face["consensus"]
    assert consensus["label"] == "happiness"
    assert sum(consensus["probabilities"].values()) == pytest.approx(1.0)
    assert consensus["agreement"] == 0.5
    assert 0.0 < consensus["disagreement_bits"] < 1.0
    assert consensus["rule"] == "mean"
    assert consensus["votes"] == {"happiness": 1, "neutral": 1}


def test_no_face_is_an_empty_list() -> None:
    assert comparison_record("x", (9, 9), [])["faces"] == []


def test_covered_record_adds_the_covered_face_to_the_free_one() -> None:
    free, hidden = _comparison(), _covered()
    record = covered_record("x", (9, 9), [Covered(free, hidden, "scarf")])
    assert json.loads(json.dumps(record)) == record
    (face,) = record["faces"]
    occluded = face.pop("occluded")
    assert face == comparison_record("x", (9, 9), [free])["faces"][0]
    assert list(occluded) == ["kind", "backbones", "consensus", "kept", "changes"]
    assert (occluded["kind"], occluded["kept"]) == ("scarf", 1)
    assert occluded["backbones"]["a"]["label"] == "neutral"


def test_covered_record_says_what_changes() -> None:
    (face,) = covered_record("x", (9, 9), [Covered(_comparison(), _covered(), "scarf")])["faces"]
    changes = face["occluded"]["changes"]
    assert changes["b"] == {"kept": True, "shift_bits": 0.0, "valence": 0.0, "arousal": 0.0}
    assert changes["a"]["kept"] is False
    assert 0.0 < changes["a"]["shift_bits"] < 1.0
    assert changes["a"]["valence"] == pytest.approx(-0.8)


def _covered() -> Comparison:
    moved = toy_prediction({"neutral": 0.9, "happiness": 0.1}, "a", valence=-0.2)
    return Comparison(_comparison().face, (toy_reading(moved), toy_reading(toy_prediction(UNSURE, "b"))))


def test_a_table_has_a_row_a_model_and_one_for_all_together() -> None:
    rows = list(csv.DictReader(StringIO(comparison_csv("photo.jpg", [_comparison(), _comparison()]))))
    assert [(row["face"], row["model"]) for row in rows] == [
        (face, model) for face in "12" for model in ("a", "b", "all together (mean)")
    ]
    assert rows[0]["happiness"] == "0.9"
    assert rows[0]["contempt"] == ""
    assert rows[2]["label"] == "happiness"
