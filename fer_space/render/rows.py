"""What was read of a video as a table: one row a face and model in one frame, as CSV, JSON or Parquet.

Columns: source, time (seconds), frame, track, left, top, right, bottom (pixels), score, backbone, label, one
for each emotion, valence, arousal, and of the face: consensus, agreement, disagreement_bits.
"""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any

from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.watch import Watched

Row = dict[str, Any]

_NUMBERS = ("left", "top", "right", "bottom", "score")
_WORDS = ("source", "backbone", "label", "consensus")
_WHOLE = ("frame", "track")
COLUMNS = (
    "source", "time", "frame", "track", *_NUMBERS, "backbone", "label", *EMOTIONS, "valence", "arousal",
    "consensus", "agreement", "disagreement_bits",
)  # fmt: skip
_BATCH = 2000  # rows of one group of a Parquet file


def watched_rows(source: str, watched: Watched) -> list[Row]:
    """Write one frame of a video as rows; a frame without faces has none.

    Args:
        source: where the video came from, as the caller names it.
        watched: what was read in the frame.
    """
    place = {"source": source, "time": round(watched.time, 4), "frame": watched.number}
    return [row for seen in watched.faces for row in _rows({**place, "track": seen.track}, seen.comparison)]


def rows_csv(rows: Sequence[Row]) -> str:
    """Write rows as CSV with a header; what is absent is empty."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def rows_parquet(rows: Sequence[Row]) -> bytes:
    """Write rows as the bytes of a Parquet file; raises ModuleNotFoundError without pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), _schema()), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


class ParquetRows:
    """A Parquet file that grows by rows and keeps few of them in memory.

    Args:
        path: of the file; it is whole when the context ends.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(path, _schema())
        self._rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
        self._rows += rows
        if len(self._rows) >= _BATCH:
            self._flush()

    def __enter__(self) -> "ParquetRows":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, _schema()))
            self._rows = []


def _rows(place: Row, comparison: Comparison) -> Iterator[Row]:
    edges = (round(edge, 1) for edge in comparison.face.box_xyxy)
    where = dict(zip(_NUMBERS, (*edges, round(comparison.face.score, 3)), strict=True))
    face = {
        "consensus": comparison.consensus,
        "agreement": round(comparison.agreement, 4),
        "disagreement_bits": round(comparison.disagreement, 5),
    }
    for p in comparison.predictions:
        shares = {e: round(p.probabilities[e], 5) if e in p.probabilities else None for e in EMOTIONS}
        affect = {"valence": round(p.valence, 4), "arousal": round(p.arousal, 4)}
        yield {**place, **where, "backbone": p.backbone, "label": p.label, **shares, **affect, **face}


def _schema() -> Any:
    import pyarrow as pa

    kinds = {**dict.fromkeys(_WORDS, pa.string()), **dict.fromkeys(_WHOLE, pa.int64())}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS])
