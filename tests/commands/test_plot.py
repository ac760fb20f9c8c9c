import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_space.commands import plot
from fer_space.data.prepare import count_emotions
from fer_space.evaluation.face_plots import good_and_bad
from fer_space.vision.imaging import encode_png
from tests.evaluation.made import lively
from tests.networks import build_tiny, write_weights
from tests.running import is_drawn, run

HISTORY = "epoch,train_loss,valid_loss,valid_accuracy,seconds\n1,1.5,1.2,0.6,9\n2,1.1,1.0,0.7,9\n"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return lively(60).save(tmp_path)


@pytest.mark.parametrize(
    ("what", "beside"),
    [("confusion", ""), ("reliability", "-reliability"), ("tradeoff", "-tradeoff"), ("tsne", "-tsne")],
)
def test_predictions_are_drawn_beside_their_file(
    what: str, beside: str, stored: Path, capsys: pytest.CaptureFixture[str]
):
    run("plot", what, stored)
    drawn = stored.with_name(f"tiny-made-test{beside}.png")
    assert capsys.readouterr().out.strip() == str(drawn)
    assert is_drawn(drawn)


@pytest.mark.parametrize("what", ["reliability", "tradeoff", "differences"])
def test_several_models_share_one_picture(what: str, tmp_path: Path):
    made = lively(60)
    others = made.probabilities[::-1].copy()
    other = replace(made, about=made.about.model_copy(update={"model": "other"}), probabilities=others)
    run("plot", what, made.save(tmp_path), other.save(tmp_path), "-o", tmp_path / "new" / "both.png")
    assert is_drawn(tmp_path / "new" / "both.png")


def test_valence_and_arousal_are_drawn_for_predictions_and_for_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rng = np.random.default_rng(0)
    given = rng.uniform(-1.0, 1.0, (60, 2))
    given[::7] = np.nan
    made = replace(lively(60), affect_labels=given, affect=np.clip(given + 0.1, -1.0, 1.0))
    path = made.save(tmp_path)
    run("plot", "affect", path)
    assert is_drawn(path.with_name(f"{path.stem}-affect.png"))
    lines = [f"{i}.png,{'fear' if i % 2 else 'happy'},train,{i / 9 - 0.5},{0.5 - i / 9}" for i in range(9)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,label,split,valence,arousal", *lines]))
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(encode_png(np.zeros((48, 48, 3), dtype=np.uint8)))
    monkeypatch.chdir(tmp_path)
    run("plot", "affect", "csv:manifest.csv", "-o", "set.png")
    assert is_drawn(tmp_path / "set.png")


def test_valence_and_arousal_alone_are_drawn(seeing: Path, tmp_path: Path):
    write_weights(seeing, build_tiny(8, affect=True), affect=True)
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(encode_png(np.full((48, 48, 3), 20 * i, dtype=np.uint8)))
    lines = [f"{i}.png,{i / 9 - 0.5},{0.5 - i / 9}" for i in range(9)]
    (tmp_path / "va.csv").write_text("\n".join(["file,valence,arousal", *lines]))
    run("plot", "affect", f"csv:{tmp_path / 'va.csv'}", "-o", tmp_path / "set.png")
    assert is_drawn(tmp_path / "set.png")
    run("test", "--backbone", "tiny", "--data", f"csv:{tmp_path / 'va.csv'}", "--out", tmp_path / "results")
    (stored,) = (tmp_path / "results").glob("*.parquet")
    run("plot", "affect", stored)
    assert is_drawn(stored.with_name(f"{stored.stem}-affect.png"))


@pytest.mark.parametrize("what", ["augment", "gallery"])
def test_where_nobody_named_an_emotion_there_is_nothing_to_draw(
    what: str, seeing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "0.png").write_bytes(encode_png(np.zeros((48, 48, 3), dtype=np.uint8)))
    (tmp_path / "va.csv").write_text("file,valence,arousal\n0.png,0.5,0.5\n")
    data = f"csv:{tmp_path / 'va.csv'}"
    run("test", "--backbone", "tiny", "--data", data, "--out", tmp_path / "results")
    (stored,) = (tmp_path / "results").glob("*.parquet")
    run("plot", what, *([stored] if what == "gallery" else []), data, "-o", tmp_path / "x.png", status=2)
    assert "emotion" in capsys.readouterr().err


def test_a_gallery_shows_good_and_bad_results(faces: str, seeing: Path, tmp_path: Path):
    run("test", "--backbone", "tiny", "--data", faces, "--split", "valid", "--out", tmp_path / "results")
    (stored,) = (tmp_path / "results").glob("*.parquet")
    run("plot", "gallery", stored, faces)
    assert is_drawn(stored.with_name(f"{stored.stem}-gallery.png"))


def test_faces_are_chosen_by_how_sure_a_model_is():
    rows = np.full((4, 8), 0.0)
    for row, (answer, label, sure) in enumerate([(1, 1, 0.9), (1, 1, 0.6), (3, 1, 0.8), (3, 1, 0.55)]):
        rows[row, [answer, label]] = 1 - sure, 1 - sure
        rows[row, answer] = sure
    made = replace(lively(4), labels=np.ones(4, dtype=np.int64), probabilities=rows, embeddings=None)
    assert good_and_bad(made, each=2) == {
        "right and sure": [0, 1],
        "wrong and sure": [2, 3],
        "nearly right": [3, 2],
    }


def test_models_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = [str(lively(60, seed=i).save(tmp_path / folder)) for i, folder in enumerate("ab")]
    assert list(plot.load_all(files)) == [f"tiny on made test ({file})" for file in files]
    assert plot.told_apart(["x", "y", "x"], ["1", "2", "3"]) == ["x (1)", "y", "x (3)"]


def test_faces_that_were_not_found_are_not_drawn(tmp_path: Path):
    made = lively(60)
    assert made.embeddings is not None
    made.probabilities[::2] = np.nan
    made.embeddings[::2] = np.nan
    path = made.save(tmp_path)
    for what in ("confusion", "reliability", "tsne"):
        run("plot", what, path)


def test_runs_are_drawn_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text(HISTORY)
    run("plot", "curves", tmp_path / "one", tmp_path / "two" / "history.csv")
    assert capsys.readouterr().out.strip() == str(tmp_path / "one" / "curves.png")
    assert is_drawn(tmp_path / "one" / "curves.png")


def test_a_data_set_is_drawn_by_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [f"{i}.png,{'fear' if i == 0 else 'happy'},{'test' if i % 3 == 0 else 'train'}" for i in range(9)]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,label,split", *lines]))
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(b"never opened")
    name, counts = count_emotions(f"csv:{tmp_path / 'manifest.csv'}")
    assert name == tmp_path.name
    assert {split: rows.sum() for split, rows in counts.items()} == {"train": 6, "test": 3}
    assert counts["test"].tolist() == [0, 2, 0, 0, 0, 0, 1, 0]
    run("plot", "distribution", tmp_path / "manifest.csv")
    assert is_drawn(tmp_path / "manifest-distribution.png")
    for emotion in ("happy", "sad"):
        (tmp_path / "faces" / emotion).mkdir(parents=True)
        (tmp_path / "faces" / emotion / "a.png").write_bytes(b"never opened")
    monkeypatch.chdir(tmp_path)
    run("plot", "distribution", "folder:faces")
    assert is_drawn(tmp_path / "faces-distribution.png")


def test_a_distribution_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home, work = tmp_path / "home", tmp_path / "work"
    for name in ("a", "b"):
        (home / name).mkdir(parents=True)
        (home / name / "manifest.csv").write_text("file,label\nx.png,fear\n")
        (home / name / "x.png").write_bytes(b"never opened")
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    run("plot", "distribution", "csv:~/a/manifest.csv")
    assert is_drawn(home / "a" / "manifest-distribution.png")
    run("plot", "distribution", "csv:~/a/manifest.csv+csv:~/b/manifest.csv")
    (drawn,) = work.iterdir()
    assert is_drawn(drawn)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tsne", "bare.parquet"], "test --embeddings"),
        (["confusion", "gone.parquet"], "no file"),
        (["differences", "bare.parquet"], "one or more others"),
        (["differences", "bare.parquet", "other.parquet"], "not of the same faces"),
        (["affect", "bare.parquet"], "no labels of valence"),
        (["gallery", "bare.parquet"], "whose pictures they read"),
        (["curves", "gone"], "no file"),
        (["curves", "words.csv"], "no history"),
        (["curves", "empty.csv"], "no history"),
        (["curves", "bytes.csv"], "no history"),
        (["confusion", "bare.parquet", "-o", "x.bmp"], "cannot be a “bmp” file"),
        (["distribution", "gone.csv"], "gone.csv"),
        (["distribution", "rated.csv"], "valence and arousal alone"),
    ],
    ids=[
        "no features",
        "no predictions",
        "nothing beside",
        "other faces",
        "no valence",
        "no pictures",
        "no run",
        "no numbers",
        "no lines",
        "no text",
        "no such kind",
        "no manifest",
        "no emotions",
    ],
)
def test_what_cannot_be_drawn_is_one_line_on_stderr(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    replace(lively(9), embeddings=None).save(tmp_path).rename("bare.parquet")
    lively(9, seed=5).save(tmp_path).rename("other.parquet")
    Path("words.csv").write_text("train_loss\nmuch\n")
    Path("empty.csv").write_text("")
    Path("bytes.csv").write_bytes(b"\xff\xfe\x00")
    Path("rated.csv").write_text("file,valence,arousal\nbytes.csv,0.1,0.2\n")
    run("plot", *words, status=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert sentence in err
    assert not list(tmp_path.glob("*.png"))


def test_drawing_needs_no_pyplot(stored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it fails from here on
    run("plot", "confusion", stored)
