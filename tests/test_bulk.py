"""Many pictures become a table: batches across pictures, constant memory, runs that go on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from fer_space import bulk
from fer_space.bulk import BulkReader, pictures_of, write_parquet
from fer_space.engine import Engine
from fer_space.errors import OutputError
from fer_space.vision.imaging import encode_png, load_image

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ["human_emotion", "faceapi"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(device="cpu")


@pytest.fixture(scope="module")
def reader(engine: Engine) -> BulkReader:
    return BulkReader(engine, NAMES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures: one face, no face, no picture at all, and the same face smaller."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(EXAMPLES / "astronaut.jpg", photos / "a.jpg")
    (photos / "b.png").write_bytes(encode_png(np.full((80, 90, 3), 120, np.uint8)))
    (photos / "c.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    (photos / "d.png").write_bytes(encode_png(load_image(EXAMPLES / "astronaut.jpg")[::2, ::2].copy()))
    return photos


def table_of(path: Path) -> list[dict[str, object]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_rows_say_what_compare_says(engine: Engine, reader: BulkReader, folder: Path, tmp_path: Path):
    out = tmp_path / "faces.parquet"
    assert write_parquet(reader, [str(folder)], out) == (4, 1, 4)
    rows = table_of(out)
    assert [Path(str(row["source"])).name for row in rows] == ["a.jpg", "b.png", "c.jpg", "d.png"]
    assert [row["face"] for row in rows] == [1, None, None, 1]
    assert [row["problem"] is None for row in rows] == [True, True, False, True]
    (face,) = engine.compare(load_image(folder / "a.jpg"), backbones=NAMES, method=None)
    assert rows[0]["label"] == face.consensus
    assert rows[0]["happiness"] == pytest.approx(face.together["happiness"], abs=1e-6)
    assert rows[0]["agreement"] == face.agreement
    assert rows[0]["disagreement"] == pytest.approx(face.disagreement, abs=1e-6)
    assert (rows[0]["rule"], rows[0]["width"], rows[0]["left"]) == ("mean", 512, face.face.box_xyxy[0])
    for said in face.predictions:
        assert rows[0][f"{said.backbone}.label"] == said.label
        assert rows[0][f"{said.backbone}.valence"] == pytest.approx(said.valence, abs=1e-6)
        for emotion, probability in said.probabilities.items():
            assert rows[0][f"{said.backbone}.{emotion}"] == pytest.approx(probability, abs=1e-6)
    assert rows[0]["faceapi.contempt"] is None
    assert not out.with_name("faces.parquet.parts").exists()


def test_faces_of_many_pictures_are_read_together(reader: BulkReader, monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    for model in reader.models:
        inner = model.predict_reduced

        def spied(pictures, *, inner=inner, **options):
            sizes.append(len(pictures))
            return inner(pictures, **options)

        monkeypatch.setattr(model, "predict_reduced", spied)
    astronaut = (EXAMPLES / "astronaut.jpg").read_bytes()
    read = list(reader.rows((f"{i}.jpg", astronaut) for i in range(5)))
    assert sizes == [5, 5]
    assert len(read) == 5
    assert [row["faceapi.happiness"] for (row,) in read] == pytest.approx(
        [read[0][0]["faceapi.happiness"]] * 5
    )


def test_a_killed_run_goes_on(
    reader: BulkReader, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "faces.parquet"
    monkeypatch.setattr(bulk, "PART", 1)
    seen: list[str] = []

    def until_the_kill(sources, done=()):
        for name, content in pictures_of(sources, done):
            if Path(name).name == "d.png":
                raise KeyboardInterrupt
            yield name, content

    monkeypatch.setattr(bulk, "pictures_of", until_the_kill)
    with pytest.raises(KeyboardInterrupt):
        write_parquet(reader, [str(folder)], out)
    assert not out.exists()
    already = len(list(out.with_name("faces.parquet.parts").glob("*.parquet")))
    assert already in (1, 2)  # c.jpg may wait for its turn when d.png is taken

    def counted(sources, done=()):
        for name, content in pictures_of(sources, done):
            seen.append(Path(name).name)
            yield name, content

    monkeypatch.setattr(bulk, "pictures_of", counted)
    assert write_parquet(reader, [str(folder)], out) == (4 - already, 1, 4)
    assert seen == ["b.png", "c.jpg", "d.png"][already - 1 :]
    assert len(table_of(out)) == 4


@pytest.fixture
def unfinished(reader: BulkReader, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table whose parts are all there, each with one picture of `folder`, and not yet the table."""
    out = tmp_path / "faces.parquet"
    monkeypatch.setattr(bulk, "PART", 1)
    with monkeypatch.context() as patch:
        patch.setattr("pyarrow.parquet.ParquetWriter", None)  # the table itself cannot be written
        with pytest.raises(TypeError):
            write_parquet(reader, [str(folder)], out)
    return out


def test_a_run_that_goes_on_counts_what_earlier_ones_could_not_read(
    reader: BulkReader, folder: Path, unfinished: Path
):
    assert write_parquet(reader, [str(folder)], unfinished) == (0, 1, 4)


def test_pictures_of_another_call_are_not_in_the_table(
    reader: BulkReader, folder: Path, tmp_path: Path, unfinished: Path
):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "b.png", other / "e.png")
    assert write_parquet(reader, [str(other), str(folder / "a.jpg")], unfinished) == (1, 0, 2)
    assert {row["source"] for row in table_of(unfinished)} == {f"{other}/e.png", f"{folder}/a.jpg"}


def test_one_source_and_a_path_as_text_are_taken(reader: BulkReader, folder: Path, tmp_path: Path):
    out = str(tmp_path / "faces.parquet")
    assert write_parquet(reader, str(folder / "b.png"), out) == (1, 0, 1)
    assert [name for name, _ in pictures_of(str(folder / "b.png"))] == [str(folder / "b.png")]


def test_names_that_are_no_text_stand_in_the_table(reader: BulkReader, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    try:
        shutil.copy(EXAMPLES / "astronaut.jpg", photos / os.fsdecode(b"\xe9.jpg"))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    out = tmp_path / "faces.parquet"
    sources = [str(photos), os.fsdecode(b"gone \xe9.jpg")]
    assert write_parquet(reader, sources, out) == (2, 1, 2)
    face, problem = table_of(out)
    assert (face["source"], face["face"]) == (f"{photos}/\\udce9.jpg", 1)
    assert problem["source"] == "gone \\udce9.jpg"
    assert "gone \\udce9.jpg" in str(problem["problem"])


def test_parts_of_another_run_are_not_mixed(engine: Engine, reader: BulkReader, folder: Path, tmp_path: Path):
    out = tmp_path / "faces.parquet"
    write_parquet(reader, [str(folder)], out)
    parts = out.with_name("faces.parquet.parts")
    parts.mkdir()
    shutil.move(out, parts / "000000.parquet")
    with pytest.raises(OutputError, match="other backbones"):
        write_parquet(BulkReader(engine, ["faceapi"]), [str(folder)], out)
    with pytest.raises(OutputError, match=r'other options .*"boost_rare": false'):
        write_parquet(BulkReader(engine, NAMES, boost_rare=True), [str(folder)], out)
    (parts / "000000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(OutputError, match="damaged"):
        write_parquet(reader, [str(folder)], out)


def test_a_part_that_was_deleted_is_read_again_and_no_other_is_lost(
    reader: BulkReader, folder: Path, unfinished: Path
):
    first, *others = sorted(unfinished.with_name("faces.parquet.parts").iterdir())
    assert others
    first.unlink()
    write_parquet(reader, [str(folder)], unfinished)
    assert len(table_of(unfinished)) == 4


def test_ray_writes_the_same_table(reader: BulkReader, folder: Path, tmp_path: Path):
    pytest.importorskip("ray")
    alone, shared = tmp_path / "alone.parquet", tmp_path / "shared"
    write_parquet(reader, [str(folder)], alone)
    command = [sys.executable, "-m", "fer_space.cli", "predict", str(folder), "--backbones", ",".join(NAMES)]
    command += ["--engine", "ray", "--workers", "2", "--parquet", str(shared)]
    first, again = (subprocess.run(command, capture_output=True, text=True, timeout=300) for _ in range(2))
    assert (first.returncode, again.returncode) == (1, 1), first.stderr
    assert "4 pictures read now, 1 could not be read" in first.stderr
    assert "0 pictures read now" in again.stderr
    rows = sorted(table_of(shared), key=lambda row: str(row["source"]))
    expected = table_of(alone)
    assert len(rows) == len(expected)
    for ours, theirs in zip(rows, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
