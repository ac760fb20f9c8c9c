import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from fer_space.data import ferplus, open_data
from fer_space.data.faceset import TARGET_MODES
from fer_space.data.ferplus import accept
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, UnknownNameError

# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face
CLEAR = [9, 0, 0, 1, 0, 0, 0, 0, 0, 0]
SPLIT = [4, 0, 0, 4, 2, 0, 0, 0, 0, 0]
UNKNOWN_TIES = [0, 0, 0, 5, 0, 0, 0, 0, 5, 0]
UNKNOWN_WINS = [2, 0, 0, 3, 0, 0, 0, 0, 5, 0]
FOUR_WAYS = [3, 3, 2, 2, 0, 0, 0, 0, 0, 0]
SCATTERED = [2, 2, 2, 2, 2, 0, 0, 0, 0, 0]
ALL_SINGLE = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("votes", "mode", "accepted"),
    [
        pytest.param(CLEAR, "majority", {"neutral": 9}, id="clear"),
        pytest.param(CLEAR, "cel", {"neutral": 9}, id="a single vote is an outlier"),
        pytest.param(SPLIT, "majority", {}, id="half is no majority"),
        pytest.param(SPLIT, "cel", {"neutral": 4, "sadness": 4}, id="three quarters are enough"),
        pytest.param(SPLIT, "multi", {"neutral": 4, "sadness": 4}, id="a fifth is below 30 %"),
        pytest.param(UNKNOWN_TIES, "cel", {}, id="half of the votes are too few"),
        pytest.param(UNKNOWN_WINS, "cel", {}, id="unknown first drops the face"),
        pytest.param(UNKNOWN_WINS, "majority", {}, id="unknown holds no majority either"),
        pytest.param(FOUR_WAYS, "cel", {}, id="ties make four columns, which is too many"),
        pytest.param(SCATTERED, "multi", {}, id="nothing reaches 30 %"),
        pytest.param(ALL_SINGLE, "majority", {}, id="nothing but outliers"),
    ],
)
def test_protocol(votes: list[int], mode: str, accepted: dict[str, int]):
    got = accept(np.array([votes]), mode)[0]
    assert dict(zip(EMOTIONS, got.tolist(), strict=True)) == dict.fromkeys(EMOTIONS, 0) | accepted


@example([0, 0, 0, 0, 0, 0, 0, 2, 0, 2], "multi")
@given(st.lists(st.integers(0, 10), min_size=10, max_size=10), st.sampled_from(TARGET_MODES))
def test_accepted_votes_are_a_strict_majority_of_the_cleaned_ones(votes: list[int], mode: str):
    row = np.array(votes)
    got = accept(row[None], mode)[0]
    cleaned = np.where(row > 1, row, 0)
    assert (got <= cleaned[:8]).all()
    beside = cleaned[8:][cleaned[8:] >= 0.3 * cleaned.sum()].sum() if mode == "multi" else 0
    assert not got.any() or 2 * (got.sum() + beside) > cleaned.sum()  # the protocol counts "unknown" in
    assert np.count_nonzero(got) <= 3


def write_split(
    folder: Path, name: str, rows: list[list[int]], *, as_tar: bool = False, table: str = ""
) -> None:
    files = {}
    labels = io.StringIO()
    for i, votes in enumerate(rows):
        buffer = io.BytesIO()
        Image.fromarray(np.full((48, 48), 10 * i, np.uint8)).save(buffer, "PNG")
        files[f"fer{i}.png"] = buffer.getvalue()
        csv.writer(labels).writerow([f"fer{i}.png", "(0, 0, 48, 48)", *votes])
    files["label.csv"] = (table or labels.getvalue()).encode()
    if not as_tar:
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
        return
    with tarfile.open(folder / f"{name}.tar", "w") as tar:
        for file, content in files.items():
            info = tarfile.TarInfo(f"{name}/{file}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
def test_reads_pictures_labels_and_targets(tmp_path: Path, as_tar: bool):
    write_split(tmp_path, "FER2013Train", [CLEAR, UNKNOWN_WINS, SPLIT], as_tar=as_tar)
    faces = open_data(f"ferplus:{tmp_path}", "train", "cel")
    assert faces.files == ("fer0.png", "fer2.png")
    assert faces.labels.tolist() == [0, 0]
    np.testing.assert_allclose(faces.targets[1], [0.5, 0, 0, 0.5, 0, 0, 0, 0])
    assert faces.read(1).shape == (48, 48, 3)
    assert faces.read(1).max() == 20


def test_test_split_is_always_scored_by_majority(tmp_path: Path):
    write_split(tmp_path, "FER2013Test", [CLEAR, SPLIT])
    assert open_data(f"ferplus:{tmp_path}", "test", "cel").files == ("fer0.png",)


def test_wrong_count_of_the_published_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_split(tmp_path, "FER2013Test", [CLEAR, SPLIT])
    monkeypatch.setitem(ferplus.KEPT, ("test", "majority", 2), 2)
    with pytest.raises(DataError, match="gives 1 faces where 2 are published"):
        open_data(f"ferplus:{tmp_path}", "test")


NINE = ",".join(map(str, CLEAR[:9]))
BAD_ROWS = [
    pytest.param("fer1.png,box,1,2,3", "ten counts", id="too few counts"),
    pytest.param(f"gone.png,box,{NINE},0", "gone.png: the picture is missing", id="missing file"),
    pytest.param(f"fer1.png,box,{NINE},five", "ten counts", id="no number"),
    pytest.param(f"fer1.png,box,{NINE},-1", "ten counts", id="negative"),
    pytest.param(f"fer1.png,box,{NINE},1e300", "ten counts", id="endless"),
    pytest.param("fer1.png", "ten counts", id="no counts"),
    pytest.param(f'fer1.png,"(0, 0, 48, 48),{NINE},0', "quotation mark", id="stray quote"),
]


@pytest.mark.parametrize("as_tar", [False, True], ids=["folder", "tar"])
@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_bad_rows_are_listed_and_the_rest_go_on(tmp_path: Path, row: str, message: str, as_tar: bool):
    good = [f'fer{i}.png,"(0, 0, 48, 48)",{NINE},0' for i in (0, 2)]
    table = "\n".join([good[0], row, "", good[1], "", ""])
    write_split(tmp_path, "FER2013Test", [CLEAR] * 3, as_tar=as_tar, table=table)
    faces = open_data(f"ferplus:{tmp_path}", "test")
    assert faces.files == ("fer0.png", "fer2.png")
    why = {bad.file: bad.why for bad in faces.dropped}
    line = next(file for file in why if "label.csv, line 2" in file)
    assert message in f"{line}: {why[line]}"
    assert ("fer1.png" in why) == ("fer1" not in row or "quotation" in message)


def test_a_picture_that_does_not_decode_is_listed(tmp_path: Path):
    write_split(tmp_path, "FER2013Train", [CLEAR] * 3)
    (tmp_path / "FER2013Train" / "fer1.png").write_bytes(b"no picture")
    faces = open_data(f"ferplus:{tmp_path}", "train")
    assert faces.files == ("fer0.png", "fer2.png")
    assert ["damaged" in bad.why for bad in faces.dropped if bad.file == "fer1.png"] == [True]


def test_published_files_that_lost_a_row_say_so_and_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_split(tmp_path, "FER2013Test", [CLEAR, CLEAR])
    (tmp_path / "FER2013Test" / "fer1.png").unlink()
    for rows in (1, 2):
        monkeypatch.setitem(ferplus.KEPT, ("test", "majority", rows), 2)
    faces = open_data(f"ferplus:{tmp_path}", "test")
    assert faces.files == ("fer0.png",)
    assert [bad.why for bad in faces.dropped] == ["the picture is missing"]


def test_missing_data_and_unknown_words(tmp_path: Path):
    with pytest.raises(DataError, match=r"no FER2013Train\.tar"):
        open_data(f"ferplus:{tmp_path}", "train")
    with pytest.raises(UnknownNameError, match="majority"):
        open_data(f"ferplus:{tmp_path}", "train", "votes")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="valid"):
        open_data(f"ferplus:{tmp_path}", "validation")


PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "ferplus"


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published files are not beside the project")
@pytest.mark.parametrize(
    ("split", "mode", "count"),
    [
        ("test", "majority", 3137),
        ("valid", "majority", 3191),
        ("train", "majority", 25045),
        ("train", "cel", 27947),
        ("train", "multi", 27667),
    ],
)
def test_published_files_give_the_published_counts(split: str, mode: str, count: int):
    faces = open_data(f"ferplus:{PUBLISHED}", split, mode)  # type: ignore[arg-type]
    assert len(faces) == count
    if split == "test":
        assert np.bincount(faces.labels).tolist() == [1083, 892, 394, 382, 269, 16, 86, 15]
