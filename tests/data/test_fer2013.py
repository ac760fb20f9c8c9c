"""FERPlus and FER-2013 from the published CSV files, and two labels for one face."""

import csv
from pathlib import Path

import numpy as np
import pytest

from fer_space.data import collect, open_data
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError
from tests.data.making import fer_csv, pixels, png, text

NEUTRAL = [9, 0, 0, 1, 0, 0, 0, 0, 0, 0]
SAD = [0, 0, 0, 8, 2, 0, 0, 0, 0, 0]
UNKNOWN = [0, 0, 0, 2, 0, 0, 0, 0, 8, 0]
ROWS = [
    ("train", 0, "fer0000000.png", NEUTRAL),
    ("train", 2, "", [0] * 9 + [10]),
    ("train", 1, "fer0000002.png", SAD),
    ("valid", 3, "fer0000003.png", NEUTRAL),
    ("test", 6, "fer0000004.png", UNKNOWN),
    ("test", 5, "fer0000005.png", SAD),
]


def make_folders(folder: Path, labels: str = "") -> None:
    """The layout that the FERPlus tools write, with three faces a split."""
    for split in ("Train", "Valid", "Test"):
        (folder / f"FER2013{split}").mkdir(parents=True)
        with (folder / f"FER2013{split}" / "label.csv").open("w", newline="") as stream:
            for i, votes in enumerate((NEUTRAL, SAD, NEUTRAL)):
                (folder / f"FER2013{split}" / f"{split}{i}.png").write_bytes(png(i))
                csv.writer(stream).writerow([f"{split}{i}.png", "(0, 0, 48, 48)", *votes])
    if labels:
        text(folder / "fer2013_labels.csv", "file,split,fer2013_label,ambiguous\n" + labels)


def test_ferplus_from_the_two_tables(tmp_path: Path):
    fer_csv(tmp_path, ROWS)
    train, test = (open_data(f"ferplus:{tmp_path}", split) for split in ("train", "test"))
    assert train.files == ("fer0000000.png", "fer0000002.png")
    assert train.labels.tolist() == [0, 3]
    np.testing.assert_array_equal(train.read(1)[..., 0], pixels(2, 48))
    assert ["no image name" in bad.why for bad in train.dropped] == [True]
    assert test.files == ("fer0000005.png",)
    assert [(bad.file, bad.why) for bad in test.dropped] == [
        ("fer0000004.png", "unknown or not a face by its votes")
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("fer2013new.csv", "PublicTest", "Training", "row for row"),
        ("fer2013.csv", "PrivateTest", "Training", "row for row"),
        ("fer2013.csv", "pixels", "picture", "column “pixels”"),
        ("fer2013new.csv", "contempt", '"contempt', "no usable header"),
    ],
    ids=["rows differ", "usages differ", "column", "header"],
)
def test_tables_that_are_useless_are_an_error(tmp_path: Path, file: str, old: str, new: str, message: str):
    replace_once(tmp_path, file, old, new)
    with pytest.raises(DataError, match=message):
        open_data(f"ferplus:{tmp_path}", "train")


BAD_ROWS = [
    pytest.param("fer2013new.csv", "fer0000000.png", "../evil.png", "plain file name", id="path"),
    pytest.param("fer2013new.csv", ",9,0", ",nine,0", "ten counts", id="votes"),
    pytest.param("fer2013new.csv", "\nTraining,f", '\nTraining,"f', "quotation mark", id="quote in votes"),
    pytest.param("fer2013new.csv", "\nTraining,", "\nEvening,", "Usage is “Evening”", id="usage of votes"),
    pytest.param("fer2013.csv", "\n0,", "\n7,", "emotion is “7”", id="emotion"),
    pytest.param("fer2013.csv", "\n0,", "\n0,300 ", "not 2304 numbers", id="pixels"),
    pytest.param("fer2013.csv", "\n0,", '\n0,"', "quotation mark", id="quote in pixels"),
    pytest.param("fer2013.csv", ",Training", ",", "Usage is “”", id="usage of pixels"),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), BAD_ROWS)
def test_bad_rows_are_listed_once_and_the_rest_go_on(
    tmp_path: Path, file: str, old: str, new: str, message: str
):
    replace_once(tmp_path, file, old, new)
    found = collect("ferplus", tmp_path)
    assert [row.file for row in found.rows] == ["fer0000002.png", "fer0000003.png", "fer0000005.png"]
    (bad,) = (bad for bad in found.dropped if bad.file == f"{file}, line 2")
    assert message in bad.why


@pytest.mark.parametrize(
    ("file", "old", "new", "message"), [row for row in BAD_ROWS if "new" not in row.values[0]]
)
def test_bad_rows_of_fer2013_alone(tmp_path: Path, file: str, old: str, new: str, message: str):
    replace_once(tmp_path, file, old, new)
    (tmp_path / "fer2013new.csv").unlink()
    found = collect("fer2013", tmp_path)
    assert len(found.rows) == 5
    (bad,) = found.dropped
    assert bad.file == "fer2013.csv, line 2"
    assert message in bad.why


def replace_once(folder: Path, file: str, old: str, new: str) -> None:
    """Write the tables of `ROWS`, with a blank line at their end, and change one place."""
    fer_csv(folder, ROWS)
    content = (folder / file).read_text()
    assert old in content
    (folder / file).write_text(content.replace(old, new, 1) + "\n")


def test_a_table_that_ends_early_is_no_silent_loss(tmp_path: Path):
    fer_csv(tmp_path, ROWS)
    lines = (tmp_path / "fer2013new.csv").read_text().splitlines(keepends=True)
    (tmp_path / "fer2013new.csv").write_text("".join(lines[:-1]))
    with pytest.raises(DataError, match="row for row"):
        open_data(f"ferplus:{tmp_path}", "train")


@pytest.mark.parametrize("with_names", [True, False], ids=["both tables", "fer2013.csv alone"])
def test_fer2013_from_the_tables(tmp_path: Path, with_names: bool):
    fer_csv(tmp_path, ROWS)
    if not with_names:
        (tmp_path / "fer2013new.csv").unlink()
    faces = open_data(f"fer2013:{tmp_path}", "train")
    expected = ["anger", "disgust"] if with_names else ["anger", "fear", "disgust"]
    assert [EMOTIONS[label] for label in faces.labels] == expected
    assert "contempt" not in faces.classes


def test_fer2013_labels_beside_the_ferplus_files(tmp_path: Path):
    make_folders(tmp_path, "Test0.png,Test,fear,0\nTest2.png,Test,happy,1\n")
    faces = open_data(f"fer2013:{tmp_path}", "test")
    assert faces.files == ("Test0.png", "Test2.png")
    assert [EMOTIONS[label] for label in faces.labels] == ["fear", "happiness"]
    assert [(bad.file, bad.why) for bad in faces.dropped] == [("Test1.png", "FER-2013 has no label for it")]


def test_second_label_is_mixed_into_the_targets_of_train_alone(tmp_path: Path):
    make_folders(tmp_path, "Train0.png,Train,fear,0\nTrain1.png,Train,anger,1\nTest0.png,Test,fear,0\n")
    data = f"ferplus:{tmp_path}"
    votes = open_data(data, "train", "cel").targets
    mixed = open_data(data, "train", "cel", second_label=0.4)
    fear = np.eye(8)[EMOTIONS.index("fear")]
    np.testing.assert_allclose(mixed.targets[0], 0.6 * votes[0] + 0.4 * fear, atol=1e-6)
    np.testing.assert_array_equal(mixed.targets[1:], votes[1:])  # ambiguous, and without a label
    assert mixed.labels.tolist() == [0, 3, 0]
    for split in ("valid", "test"):
        with_second = open_data(data, split, second_label=0.4).targets
        np.testing.assert_array_equal(with_second, open_data(data, split).targets)


def test_second_label_from_the_tables(tmp_path: Path):
    fer_csv(tmp_path, ROWS)
    faces = open_data(f"ferplus:{tmp_path}", "train", "majority", second_label=1.0)
    assert [EMOTIONS[i] for i in faces.targets.argmax(axis=1)] == ["anger", "disgust"]


@pytest.mark.parametrize(
    ("data", "weight", "message"),
    [
        ("ferplus:{}", 1.5, "between 0 and 1"),
        ("ferplus:{}", -0.1, "between 0 and 1"),
        ("ferplus:{}", float("nan"), "between 0 and 1"),
        ("folder:{}", 0.5, "no second label"),
        ("fer2013:{}", 0.5, "no second label"),
    ],
)
def test_second_label_is_checked(tmp_path: Path, data: str, weight: float, message: str):
    with pytest.raises(InputError, match=message):
        open_data(data.format(tmp_path), "train", second_label=weight)


def test_a_table_of_labels_goes_before_those_of_the_csv(tmp_path: Path):
    fer_csv(tmp_path, ROWS)
    table = "fer0000000.png,Train,fear,1\nfer0000002.png,Train,happy,0\n"
    text(tmp_path / "fer2013_labels.csv", "file,split,fer2013_label,ambiguous\n" + table)
    benchmark = open_data(f"fer2013:{tmp_path}", "train")
    assert [EMOTIONS[label] for label in benchmark.labels] == ["fear", "happiness"]
    assert [EMOTIONS[label] for label in open_data(f"fer2013:{tmp_path}", "valid").labels] == ["happiness"]
    faces = open_data(f"ferplus:{tmp_path}", "train", second_label=1.0)
    assert [EMOTIONS[i] for i in faces.targets.argmax(axis=1)] == ["neutral", "happiness"]


BAD_LABELS = [
    pytest.param("Train0.png,Train,hungry,0", "Train0.png", "line 2: “hungry”", id="no emotion"),
    pytest.param(
        '"Train0.png,Train,fear,0', "fer2013_labels.csv, line 2", "quotation mark", id="stray quote"
    ),
    pytest.param("Train9.png,Train,fear,0", "fer2013_labels.csv, line 2", "no face", id="no face"),
]


@pytest.mark.parametrize(("row", "place", "message"), BAD_LABELS)
def test_bad_labels_are_listed_and_the_rest_go_on(tmp_path: Path, row: str, place: str, message: str):
    make_folders(tmp_path, f"{row}\nTrain1.png,Train,fear,0\n\n")
    faces = open_data(f"fer2013:{tmp_path}", "train")
    assert faces.files == ("Train1.png",)
    assert [message in bad.why for bad in faces.dropped if bad.file == place] == [True]
    mixed = open_data(f"ferplus:{tmp_path}", "train", second_label=1.0)
    assert [EMOTIONS[i] for i in mixed.targets.argmax(axis=1)] == ["neutral", "fear", "neutral"]
    (bad,) = mixed.dropped
    assert bad.file == place
    assert bad.why.startswith("no second label: ")


def test_second_labels_need_their_table(tmp_path: Path):
    make_folders(tmp_path)
    with pytest.raises(DataError, match=r"no file.*fer2013_labels.csv"):
        open_data(f"ferplus:{tmp_path}", "train", "cel", 0.5)


PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "ferplus"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published files are not beside the project")
def test_published_private_test():
    faces = open_data(f"fer2013:{PUBLISHED}", "test")
    assert len(faces) == 3573
    assert np.bincount(faces.labels, minlength=8).tolist() == [624, 877, 410, 585, 490, 55, 532, 0]
