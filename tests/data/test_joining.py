from pathlib import Path

import pytest

from fer_space.data import open_data, split_data
from fer_space.data.collection import Collection, Row
from fer_space.data.faceset import SPLITS, Dropped
from fer_space.data.joining import join
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError, UnknownNameError
from tests.data.making import picture


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("folder:a", [("folder", "a")]),
        ("ckplus:a+rafdb:b", [("ckplus", "a"), ("rafdb", "b")]),
        ("ckplus:CK+48", [("ckplus", "CK+48")]),
        ("affectnet7:x+y+affectnet:c+d:e", [("affectnet7", "x+y"), ("affectnet", "c+d:e")]),
    ],
    ids=["one", "two", "a plus in a path", "pluses and colons in paths"],
)
def test_splitting(data: str, parts: list[tuple[str, str]]):
    assert split_data(data) == [(kind, Path(path)) for kind, path in parts]


@pytest.mark.parametrize(
    ("data", "error"),
    [("ckplus", InputError), ("folder:a+ckplus:", InputError), ("dogs:a", UnknownNameError)],
)
def test_wrong_forms(data: str, error: type[Exception]):
    with pytest.raises(error):
        split_data(data)


def make_two(folder: Path) -> str:
    picture(folder / "a" / "train" / "happy" / "1.png", 1)
    picture(folder / "a" / "train" / "happy" / "2.png", 2)
    picture(folder / "a" / "test" / "sad" / "3.png", 3)
    picture(folder / "b" / "train" / "fear" / "4.png", 3)  # the test picture of a
    picture(folder / "b" / "train" / "fear" / "5.bmp", 5)
    picture(folder / "b" / "valid" / "fear" / "6.bmp", 1)  # a training picture of a, as another file
    (folder / "b" / "train" / "fear" / "7.png").write_bytes(b"no picture")
    return f"folder:{folder / 'a'}+folder:{folder / 'b'}"


def test_sets_of_one_name_are_told_apart(tmp_path: Path):
    picture(tmp_path / "a" / "happy" / "1.png", 1)
    picture(tmp_path / "b" / "a" / "sad" / "2.png", 2)
    faces = open_data(f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b' / 'a'}", "test")
    assert [member.name for member in faces.members] == ["a", "a-2"]


def test_what_is_in_valid_or_test_leaves_train_and_is_counted(tmp_path: Path):
    train = open_data(make_two(tmp_path), "train")
    assert train.files == ("train/happy/2.png", "train/fear/5.bmp")
    assert [EMOTIONS[label] for label in train.labels] == ["happiness", "fear"]
    assert train.name == "a+b"
    dropped = {bad.file: bad for bad in train.dropped}
    assert dropped["train/happy/1.png"].why == "the same picture is in valid"
    assert dropped["train/happy/1.png"].twin == "valid/fear/6.bmp"
    assert dropped["train/fear/4.png"].why == "the same picture is in test"
    assert dropped["train/fear/4.png"].twin == "test/sad/3.png"
    assert "damaged" in dropped["train/fear/7.png"].why
    assert train.read(1).shape == (8, 8, 3)


def test_valid_and_test_keep_all_their_faces(tmp_path: Path):
    data = make_two(tmp_path)
    assert open_data(data, "valid").files == ("valid/fear/6.bmp",)
    assert open_data(data, "test").files == ("test/sad/3.png",)


def test_what_is_in_test_leaves_valid_and_is_counted(tmp_path: Path):
    picture(tmp_path / "a" / "valid" / "happy" / "1.png", 1)
    picture(tmp_path / "a" / "valid" / "happy" / "2.png", 2)
    picture(tmp_path / "b" / "test" / "sad" / "3.bmp", 1)
    data = f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b'}"
    valid = open_data(data, "valid")
    assert valid.files == ("valid/happy/2.png",)
    assert valid.dropped == (
        Dropped("valid/happy/1.png", "the same picture is in test", "valid", "test/sad/3.bmp"),
    )
    assert open_data(data, "test").files == ("test/sad/3.bmp",)


def test_rows_without_a_split_leave_only_what_is_measured_elsewhere(tmp_path: Path):
    picture(tmp_path / "a" / "happy" / "1.png", 1)
    picture(tmp_path / "a" / "happy" / "2.png", 2)
    picture(tmp_path / "b" / "valid" / "sad" / "3.png", 1)
    data = f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b'}"
    assert open_data(data, "train").files == ("happy/2.png",)
    assert len(open_data(data, "valid")) == 3
    assert len(open_data(data, "test")) == 2


def test_sets_without_splits_are_in_every_split(tmp_path: Path):
    picture(tmp_path / "a" / "happy" / "1.png", 1)
    picture(tmp_path / "b" / "sad" / "2.png", 2)
    data = f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b'}"
    assert [len(open_data(data, split)) for split in ("train", "valid", "test")] == [2, 2, 2]


def test_nothing_left_to_train_is_an_error(tmp_path: Path):
    picture(tmp_path / "a" / "train" / "happy" / "1.png", 1)
    picture(tmp_path / "b" / "test" / "sad" / "2.png", 1)
    with pytest.raises(DataError, match="the same picture is in test"):
        open_data(f"folder:{tmp_path / 'a'}+folder:{tmp_path / 'b'}", "train")


def test_joined_sets_keep_their_names_classes_and_faces(tmp_path: Path):
    train = open_data(make_two(tmp_path), "train")
    assert [member.name for member in train.members] == ["a", "b"]
    assert train.origins is not None
    assert train.origins.tolist() == [0, 1]
    assert train.select([1]).origins.tolist() == [1]
    alone = open_data(f"folder:{tmp_path / 'a'}", "train")
    assert [member.name for member in alone.members] == ["a"]
    assert alone.origins is None


def test_a_set_for_tests_gives_most_of_its_valid_half_to_training_and_nothing_of_test():
    rows = tuple(Row(f"{i}.png", "valid" if i % 2 else "test", 1, Path("nowhere")) for i in range(400))
    joined = join([Collection("synthetic", rows, train_is_all=True), Collection("other", rows[:2])])
    parts = {split: {r.file for r in joined.rows if r.member == 0 and r.split == split} for split in SPLITS}
    assert parts["test"] == {row.file for row in rows if row.split == "test"}
    assert len(parts["train"]) == pytest.approx(160, abs=20)
    assert not parts["train"] & parts["valid"]
    assert [row.split for row in joined.rows if row.member == 1] == ["test", "valid"]
