import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space.data import open_data
from fer_space.data.files import read_archive
from fer_space.errors import DataError


def write_archive(folder: Path, table: str, names: list[str]) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "JPEG")
    files = {name: buffer.getvalue() for name in names} | {"labels.csv": table.encode()}
    with tarfile.open(folder / "DiffusionFER.tar", "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"DiffusionFER/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_halves_share_nothing_and_train_is_everything(tmp_path: Path):
    names = [f"face{i}.jpg" for i in range(40)]
    rows = "".join(f"{name},0.3,-0.2,happy\n" for name in names)
    write_archive(tmp_path, "file,valence,arousal,expression\n" + rows, names)
    splits = {split: open_data(f"diffusionfer:{tmp_path}", split) for split in ("train", "valid", "test")}
    assert set(splits["valid"].files) | set(splits["test"].files) == set(names)
    assert not set(splits["valid"].files) & set(splits["test"].files)
    assert 10 < len(splits["valid"]) < 30
    train = splits["train"]
    assert len(train) == 40
    assert train.affect is not None
    np.testing.assert_allclose(train.affect[0], [0.3, -0.2])
    assert set(train.labels.tolist()) == {1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "file,valence,arousal,expression\ngone.jpg,0,0,happy\n",
            "1 dropped.*gone.jpg: the picture is missing",
        ),
        ("file,valence,arousal,expression\nx.jpg,low,0,happy\n", "valence is “low”"),
        ('file,valence,arousal,expression\n"x.jpg,0,0,happy\n', "line 2: a quotation mark is not closed"),
        ("picture,valence\nx.jpg,0\n", "column “file”"),
    ],
    ids=["missing picture", "no number", "stray quote", "no file column"],
)
def test_trouble_is_named(tmp_path: Path, table: str, message: str):
    write_archive(tmp_path, table, ["x.jpg"])
    with pytest.raises(DataError, match=message):
        open_data(f"diffusionfer:{tmp_path}", "train")


def test_files_of_one_name_in_two_folders_of_an_archive_are_an_error(tmp_path: Path):
    write_archive(tmp_path, "file,valence,arousal,expression\n", ["a/1.jpg", "a/1.jpg"])
    assert set(read_archive(tmp_path / "DiffusionFER.tar")) == {"1.jpg", "labels.csv"}
    write_archive(tmp_path, "file,valence,arousal,expression\n", ["a/1.jpg", "b/1.jpg"])
    with pytest.raises(DataError, match=r"DiffusionFER/a/1\.jpg and DiffusionFER/b/1\.jpg"):
        open_data(f"diffusionfer:{tmp_path}", "test")


def test_damaged_archive(tmp_path: Path):
    (tmp_path / "DiffusionFER.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match="damaged"):
        open_data(f"diffusionfer:{tmp_path}", "test")


def test_missing_archive(tmp_path: Path):
    with pytest.raises(DataError, match=r"DiffusionFER\.tar"):
        open_data(f"diffusionfer:{tmp_path}", "test")
