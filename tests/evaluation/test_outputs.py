import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fer_space.data.faceset import Member
from fer_space.emotions import EMOTIONS, columns_of
from fer_space.errors import InputError
from fer_space.evaluation.outputs import KEY, Outputs, require_same_faces
from fer_space.evaluation.recording import scores_of
from tests.evaluation.made import SEVEN, lively, outputs_of, rows_of

GAP = (np.nan, np.nan)
COLUMNS = (
    "labels",
    "probabilities",
    "affect",
    "affect_labels",
    "disagreement",
    "near_duplicate",
    "origins",
    "embeddings",
)


def rich() -> Outputs:
    """Outputs that have everything: a model without contempt, an unfound face, unrated faces."""
    return outputs_of(
        ["neutral", "happiness", "contempt", "fear"],
        rows_of(["neutral", "", "anger", "fear"], 0.7, SEVEN),
        detector="dlib",
        occlusion="surgical",
        model_classes=SEVEN,
        flip=False,
        members=("a", "b"),
        rule="mean",
        affect=np.array([(0.1, 0.2), GAP, (-0.5, 0.4), (0.3, 0.3)]),
        affect_labels=np.array([(0.2, 0.1), (0.9, 0.1), GAP, (-0.1, 0.8)]),
        disagreement=np.array([0.1, np.nan, 0.3, 0.2]),
        near_duplicate=np.array([True, False, False, False]),
        sets=(Member("one", EMOTIONS), Member("none", SEVEN), Member("two", SEVEN)),
        origins=np.array([0, 2, 0, 2]),
        embeddings=np.arange(12, dtype=np.float16).reshape(4, 3) / 7,
    )


def test_each_joined_set_is_scored_by_itself():
    scores = scores_of(rich())
    assert {name: (rates.n, rates.accuracy) for name, rates in scores.sets.items()} == {
        "one": (2, 0.5),  # contempt is not in the model
        "two": (2, 0.5),  # one face was not found
    }
    assert "sets" not in scores_of(plain()).model_fields_set
    with pytest.raises(ValueError, match="belong together"):
        replace(rich(), origins=None)


def plain() -> Outputs:
    return outputs_of(["sadness"], rows_of(["sadness"]))


@pytest.mark.parametrize("made", [rich(), plain(), lively()], ids=["everything", "least", "many"])
def test_what_is_stored_comes_back_with_the_same_scores(made: Outputs, tmp_path: Path):
    again = Outputs.load(made.save(tmp_path / "new folder"))
    assert again.about == made.about
    assert again.files == made.files
    for name in COLUMNS:
        before, after = getattr(made, name), getattr(again, name)
        assert (before is None) == (after is None)
        if before is not None:
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
    assert scores_of(again) == scores_of(made)


def test_files_of_version_0_1_are_read(tmp_path: Path):
    made = rich()
    made = replace(made, about=made.about.model_copy(update={"sets": ()}), origins=None)
    table = pyarrow.parquet.read_table(made.save(tmp_path))
    old = {
        "backbone": "tiny",
        "data": "made",
        "split": "test",
        "detector": "dlib",
        "occlusion": "surgical",
        "model_classes": SEVEN,
        "data_classes": EMOTIONS,
        "flip": False,
        "lift": False,
        "members": ["a", "b"],
        "date": "2031-02-03",
    }
    names = ["twin" if name == "near_duplicate" else name for name in table.column_names]
    table = table.rename_columns(names).replace_schema_metadata({KEY: json.dumps(old)})
    pyarrow.parquet.write_table(table, tmp_path / "old.parquet")
    again = Outputs.load(tmp_path / "old.parquet")
    assert again.about == made.about
    assert scores_of(again) == scores_of(made)


def test_no_answer_is_stored_as_null_not_as_zero(tmp_path: Path):
    table = pandas.read_parquet(rich().save(tmp_path))
    assert table["contempt"].isna().all()
    assert table.loc[1, list(EMOTIONS)].isna().all()
    assert table.loc[0, "neutral"] == pytest.approx(0.7)
    assert table["label"].tolist() == ["neutral", "happiness", "contempt", "fear"]


@pytest.mark.parametrize(
    ("made", "name", "title"),
    [
        (
            rich(),
            "tiny-made-test-dlib-surgical-noflip.parquet",
            "tiny on made test, detected by dlib, occluded: surgical, without flip",
        ),
        (plain(), "tiny-made-test.parquet", "tiny on made test"),
        (
            outputs_of(["fear"], rows_of(["fear"]), model="hub:a/b", boost_rare=True),
            "hub-a-b-made-test-boosted.parquet",
            "hub:a/b on made test, rare emotions boosted",
        ),
    ],
    ids=["everything", "least", "name with signs"],
)
def test_files_are_named_by_what_they_hold(made: Outputs, name: str, title: str, tmp_path: Path):
    assert made.save(tmp_path).name == name
    assert made.about.title == title


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no file"):
        Outputs.load(tmp_path / "gone.parquet")
    (tmp_path / "text.parquet").write_text("file,label")
    pandas.DataFrame({"file": ["a"]}).to_parquet(tmp_path / "other.parquet")
    for name in ("text.parquet", "other.parquet"):
        with pytest.raises(InputError, match=f"{name} holds no predictions"):
            Outputs.load(tmp_path / name)


def test_broken_outputs_cannot_be_made():
    with pytest.raises(ValueError, match="as many labels"):
        outputs_of(["fear"], rows_of(["fear", "fear"]))
    with pytest.raises(ValueError, match="does not have"):
        outputs_of(["fear"], rows_of(["fear"]), model_classes=SEVEN)
    with pytest.raises(ValueError, match="need 1 rows"):
        outputs_of(["fear"], rows_of(["fear"]), near_duplicate=np.array([True, False]))


def test_different_faces_are_told_apart():
    require_same_faces([plain(), plain()])
    with pytest.raises(InputError, match="not of the same faces"):
        require_same_faces([plain(), rich()])


some_classes = st.sets(st.sampled_from(EMOTIONS), min_size=2).map(
    lambda chosen: tuple(emotion for emotion in EMOTIONS if emotion in chosen)
)
distributions = arrays(np.float64, (6, 8), elements=st.floats(0.01, 1.0)).map(
    lambda rows: rows / rows.sum(axis=1, keepdims=True)
)


@given(distributions, some_classes)
def test_what_the_data_know_is_scored_in_the_same_proportions(rows: np.ndarray, classes: tuple[str, ...]):
    scored = outputs_of(["fear"] * 6, rows, data_classes=classes).scored
    kept = columns_of(classes)
    assert np.isnan(np.delete(scored, kept, axis=1)).all()
    np.testing.assert_allclose(np.nansum(scored, axis=1), 1.0)
    np.testing.assert_allclose(scored[:, kept] * rows[:, kept].sum(axis=1, keepdims=True), rows[:, kept])


def test_nothing_left_is_no_answer_though_the_face_was_found():
    made = outputs_of(["neutral"], rows_of(["contempt"], 1.0), data_classes=SEVEN)
    assert np.isnan(made.scored).all()
    assert made.answered.all()


def test_valence_and_arousal_say_where_they_are_from():
    derived, head = replace(rich(), affect=None), rich()
    assert (derived.affect_source, head.affect_source) == ("circumplex", "head")
    assert np.isnan(derived.valence_arousal[1]).all()
    np.testing.assert_array_equal(head.valence_arousal, head.affect)
