from pathlib import Path

import numpy as np
import pandas
import pytest

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.predictions import Predictions, require_same_faces
from fer_space.evaluation.scoring import record_of
from tests.evaluation.made import lively, predictions_of, rows_of

SEVEN = EMOTIONS[:-1]
GAP = (np.nan, np.nan)


def rich() -> Predictions:
    """Predictions that have everything: a model without contempt, an unfound face, unrated faces."""
    return predictions_of(
        ["neutral", "happiness", "contempt", "fear"],
        rows_of(["neutral", "", "anger", "fear"], 0.7, SEVEN),
        detector="dlib",
        occlusion="surgical",
        model_classes=SEVEN,
        flip=False,
        members=("a", "b"),
        date="2031-02-03",
        affect=np.array([(0.1, 0.2), GAP, (-0.5, 0.4), (0.3, 0.3)]),
        affect_labels=np.array([(0.2, 0.1), (0.9, 0.1), GAP, (-0.1, 0.8)]),
        disagreement=np.array([0.1, np.nan, 0.3, 0.2]),
        twin=np.array([True, False, False, False]),
        embeddings=np.arange(12, dtype=np.float16).reshape(4, 3) / 7,
    )


def plain() -> Predictions:
    return predictions_of(["sadness"], rows_of(["sadness"]))


@pytest.mark.parametrize("made", [rich(), plain(), lively()], ids=["everything", "least", "many"])
def test_what_is_stored_comes_back_with_the_same_scores(made: Predictions, tmp_path: Path):
    path = made.save(tmp_path / "new" / "folder")
    again = Predictions.load(path)
    assert again.about == made.about
    assert again.files == made.files
    for name in ("labels", "probabilities", "affect", "affect_labels", "disagreement", "twin", "embeddings"):
        before, after = getattr(made, name), getattr(again, name)
        assert (before is None) == (after is None)
        if before is not None:
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
    assert record_of(again) == record_of(made)


def test_no_answer_is_stored_as_null_not_as_zero(tmp_path: Path):
    table = pandas.read_parquet(rich().save(tmp_path))
    assert table["contempt"].isna().all()
    assert table.loc[1, list(EMOTIONS)].isna().all()
    assert table.loc[0, "neutral"] == pytest.approx(0.7)
    assert table["label"].tolist() == ["neutral", "happiness", "contempt", "fear"]


def test_files_are_named_by_what_they_hold(tmp_path: Path):
    assert rich().save(tmp_path).name == "tiny-made-test-dlib-surgical-noflip.parquet"
    assert rich().about.title == "tiny on made test, detected by dlib, occluded: surgical, without flip"
    assert plain().save(tmp_path).name == "tiny-made-test.parquet"


def test_other_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no file"):
        Predictions.load(tmp_path / "gone.parquet")
    (tmp_path / "text.parquet").write_text("file,label")
    pandas.DataFrame({"file": ["a"]}).to_parquet(tmp_path / "other.parquet")
    for name in ("text.parquet", "other.parquet"):
        with pytest.raises(InputError, match=f"{name} holds no predictions"):
            Predictions.load(tmp_path / name)


def test_broken_predictions_cannot_be_made():
    with pytest.raises(ValueError, match="as many labels"):
        predictions_of(["fear"], rows_of(["fear", "fear"]))
    with pytest.raises(ValueError, match="does not have"):
        predictions_of(["fear"], rows_of(["fear"]), model_classes=SEVEN)
    with pytest.raises(ValueError, match="need 1 rows"):
        predictions_of(["fear"], rows_of(["fear"]), twin=np.array([True, False]))


def test_different_faces_are_told_apart():
    require_same_faces([plain(), plain()])
    with pytest.raises(InputError, match="not of the same faces"):
        require_same_faces([plain(), rich()])
