"""What a model said of a split, held and stored. Every score and plot is made from these alone.

A stored file is Parquet: `file`, `label`, one column an emotion, and, where they are known, `valence` and
`arousal` (labels), `predicted_valence` and `predicted_arousal` (of the head), `disagreement` (of an
ensemble), `twin` and `embedding`. An emotion is null where there is no answer: no face was found, or the
model does not have that emotion. The file's metadata holds `About` as JSON under the key "fer_space".
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.classes import known_to, on_data_classes
from fer_space.registry import file_name_of
from fer_space.weights import setting_of

KEY = b"fer_space"


@dataclass(frozen=True)
class About:
    """Where predictions come from.

    Attributes:
        backbone: name of the model, or "ensemble".
        data, split: name and split of the data set.
        detector: the detector that was used, or None where pictures were taken as face crops.
        occlusion: what covered every face, or None.
        model_classes, data_classes: the emotions that the model and the labels know.
        flip: whether every face was read together with its mirror image.
        lift: whether rare emotions were lifted.
        members: names of an ensemble's backbones.
        date: when the pictures were read, YYYY-MM-DD in UTC.
    """

    backbone: str
    data: str
    split: str
    detector: str | None = None
    occlusion: str | None = None
    model_classes: tuple[str, ...] = EMOTIONS
    data_classes: tuple[str, ...] = EMOTIONS
    flip: bool = True
    lift: bool = False
    members: tuple[str, ...] = ()
    date: str = ""

    @property
    def stem(self) -> str:
        """Stem of the file's name: BACKBONE-DATA-SPLIT, then what else applies (occlusion, noflip, …)."""
        flip, lift = None if self.flip else "noflip", "lifted" if self.lift else None
        settings = (self.detector, self.occlusion, flip, lift)
        backbone = file_name_of(self.backbone)
        return "-".join(part for part in (backbone, self.data, self.split, *settings) if part)

    @property
    def setting(self) -> str:
        """What was read and how, for people."""
        return setting_of(
            self.data, self.split, self.detector, self.occlusion, flip=self.flip, lift=self.lift
        )

    @property
    def title(self) -> str:
        """The backbone and its setting."""
        return f"{self.backbone} on {self.setting}"

    @classmethod
    def from_json(cls, text: str | bytes) -> "About":
        """Read what `json.dumps(asdict(about))` wrote; raises ValueError, TypeError or KeyError."""
        values = json.loads(text)
        for key in ("model_classes", "data_classes", "members"):
            values[key] = tuple(values[key])
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said of each of N faces.

    Attributes:
        about: where they come from.
        files: name of each picture.
        labels: int64 (N,), index into `EMOTIONS`.
        probabilities: float64 (N, 8) over `EMOTIONS`, calibrated, as the model gave them; rows of zeros
            where no face was found, 0 for emotions that the model does not have.
        affect: float64 (N, 2), valence and arousal in [-1, 1] from the model's head, NaN where no face
            was found; None for models without such a head.
        affect_labels: float64 (N, 2), the data set's, NaN where nobody rated the face; or None.
        disagreement: float64 (N,), bits among the members of an ensemble, NaN where none answered; or None.
        twin: bool (N,), whether the face has a near-duplicate in the train split; or None.
        embeddings: float16 (N, C), the body's pooled features, NaN where no face was found; or None.
    """

    about: About
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    affect: NDArray[np.float64] | None = None
    affect_labels: NDArray[np.float64] | None = None
    disagreement: NDArray[np.float64] | None = None
    twin: NDArray[np.bool_] | None = None
    embeddings: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        count = len(self.files)
        if self.labels.shape != (count,) or self.probabilities.shape != (count, len(EMOTIONS)):
            raise ValueError(f"{count} files need as many labels and rows of {len(EMOTIONS)} probabilities")
        if self.probabilities[:, ~known_to(self.about.model_classes, np.arange(len(EMOTIONS)))].any():
            raise ValueError("a model gives no probability to an emotion that it does not have")
        for rows in (self.affect, self.affect_labels, self.disagreement, self.twin, self.embeddings):
            if rows is not None and len(rows) != count:
                raise ValueError(f"{count} files need {count} rows, not {len(rows)}")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Faces that the model answered, bool (N,); without a found face there is no answer."""
        return np.asarray(self.probabilities.any(axis=1), dtype=np.bool_)

    @cached_property
    def scored(self) -> NDArray[np.float64]:
        """The probabilities that are scored, float64 (N, 8): see `fer_space.evaluation.classes`."""
        return on_data_classes(self.probabilities, self.about.data_classes)

    def save(self, folder: Path) -> Path:
        """Write `STEM.parquet` into `folder`, which is made if need be; returns its path."""
        import pyarrow
        import pyarrow.parquet

        folder.mkdir(parents=True, exist_ok=True)
        table = pyarrow.table(_columns(self)).replace_schema_metadata(
            {KEY: json.dumps(asdict(self.about), ensure_ascii=False)}
        )
        path = folder / f"{self.about.stem}.parquet"
        pyarrow.parquet.write_table(table, path)
        return path

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read what `save` wrote; raises InputError when the file is missing or holds something else."""
        import pyarrow
        import pyarrow.parquet

        if not path.is_file():
            raise InputError(f"There is no file {path}.")
        try:
            table = pyarrow.parquet.read_table(path)
            about = About.from_json((table.schema.metadata or {})[KEY])
            return _from_table(about, table)
        except (KeyError, TypeError, ValueError, pyarrow.ArrowException) as error:
            raise InputError(f"{path} holds no predictions that `fer-space test --out` wrote.") from error


def _columns(predictions: Predictions) -> dict[str, Any]:
    """The columns of the stored file."""
    import pyarrow

    rows = np.where(predictions.answered[:, None], predictions.probabilities, np.nan)
    rows[:, ~known_to(predictions.about.model_classes, np.arange(len(EMOTIONS)))] = np.nan
    columns: dict[str, Any] = {
        "file": list(predictions.files),
        "label": [EMOTIONS[label] for label in predictions.labels],
    }
    columns |= {emotion: _nullable(rows[:, k]) for k, emotion in enumerate(EMOTIONS)}
    pairs = (("", predictions.affect_labels), ("predicted_", predictions.affect))
    for prefix, values in pairs:
        if values is not None:
            columns |= {
                f"{prefix}valence": _nullable(values[:, 0]),
                f"{prefix}arousal": _nullable(values[:, 1]),
            }
    if predictions.disagreement is not None:
        columns["disagreement"] = _nullable(predictions.disagreement)
    if predictions.twin is not None:
        columns["twin"] = predictions.twin
    if predictions.embeddings is not None:
        flat = pyarrow.array(predictions.embeddings.reshape(-1))
        columns["embedding"] = pyarrow.FixedSizeListArray.from_arrays(flat, predictions.embeddings.shape[1])
    return columns


def _nullable(values: NDArray[np.float64]) -> Any:
    """A column float64 in which NaN is null."""
    import pyarrow

    return pyarrow.array(values.astype(np.float64), from_pandas=True)


def _from_table(about: About, table: Any) -> Predictions:
    """The inverse of `_columns`."""
    present = set(table.column_names)

    def numbers(*names: str) -> NDArray[np.float64] | None:
        if not present.issuperset(names):
            return None
        return np.stack([table[n].to_numpy().astype(np.float64) for n in names], axis=1)

    probabilities = numbers(*EMOTIONS)
    if probabilities is None:
        raise KeyError("emotions")
    disagreement = numbers("disagreement")
    return Predictions(
        about=about,
        files=tuple(table["file"].to_pylist()),
        labels=np.array([EMOTIONS.index(name) for name in table["label"].to_pylist()], dtype=np.int64),
        probabilities=np.nan_to_num(probabilities),
        affect=numbers("predicted_valence", "predicted_arousal"),
        affect_labels=numbers("valence", "arousal"),
        disagreement=None if disagreement is None else disagreement[:, 0],
        twin=np.array(table["twin"].to_pylist(), dtype=np.bool_) if "twin" in present else None,
        embeddings=_embeddings(table["embedding"]) if "embedding" in present else None,
    )


def _embeddings(column: Any) -> NDArray[np.float16]:
    values = column.combine_chunks()
    flat: NDArray[np.float16] = values.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(values), -1)


def require_same_faces(several: Sequence[Predictions]) -> None:
    """Raise InputError unless all predictions are of the same faces, in the same order."""
    first = several[0]
    for other in several[1:]:
        if other.files != first.files or not np.array_equal(other.labels, first.labels):
            raise InputError(f"{first.about.stem} and {other.about.stem} are not of the same faces.")


def today() -> str:
    """The date in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
