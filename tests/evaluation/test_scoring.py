import numpy as np
import pytest

from fer_space.distributions import CIRCUMPLEX
from fer_space.evaluation.scoring import record_of
from tests.evaluation.made import predictions_of, rows_of

LABELS = ["neutral", "happiness", "fear", "fear"]
RATED = np.array([(0.0, 0.0), (0.7, 0.1), (np.nan, np.nan), (-0.1, 0.8)])


def test_affect_of_the_head_is_scored_where_there_is_one():
    made = predictions_of(LABELS, rows_of(LABELS), affect=np.nan_to_num(RATED), affect_labels=RATED)
    assert record_of(made)["affect"] == {
        "valence": {"ccc": 1.0, "pearson": 1.0, "rmse": 0.0},
        "arousal": {"ccc": 1.0, "pearson": 1.0, "rmse": 0.0},
        "source": "head",
        "n": 3,
    }


def test_affect_is_else_derived_and_says_so():
    """One face is not found and one is not rated: both are left out."""
    made = predictions_of(LABELS, rows_of(["neutral", "", "fear", "fear"], 1.0), affect_labels=RATED)
    affect = record_of(made)["affect"]
    assert (affect["source"], affect["n"]) == ("circumplex", 2)
    error = np.array([CIRCUMPLEX["neutral"][0], CIRCUMPLEX["fear"][0] + 0.1])
    assert affect["valence"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), abs=1e-5)


def test_a_score_that_is_not_defined_is_null():
    made = predictions_of(LABELS, rows_of(["fear"] * 4), affect_labels=RATED)
    assert record_of(made)["affect"]["valence"]["pearson"] is None
    assert record_of(made)["affect"]["valence"]["ccc"] == pytest.approx(0.0)
    assert "affect" not in record_of(predictions_of(LABELS, rows_of(LABELS)))


def test_twins_of_training_faces_are_left_out_of_the_second_score():
    rows = rows_of(["neutral", "happiness", "anger", "fear"])
    made = predictions_of(LABELS, rows, twin=np.array([True, True, False, False]))
    record = record_of(made)
    assert (record["twins"], record["n"], record["accuracy"]) == (2, 4, 0.75)
    assert (record["without_twins"]["n"], record["without_twins"]["accuracy"]) == (2, 0.5)
    only_twins = predictions_of(LABELS, rows, twin=np.ones(4, dtype=bool))
    assert record_of(only_twins)["without_twins"] is None
