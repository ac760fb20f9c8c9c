"""The table of what was read: the same rows as CSV and as Parquet."""

import csv
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fer_space.emotions import EMOTIONS
from fer_space.render.record import watched_record
from fer_space.render.rows import (
    COLUMNS,
    ParquetRows,
    rows_csv,
    rows_parquet,
    watched_rows,
)
from fer_space.types import Face
from fer_space.watch import Seen, Watched
from tests.toys import toy_comparison

PHOTO = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
COMPARISON = toy_comparison(PHOTO, Face((10, 10, 60, 70), 0.9), ["toy_lite", "toy_dan"])
WATCHED = Watched(36, 1.2, (120, 90), (Seen(4, COMPARISON),))


def test_a_row_says_when_where_who_and_what():
    first, second = watched_rows("clip.mp4", WATCHED)
    assert tuple(first) == COLUMNS
    assert (first["time"], first["frame"], first["track"]) == (1.2, 36, 4)
    assert (first["left"], first["bottom"], first["score"]) == (10.0, 70.0, 0.9)
    assert (first["backbone"], first["label"]) == ("toy_lite", "happiness")
    assert sum(first[emotion] for emotion in EMOTIONS) == pytest.approx(1.0, abs=1e-3)
    assert second["contempt"] is None  # this model does not know it
    assert first["agreement"] == 1.0


def test_csv_and_parquet_hold_the_same():
    rows = watched_rows("clip.mp4", WATCHED)
    read = list(csv.DictReader(StringIO(rows_csv(rows))))
    assert [row["backbone"] for row in read] == ["toy_lite", "toy_dan"]
    assert read[1]["contempt"] == ""
    table = pq.read_table(BytesIO(rows_parquet(rows)))
    assert table.column_names == list(COLUMNS)
    assert table.to_pylist() == rows
    assert pq.read_table(BytesIO(rows_parquet([]))).num_rows == 0


def test_a_long_table_is_written_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fer_space.render.rows._BATCH", 3)
    rows = watched_rows("clip.mp4", WATCHED)
    with ParquetRows(tmp_path / "a.parquet") as table:
        for _ in range(5):
            table.write(rows)
            assert len(table._rows) < 3
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 10
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_the_object_of_a_frame_is_that_of_a_picture_with_time_frame_and_track():
    record = watched_record("clip.mp4", WATCHED)
    assert (record["time"], record["frame"], record["width"]) == (1.2, 36, 120)
    (face,) = record["faces"]
    assert face["track"] == 4
    assert list(face["backbones"]) == ["toy_lite", "toy_dan"]
