import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fer_space.data.ferplus import TARGET_MODES, accept, read_ferplus
from fer_space.errors import DataError, UnknownNameError
from fer_space.labels import EMOTIONS

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


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10), st.sampled_from(TARGET_MODES))
def test_accepted_votes_are_a_strict_majority_of_the_cleaned_ones(votes: list[int], mode: str):
    row = np.array(votes)
    got = accept(row[None], mode)[0]
    cleaned = np.where(row > 1, row, 0)
    assert (got <= cleaned[:8]).all()
    assert not got.any() or 2 * got.sum() > cleaned.sum()
    assert np.count_nonzero(got) <= 3


def write_split(folder: Path, name: str, rows: list[list[int]], *, as_tar: bool = False) -> None:
    files = {}
    table = io.StringIO()
    for i, votes in enumerate(rows):
        buffer = io.BytesIO()
        Image.fromarray(np.full((48, 48), 10 * i, np.uint8)).save(buffer, "PNG")
        files[f"fer{i}.png"] = buffer.getvalue()
        csv.writer(table).writerow([f"fer{i}.png", "(0, 0, 48, 48)", *votes])
    files["label.csv"] = table.getvalue().encode()
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
    faces = read_ferplus(tmp_path, "train", "cel")
    assert faces.files == ("fer0.png", "fer2.png")
    assert faces.labels.tolist() == [0, 0]
    np.testing.assert_allclose(faces.targets[1], [0.5, 0, 0, 0.5, 0, 0, 0, 0])
    assert faces.read(1).shape == (48, 48, 3)
    assert faces.read(1).max() == 20


def test_test_split_is_always_scored_by_majority(tmp_path: Path):
    write_split(tmp_path, "FER2013Test", [CLEAR, SPLIT])
    assert read_ferplus(tmp_path, "test", "cel").files == ("fer0.png",)


def test_wrong_count_of_the_published_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_split(tmp_path, "FER2013Test", [CLEAR, SPLIT])
    monkeypatch.setitem(__import__("fer_space.data.ferplus").data.ferplus.KEPT, ("test", "majority", 2), 2)
    with pytest.raises(DataError, match="gives 1 faces where 2 are published"):
        read_ferplus(tmp_path, "test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("fer0.png,box,1,2,3", "ten counts"),
        ("gone.png,box,1,2,3,4,5,6,7,8,9,10", "existing file"),
        ("fer0.png,box,1,2,3,4,five,6,7,8,9,10", "line 1"),
        ("fer0.png", "line 1"),
    ],
    ids=["too few counts", "missing file", "no number", "no counts"],
)
def test_malformed_row_is_named(tmp_path: Path, row: str, message: str):
    write_split(tmp_path, "FER2013Test", [CLEAR])
    (tmp_path / "FER2013Test" / "label.csv").write_text(row + "\n")
    with pytest.raises(DataError, match=message):
        read_ferplus(tmp_path, "test")


def test_missing_data_and_unknown_words(tmp_path: Path):
    with pytest.raises(DataError, match=r"no FER2013Train\.tar"):
        read_ferplus(tmp_path, "train")
    with pytest.raises(UnknownNameError, match="majority"):
        read_ferplus(tmp_path, "train", "votes")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="valid"):
        read_ferplus(tmp_path, "validation")


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
    faces = read_ferplus(PUBLISHED, split, mode)  # type: ignore[arg-type]
    assert len(faces) == count
    if split == "test":
        assert np.bincount(faces.labels).tolist() == [1083, 892, 394, 382, 269, 16, 86, 15]
