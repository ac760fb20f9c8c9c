"""Many pictures, read as a stream: faces of many in one batch, memory that does not grow with their number.

    reader = BulkReader(Engine(), ["dan", "vit"])
    write_parquet(reader, ["photos"], Path("faces.parquet"))

A picture is decoded and searched for faces; of each face only the small crops stay that the models want.
When a batch of faces has come together, every model reads it in one go. What has been read lies in parts
beside the table, so that a run that was killed goes on where it stopped.
"""

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_space.comparison import rule_of
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.distributions import Distributions, circumplex, divergence, mean_of, top
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import FerSpaceError, InputError, OutputError
from fer_space.files import replacing
from fer_space.model import Model
from fer_space.runtime.threads import cores
from fer_space.sources.files import as_text, names_in, read_source
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import decode_image
from fer_space.vision.preprocess import Preprocess

Image = NDArray[np.uint8]
Row = dict[str, Any]
Source = tuple[str, bytes | InputError]  # a name, and a file's bytes or why there are none

BATCH = 64  # faces that are read in one go
PART = 512  # rows in a part: what a kill can cost


@dataclass(frozen=True)
class _Way:
    """How a model wants its faces; models with the same way share their crops."""

    rule: CropRule
    size: int
    preprocess: Preprocess


@dataclass(eq=False)
class _Found:
    """A picture that waits for its faces to be read."""

    source: str
    width: int | None = None
    height: int | None = None
    faces: Sequence[Face] = ()
    problem: str | None = None


@dataclass(eq=False)
class _Batch:
    """Pictures and the crops of their faces, in the same order."""

    found: list[_Found] = field(default_factory=list)
    crops: dict[_Way, list[Tensor]] = field(default_factory=dict)
    faces: int = 0


class BulkReader:
    """Reads pictures with several models and writes a row a face.

    Args:
        engine: finds the faces and holds the models.
        backbones: names of one or more models.
        detector: finds the faces.
        boost_rare: whether rare emotions are boosted.
        ensemble: the fit by which the models become one answer, see `Engine.compare`.

    Raises:
        UnknownNameError, MissingDependencyError, WeightsError: a model, the detector or the fit cannot be
            had.
    """

    def __init__(
        self,
        engine: Engine,
        backbones: Sequence[str],
        *,
        detector: str = DEFAULT_DETECTOR,
        boost_rare: bool = False,
        ensemble: str = "",
    ) -> None:
        self.engine = engine
        self.detector = detector
        self.boost_rare = boost_rare
        self.ensemble = ensemble
        self.models = [engine.model(name) for name in dict.fromkeys(backbones)]
        if not self.models:
            raise InputError("No backbone was chosen.")
        self._shares = engine.shares(self._names, ensemble)
        self._ways = {_way_of(model): model for model in self.models}

    def columns(self) -> list[str]:
        """Name the columns of a row: picture and face, all together, then each model by its name.

        `problem` says why a picture could not be read; such a row holds nothing else, and a picture without a
        face has one row without a `face`. Probabilities are absent for emotions that a model lacks.
        """
        own = [f"{name}.{column}" for name in self._names for column in _OWN]
        return [*_PICTURE, *own]

    def rows(self, pictures: Iterable[Source]) -> Iterator[list[Row]]:
        """Read pictures.

        Args:
            pictures: name and bytes of each, or why it cannot be read; taken one after the other, and a few
                ahead, which are decoded meanwhile.

        Yields:
            The rows of each picture, in the order in which they came; never none.
        """
        batch = _Batch()
        for name, picture in _decoded(pictures):
            self._take(batch, name, picture)
            if batch.faces >= BATCH or len(batch.found) >= PART:
                yield from self._read(batch)
                batch = _Batch()
        yield from self._read(batch)

    @property
    def _names(self) -> list[str]:
        return [model.name for model in self.models]

    def _take(self, batch: _Batch, name: str, picture: Image | FerSpaceError) -> None:
        """Find the faces of a picture and keep their crops."""
        if isinstance(picture, FerSpaceError):
            batch.found.append(_Found(name, problem=as_text(str(picture))))
            return
        faces = self.engine.detect(picture, detector=self.detector)
        batch.found.append(_Found(name, picture.shape[1], picture.shape[0], faces))
        batch.faces += len(faces)
        if faces:
            for way, model in self._ways.items():
                crops = [crop_face(picture, face, way.rule, way.size).image_rgb for face in faces]
                batch.crops.setdefault(way, []).append(model.reduce(crops))

    def _read(self, batch: _Batch) -> Iterator[list[Row]]:
        """Read a batch's faces with every model and write their rows."""
        answers = [self._answers(model, batch) for model in self.models] if batch.faces else []
        together: list[Row] = self._together([said for said, _ in answers]) if answers else []
        start = 0
        for found in batch.found:
            about = {"source": found.source, "width": found.width, "height": found.height}
            if not found.faces:
                yield [{**about, "problem": found.problem}]
            places = range(start, start + len(found.faces))
            rows = []
            for number, (place, face) in enumerate(zip(places, found.faces, strict=True), start=1):
                row = {**about, "face": number, **_box(face), **together[place]}
                for name, (said, affect) in zip(self._names, answers, strict=True):
                    row |= {f"{name}.{key}": value for key, value in _answer(said, affect, place).items()}
                rows.append(row)
            if rows:
                yield rows
            start += len(found.faces)

    def _answers(self, model: Model, batch: _Batch) -> tuple[Distributions, NDArray[np.floating[Any]]]:
        """Probabilities float64 (N, 8) and valence and arousal (N, 2) of all faces of a batch."""
        output = model.predict_reduced(torch.cat(batch.crops[_way_of(model)]))
        plain = output.probabilities
        affect = circumplex(plain) if output.affect is None else output.affect
        return (model.card.boosted(plain) if self.boost_rare else plain), affect

    def _together(self, several: Sequence[Distributions]) -> list[Row]:
        """What all models say together of each face."""
        stack = np.stack(several)  # (M, N, 8)
        means, disagreement = mean_of(stack, self._shares), divergence(stack)
        labels = top(means)
        agreement = np.stack([top(said) == labels for said in several]).mean(axis=0)
        return [
            {
                "label": EMOTIONS[labels[i]],
                "rule": rule_of(self._shares),
                "agreement": float(agreement[i]),
                "disagreement": float(disagreement[i]),
                **_probabilities(means[i]),
            }
            for i in range(len(means))
        ]


_OWN = ("label", *EMOTIONS, "valence", "arousal")
_PICTURE = (
    *("source", "width", "height", "problem", "face", "left", "top", "right", "bottom", "score"),
    *("label", "rule", "agreement", "disagreement", *EMOTIONS),
)
_OPTIONS = "fer_space"  # where a table says how its faces were read
_WORDS = frozenset({"source", "problem", "label", "rule"})
_WHOLE = frozenset({"width", "height", "face"})


class Written(NamedTuple):
    """What a call wrote.

    Attributes:
        read: how many pictures this call read.
        failed: how many of `pictures` could not be read.
        pictures: how many were asked for, those that earlier calls read included.
    """

    read: int
    failed: int
    pictures: int


def pictures_of(sources: str | Iterable[str], done: Collection[str] = ()) -> Iterator[Source]:
    """Name and read the pictures of files, folders, URLs and standard input, one after the other.

    Args:
        sources: one or several, as `fer_space.sources.files.read_source` takes them.
        done: names of pictures that are left out, and not read.
    """
    for source in several(sources):
        yield from read_source(source, done)


def several(sources: str | Iterable[str]) -> list[str]:
    """List sources; one is a list of one, not of its letters."""
    return [sources] if isinstance(sources, str) else list(sources)


def write_parquet(reader: BulkReader, sources: str | Iterable[str], path: str | Path) -> Written:
    """Read pictures into a Parquet file, a row a face; a run that was killed goes on.

    Args:
        reader: reads them.
        sources: files, folders, URLs, or "-"; one or several.
        path: the table. Until it is whole its parts lie beside it, in a folder PATH.parts; what these have of
            other sources does not come into it.

    Raises:
        OutputError: the table cannot be written.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    path, sources = Path(path), several(sources)
    parts = path.with_name(f"{path.name}.parts")
    schema = schema_of(reader)
    kept, done = finished(parts, schema)
    asked = done & {as_text(name) for source in sources for name in names_in(source)} if done else set()
    read = failed = 0
    first = 1 + max((int(part.stem) for part in kept if part.stem.isdecimal()), default=-1)
    for number, rows in enumerate(_parts(reader.rows(pictures_of(sources, done))), start=first):
        with replacing(parts / f"{number:06d}.parquet") as temporary:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), temporary)
        names = {row["source"] for row in rows}
        read += len(names)
        asked |= names
    known = pyarrow.array(asked, pyarrow.string())
    with replacing(path) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        for part in sorted(parts.glob("*.parquet")):
            table = pyarrow.parquet.read_table(part)
            table = table.filter(pyarrow.compute.is_in(table["source"], value_set=known))
            failed += len(table) - table["problem"].null_count
            writer.write_table(table)
    shutil.rmtree(parts, ignore_errors=True)
    return Written(read, failed, len(asked))


def schema_of(reader: BulkReader) -> Any:
    """The columns of a reader's table and their types, as Arrow has them, and how it reads faces."""
    import pyarrow

    def kind(column: str) -> Any:
        last = column.rpartition(".")[2]
        if last in _WORDS:
            return pyarrow.string()
        return pyarrow.int32() if last in _WHOLE else pyarrow.float64()

    options = {"detector": reader.detector, "boost_rare": reader.boost_rare, "ensemble": reader.ensemble}
    columns = [(column, kind(column)) for column in reader.columns()]
    return pyarrow.schema(columns, {_OPTIONS: json.dumps(options)})


def finished(parts: Path, schema: Any) -> tuple[list[Path], set[str]]:
    """Find what an earlier run has written.

    Args:
        parts: a folder of Parquet files; it need not be there.
        schema: what their columns must be, and how their faces must have been read.

    Returns:
        The files, and the names of the pictures in them.

    Raises:
        OutputError: a file is damaged, or another table's.
    """
    import pyarrow
    import pyarrow.parquet

    kept, done = sorted(parts.glob("*.parquet")), set()
    for part in kept:
        try:
            table = pyarrow.parquet.read_table(part)
        except (OSError, pyarrow.ArrowException) as error:
            raise OutputError(f"{part} is damaged: delete it, and its pictures are read again.") from error
        if table.schema != schema:
            raise OutputError(f"{parts} holds parts of a run with other backbones: delete it or name them.")
        if (other := _options(table.schema)) not in ("", _options(schema)):
            raise OutputError(
                f"{parts} holds parts of a run with other options ({other}): delete it or use them."
            )
        done.update(table.column("source").to_pylist())
    return kept, done


def _options(schema: Any) -> str:
    """What `schema_of` says of how faces are read."""
    return str((schema.metadata or {}).get(_OPTIONS.encode(), b"").decode())


def _parts(pictures: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """Rows in parts of about `PART`, the rows of a picture in one."""
    rows: list[Row] = []
    for of_picture in pictures:
        rows += of_picture
        if len(rows) >= PART:
            yield rows
            rows = []
    if rows:
        yield rows


def _decoded(pictures: Iterable[Source]) -> Iterator[tuple[str, Image | FerSpaceError]]:
    """Decode pictures, a few ahead of the one that is taken."""

    def decode(content: bytes | InputError) -> Image | FerSpaceError:
        if isinstance(content, FerSpaceError):
            return content
        try:
            return decode_image(content)
        except FerSpaceError as error:
            return error

    ahead = max(2, cores())
    waiting: list[tuple[str, Future[Image | FerSpaceError]]] = []
    stream = iter(pictures)
    with ThreadPoolExecutor(ahead) as pool:
        while True:
            for name, content in islice(stream, ahead - len(waiting)):
                waiting.append((name, pool.submit(decode, content)))
            if not waiting:
                return
            name, future = waiting.pop(0)
            yield name, future.result()


def _way_of(model: Model) -> _Way:
    return _Way(model.card.crop, model.card.crop_size, model.card.preprocess)


def _box(face: Face) -> Row:
    left, upper, right, lower = face.box_xyxy
    return {"left": left, "top": upper, "right": right, "bottom": lower, "score": face.score}


def _answer(said: Distributions, affect: NDArray[np.floating[Any]], place: int) -> Row:
    return {
        "label": EMOTIONS[int(top(said[place : place + 1])[0])],
        **_probabilities(said[place]),
        "valence": float(affect[place, 0]),
        "arousal": float(affect[place, 1]),
    }


def _probabilities(row: NDArray[np.float64]) -> Row:
    """By emotion; those that are not known are left out."""
    return {e: float(p) for e, p in zip(EMOTIONS, row, strict=True) if not np.isnan(p)}
