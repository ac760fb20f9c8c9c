from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_space.data import open_data
from fer_space.data.faceset import FaceSet
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError, UnknownNameError


def read_folder(folder: Path, split: str) -> FaceSet:
    return open_data(f"folder:{folder}", split)


def read_csv(file: Path, split: str) -> FaceSet:
    return open_data(f"csv:{file}", split, "cel")


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


def test_a_folder_without_valid_holds_a_tenth_of_train_out(tmp_path: Path):
    for number in range(60):
        picture(tmp_path / "train" / "happy" / f"{number}.png")
    picture(tmp_path / "test" / "Suprise" / "a.png")
    train, valid, test = (read_folder(tmp_path, split) for split in ("train", "valid", "test"))
    assert len(train) + len(valid) == 60
    assert 1 < len(valid) < 15
    assert not set(train.files) & set(valid.files)
    assert test.labels.tolist() == [EMOTIONS.index("surprise")]


@pytest.mark.parametrize("below", ["", "train"])
def test_folders_with_numbers_for_names_are_refused(tmp_path: Path, below: str):
    picture(tmp_path / below / "3" / "a.png")
    with pytest.raises(DataError, match="call it after its emotion"):
        read_folder(tmp_path, "train")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    picture(tmp_path / "faces" / "happy" / "a.png")
    assert len(open_data("folder:~/faces", "train")) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"file;label\na.png;happy\n", "semicolons between its columns"),
        (b"file\tlabel\na.png\thappy\n", "tabs between its columns"),
        ("file,label\na.png,happy\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("file,label\na.png,happy\n".encode("utf-16-be"), "UTF-16: save it as UTF-8"),
        (b'file,label,valence,arousal\na.png,happy,"0,3","0,1"\n', "write a point before the decimals"),
    ],
    ids=["semicolons", "tabs", "UTF-16", "UTF-16 without its mark", "decimal commas"],
)
def test_a_csv_of_another_habit_is_named(tmp_path: Path, content: bytes, words: str):
    picture(tmp_path / "a.png")
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_csv(tmp_path / "set.csv", "train")


def test_a_csv_from_windows_finds_its_pictures(tmp_path: Path):
    picture(tmp_path / "faces" / "happy" / "a.png")
    (tmp_path / "set.csv").write_text("file,label\r\nfaces\\happy\\a.png,happy\r\n")
    assert len(read_csv(tmp_path / "set.csv", "train")) == 1


def test_a_folder_takes_pictures_without_an_ending(tmp_path: Path):
    """The rule of `fer_space.sources.pictures`, as everywhere."""
    picture(tmp_path / "happy" / "a.png")
    (tmp_path / "happy" / "a.png").rename(tmp_path / "happy" / "a")
    (tmp_path / "happy" / "b").write_text("no picture")
    faces = read_folder(tmp_path, "train")
    assert faces.files == ("happy/a",)
    assert [bad.file for bad in faces.dropped] == ["happy/b"]


@pytest.mark.parametrize("place", [".", "fear/.."])
def test_the_current_folder_has_a_name(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    picture(tmp_path / "faces" / "fear" / "a.png")
    monkeypatch.chdir(tmp_path / "faces")
    assert read_folder(Path(place), "test").name == "faces"


def test_folder_without_emotions_says_so(tmp_path: Path):
    picture(tmp_path / "cats" / "a.png")
    with pytest.raises(DataError, match="cats"):
        read_folder(tmp_path, "test")


@pytest.mark.parametrize("split", ["", "train"], ids=["no splits", "splits"])
def test_what_a_folder_holds_besides_is_listed(tmp_path: Path, split: str):
    root = tmp_path / split
    for name in (
        "happy/a.png",
        "loose.png",
        "happy/deep/er/b.png",
        "happy/deep/c.png",
        "cats/d.png",
        "cats/e/f.png",
    ):
        picture(root / name)
    for name in ("happy/g.mov", "happy/.hidden", "happy/.git/h", "happy/deep/.i", ".DS_Store", "notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("no picture")
    (root / "happy" / "empty").mkdir()
    faces = read_folder(tmp_path, "train")
    before = f"{split}/" if split else ""
    assert faces.files == (f"{before}happy/a.png",)
    why = {bad.file.removeprefix(before): bad.why for bad in faces.dropped}
    assert {name: reason.split()[:3] for name, reason in why.items()} == {
        "loose.png": ["it", "lies", "beside"],
        "notes.txt": ["it", "lies", "beside"],
        "happy/deep/ (2 files)": ["it", "lies", "deeper"],
        "happy/g.mov": ["it", "is", "no"],
        "cats/d.png": ["“cats”", "is", "not"],
        "cats/e/ (1 file)": ["it", "lies", "deeper"],
    }


def test_what_lies_beside_the_splits_is_listed(tmp_path: Path):
    for name in ("train/happy/a.png", "more/happy/b.png", "more/sad/c.png", "d.png"):
        picture(tmp_path / name)
    dropped = read_folder(tmp_path, "train").dropped
    assert [(bad.file, bad.split) for bad in dropped] == [("d.png", ""), ("more/ (2 files)", "")]


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


def test_a_csv_of_valence_and_arousal_alone_has_no_emotions(tmp_path: Path):
    picture(tmp_path / "a.png")
    (tmp_path / "va.csv").write_text("file,valence,arousal\na.png,0.5,-1\na.png,,\na.png,-2,0\n")
    faces = read_csv(tmp_path / "va.csv", "train")
    assert faces.labels.tolist() == [NO_ANSWER]
    assert faces.classes == ()
    assert not faces.labelled.any()
    assert faces.affect is not None
    np.testing.assert_array_equal(faces.affect, [[0.5, -1.0]])
    for targets in ("majority", "cel"):
        assert not open_data(f"csv:{tmp_path / 'va.csv'}", "train", targets).targets.any()
    assert [bad.why.split(",")[0] for bad in faces.dropped] == ["a row needs a label"] * 2


def test_rows_of_valence_and_arousal_may_stand_beside_labels(tmp_path: Path):
    picture(tmp_path / "a.png")
    (tmp_path / "va.csv").write_text("file,label,valence,arousal\na.png,,0.5,-1\na.png,joy,,\n")
    faces = read_csv(tmp_path / "va.csv", "train")
    assert faces.labels.tolist() == [NO_ANSWER, 1]
    assert faces.targets.sum(axis=1).tolist() == [0.0, 1.0]
    assert faces.classes == EMOTIONS


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
    pytest.param("file,label\n{},happy\n", '"a.png', "line 2: a quotation mark", id="stray quote"),
    pytest.param("file,label\na.png,{}\n", "x" * 200_000, "line 2: field larger", id="huge cell"),
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
        ('file,"label\na.png,happy\n', "header: a quotation mark"),
        ("", "column “file”"),
        ("file,label\n", "no usable picture"),
    ],
    ids=["no file column", "stray quote", "nothing at all", "no row"],
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


@pytest.mark.parametrize(
    ("file", "name"),
    [("raf/manifest.csv", "raf"), ("raf/faces.csv", "faces")],
    ids=["as prepare calls it", "any other"],
)
def test_a_manifest_is_called_after_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
):
    picture(tmp_path / "raf" / "a.png")
    (tmp_path / file).write_text("file,label\na.png,happy\n")
    assert read_csv(tmp_path / file, "test").name == name
    monkeypatch.chdir(tmp_path / "raf")
    assert read_csv(Path(Path(file).name), "test").name == name


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


def test_targets_of_sets_without_votes(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "d.csv").write_text("file,happiness,sadness\na.png,0.7,0.3\n")
    data = f"csv:{tmp_path / 'd.csv'}"
    happiness = EMOTIONS.index("happiness")
    assert open_data(data, "train", "cel").targets[0, happiness] == pytest.approx(0.7)
    assert open_data(data, "train", "majority").targets[0, happiness] == 1.0
    with pytest.raises(InputError, match="no votes"):
        open_data(data, "train", "multi")
