from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_space.data import open_data
from fer_space.data.tables import read_csv, read_folder
from fer_space.errors import DataError, InputError, UnknownNameError
from fer_space.labels import EMOTIONS


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)
    return path


def test_folder_understands_synonyms_and_splits(tmp_path: Path):
    picture(tmp_path / "test" / "Happy" / "a.png", 7)
    picture(tmp_path / "test" / "sad" / "b.jpg")
    (tmp_path / "test" / "sad" / "notes.txt").write_text("no picture")
    faces = read_folder(tmp_path, "test")
    assert faces.labels.tolist() == [1, 3]
    assert faces.read(0).max() == 7


def test_folder_without_emotions_says_so(tmp_path: Path):
    picture(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError, match="cats"):
        read_folder(tmp_path, "test")


def test_csv_of_labels_with_affect_and_splits(tmp_path: Path):
    picture(tmp_path / "a.png")
    table = tmp_path / "faces.csv"
    table.write_text("file,label,valence,arousal,split\na.png,fearful,-0.5,0.75,test\na.png,joy,1,0,train\n")
    faces = read_csv(table, "test")
    assert faces.labels.tolist() == [6]
    assert faces.affect is not None
    np.testing.assert_allclose(faces.affect, [[-0.5, 0.75]])


def test_csv_of_distributions(tmp_path: Path):
    picture(tmp_path / "a.png")
    table = tmp_path / "faces.csv"
    table.write_text("file,neutral,happy,happiness\na.png,2,1,1\n")
    np.testing.assert_allclose(read_csv(table, "test").targets[0], [0.5, 0.5, 0, 0, 0, 0, 0, 0])


BAD_ROWS = [
    pytest.param("file,label\na.png,{}\n", "hungry", r"a\.png \(line 2\).*hungry", id="no emotion"),
    pytest.param("file,neutral\na.png,{}\n", "0", "line 2.*positive", id="no vote"),
    pytest.param("file,neutral\na.png,{}\n", "much", "line 2.*neutral is “much”", id="no number"),
    pytest.param("file,neutral\na.png,{}\n", "-1", "line 2.*negative", id="negative"),
    pytest.param("file,neutral\na.png,{}\n", "nan", "line 2.*endless", id="not a number"),
    pytest.param("file,label\n{},happy\n", "gone.png", "gone.png: the picture is missing", id="missing"),
    pytest.param("file,label\n{},happy\n", "x" * 400 + ".png", "cannot be read", id="name too long"),
    pytest.param("file,label\n{},happy\n", "notes.png", "notes.png: The picture is damaged", id="damaged"),
    pytest.param("file,label,split\na.png,happy,{}\n", "dev", "line 2.*“dev” is no split", id="split"),
    pytest.param("file,label,left,top,right,bottom\na.png,joy,{}\n", "1,1,1,5", "no area", id="empty box"),
    pytest.param(
        "file,label,left,top,right,bottom\na.png,joy,{}\n", "1,1,,5", "a box needs", id="half a box"
    ),
    pytest.param(
        "file,label,left,top,right,bottom\na.png,joy,{}\n", "9,9,12,12", "outside", id="box outside"
    ),
    pytest.param("file,label,valence,arousal\na.png,joy,{}\n", "low,0", "valence is “low”", id="affect"),
    pytest.param("file,label,valence\na.png{}\n", "", "line 2", id="short row"),
]


@pytest.mark.parametrize(("table", "bad", "message"), BAD_ROWS)
def test_bad_rows_are_listed_and_the_rest_go_on(tmp_path: Path, table: str, bad: str, message: str):
    picture(tmp_path / "a.png")
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "faces.csv").write_text(table.format(bad))
    with pytest.raises(DataError, match=f"no usable picture.*1 dropped.*{message}"):
        read_csv(tmp_path / "faces.csv", "test")
    header, row = table.format(bad).splitlines()
    good = {"label": "happy", "neutral": "1", "file": "a.png"}
    line = ",".join(good.get(column, "") for column in header.split(","))
    (tmp_path / "faces.csv").write_text(f"{header}\n{row}\n{line}\n")
    faces = read_csv(tmp_path / "faces.csv", "test")
    assert faces.files == ("a.png",)
    assert len(faces.dropped) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,label\na.png,happy\n", "column “file”"),
        ("", "column “file”"),
        ("file,label\n", "no usable picture"),
    ],
    ids=["no file column", "nothing at all", "no row"],
)
def test_a_csv_without_form_is_an_error(tmp_path: Path, text: str, message: str):
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "faces.csv", "test")


def test_csv_of_boxes_subjects_and_distributions_beside_labels(tmp_path: Path):
    picture(tmp_path / "a, b.png", 9)
    table = tmp_path / "faces.csv"
    table.write_text(
        "File,Label,neutral,sad,subject,split,left,top,right,bottom,valence,arousal\n"
        '"a, b.png",sadness,3,1,S1,val,1,2,4,8,-2,0\n"a, b.png",,1,3,,,,,,,,\n'
    )
    faces = read_csv(table, "valid")
    assert [EMOTIONS[label] for label in faces.labels] == ["sadness", "sadness"]
    np.testing.assert_allclose(faces.targets[:, [0, 3]], [[0.75, 0.25], [0.25, 0.75]])
    assert faces.subjects == ("S1", "")
    assert [faces.read(i).shape for i in (0, 1)] == [(6, 3, 3), (8, 8, 3)]
    assert faces.affect is None
    assert faces.classes == ("neutral", "sadness")
    assert len(read_csv(table, "test")) == 1


@given(st.lists(st.floats(0, 100), min_size=8, max_size=8).filter(lambda votes: sum(votes) > 1e-3))
def test_votes_become_a_distribution(votes: list[float]):
    with TemporaryDirectory() as name:
        picture(Path(name) / "a.png")
        row = ",".join(map(repr, votes))
        (Path(name) / "faces.csv").write_text(f"file,{','.join(EMOTIONS)}\na.png,{row}\n")
        faces = read_csv(Path(name) / "faces.csv", "train")
    np.testing.assert_allclose(faces.targets[0], np.array(votes) / sum(votes), atol=1e-6)
    assert votes[faces.labels[0]] == max(votes)


def test_what_is_no_text_is_no_csv(tmp_path: Path):
    (tmp_path / "faces.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="UTF-8"):
        read_csv(tmp_path / "faces.csv", "test")


def test_damaged_picture_is_listed(tmp_path: Path):
    picture(tmp_path / "anger" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"anger.a\.png"):
        read_folder(tmp_path, "test")
    picture(tmp_path / "fear" / "b.png")
    picture(tmp_path / "cats" / "c.png")
    faces = read_folder(tmp_path, "test")
    assert faces.files == ("fear/b.png",)
    assert sorted(bad.file for bad in faces.dropped) == ["anger/a.png", "cats/c.png"]


def test_a_file_that_vanishes_is_named(tmp_path: Path):
    path = picture(tmp_path / "anger" / "a.png")
    faces = read_folder(tmp_path, "test")
    path.unlink()
    with pytest.raises(DataError, match=r"anger.a\.png"):
        faces.read(0)


def test_open_data_checks_its_form(tmp_path: Path):
    with pytest.raises(InputError, match="KIND:PATH"):
        open_data("ferplus", "test")
    with pytest.raises(UnknownNameError, match="folder"):
        open_data("imagenet:x", "test")
    picture(tmp_path / "anger" / "a.png")
    assert len(open_data(f"folder:{tmp_path}", "test")) == 1
