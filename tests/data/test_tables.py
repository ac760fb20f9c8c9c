from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space.data import open_data
from fer_space.data.tables import read_csv, read_folder
from fer_space.errors import DataError, InputError, UnknownNameError


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\na.png,hungry\n", "line 2.*hungry"),
        ("file,neutral\na.png,0\n", "line 2.*positive"),
        ("file,neutral\na.png,much\n", "line 2"),
        ("file,label\ngone.png,happy\n", "missing"),
        ("picture,label\na.png,happy\n", "column “file”"),
        ("file,label\n", "no usable picture"),
        ("file,label,valence,arousal\na.png\n", "line 2"),
    ],
    ids=["no emotion", "no vote", "no number", "missing file", "no file column", "empty", "short row"],
)
def test_bad_csv_names_the_trouble(tmp_path: Path, text: str, message: str):
    picture(tmp_path / "a.png")
    (tmp_path / "faces.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "faces.csv", "test")


def test_what_is_no_text_is_no_csv(tmp_path: Path):
    (tmp_path / "faces.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="UTF-8"):
        read_csv(tmp_path / "faces.csv", "test")


def test_damaged_picture_is_named(tmp_path: Path):
    picture(tmp_path / "anger" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"anger.a\.png"):
        read_folder(tmp_path, "test").read(0)


def test_open_data_checks_its_form(tmp_path: Path):
    with pytest.raises(InputError, match="KIND:PATH"):
        open_data("ferplus", "test")
    with pytest.raises(UnknownNameError, match="folder"):
        open_data("imagenet:x", "test")
    picture(tmp_path / "anger" / "a.png")
    assert len(open_data(f"folder:{tmp_path}", "test")) == 1
