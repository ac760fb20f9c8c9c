"""What a model said of the faces of a data set: one table, held and stored. Scores and plots need no more.

    outputs = predict_dataset(model, faces)
    outputs.save(Path("results"))
    Outputs.load(Path("results/dan-ferplus-test.parquet")).scored

A stored file is Parquet: `file`, `label`, one column an emotion, and, where they are known, `valence` and
`arousal` (labels), `predicted_valence` and `predicted_arousal`, `disagreement` (of an ensemble),
`near_duplicate`, `set` (which of the joined sets a face is of) and `embedding`. An emotion is null where
there is no answer: no face was found, or the model does not have that emotion. The file's metadata holds
`About` as JSON under the key "fer_space". Files of version 0.1, which said `twin`, `backbone` and `lift`, are
read as well.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.card import AffectSource, Emotion, Record, Setting
from fer_space.comparison import Rule
from fer_space.data.faceset import Member, name_of
from fer_space.distributions import NO_ANSWER, Distributions, circumplex, restrict
from fer_space.emotions import EMOTIONS, column_of, columns_of
from fer_space.errors import InputError
from fer_space.files import replacing
from fer_space.registry import file_name_of

KEY = b"fer_space"


def today() -> dt.date:
    """Give the date in UTC, which all records of this project carry."""
    return dt.datetime.now(dt.UTC).date()


class About(Record):
    """Where outputs come from.

    Attributes:
        model: its name, or that of an ensemble.
        setting: what was read, and how.
        model_classes, data_classes: the emotions that the model and the labels know.
        members, rule: of an ensemble, the names of its models and how they become one answer.
        sets: the data sets that were joined, in the order that `Outputs.origins` counts them; () for one.
        affect_source: what the outputs' valence and arousal are from, where they have any.
        date: when the pictures were read, in UTC; None where nobody noted it.
    """

    model: str
    setting: Setting
    model_classes: tuple[Emotion, ...] = EMOTIONS
    data_classes: tuple[Emotion, ...] = EMOTIONS
    members: tuple[str, ...] = ()
    rule: Rule | None = None
    sets: tuple[Member, ...] = ()
    affect_source: AffectSource = "head"
    date: dt.date | None = None

    @property
    def stem(self) -> str:
        """Stem of the file's name: MODEL-DATA-SPLIT, then what else applies (occlusion, noflip, …)."""
        setting = self.setting
        parts = (
            file_name_of(self.model),
            setting.data,
            setting.split,
            setting.detector,
            setting.occlusion,
            None if setting.flip else "noflip",
            "boosted" if setting.boost_rare else None,
        )
        return "-".join(part for part in parts if part)

    @property
    def title(self) -> str:
        """The model and its setting, for people."""
        return f"{self.model} on {self.setting}"


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model said of each of N faces.

    Attributes:
        about: where they come from.
        files: name of each picture.
        labels: int64 (N,), index into `EMOTIONS`; NO_ANSWER for all faces of a set with valence and arousal
            alone.
        probabilities: float64 (N, 8) over `EMOTIONS`, calibrated, as the model gave them; NaN for emotions
            that the model does not have, and in every column where no face was found.
        affect: float64 (N, 2), valence and arousal in [-1, 1] as `about.affect_source` says, NaN where no
            face was found; None where they are left to the circumplex.
        affect_labels: float64 (N, 2), the data set's, NaN where nobody rated the face; or None.
        disagreement: float64 (N,), bits among the members of an ensemble, NaN where none answered; or None.
        near_duplicate: bool (N,), whether the face also lies in the training split; or None.
        origins: int64 (N,), which of `about.sets` each face is of; None where there is one.
        embeddings: float16 (N, C), what the classifier reads, NaN where no face was found; or None.

    Raises:
        ValueError: the columns are not of one length, or a model answers with an emotion that it lacks.
    """

    about: About
    files: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: Distributions
    affect: NDArray[np.float64] | None = None
    affect_labels: NDArray[np.float64] | None = None
    disagreement: NDArray[np.float64] | None = None
    near_duplicate: NDArray[np.bool_] | None = None
    origins: NDArray[np.int64] | None = None
    embeddings: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        count = len(self.files)
        if self.labels.shape != (count,) or self.probabilities.shape != (count, len(EMOTIONS)):
            raise ValueError(f"{count} files need as many labels and rows of {len(EMOTIONS)} probabilities")
        lacking = np.delete(self.probabilities, columns_of(self.about.model_classes), axis=1)
        if not np.isnan(lacking).all():
            raise ValueError("a model gives no probability to an emotion that it does not have")
        if (self.origins is None) != (not self.about.sets):
            raise ValueError("joined sets and the set that each face is of belong together")
        optional = (self.affect, self.affect_labels, self.disagreement, self.near_duplicate)
        for rows in (*optional, self.origins, self.embeddings):
            if rows is not None and len(rows) != count:
                raise ValueError(f"{count} files need {count} rows, not {len(rows)}")

    def __len__(self) -> int:
        return len(self.files)

    @property
    def has_emotions(self) -> bool:
        """Whether an emotion is known of each face; else valence and arousal alone can be scored."""
        return bool((self.labels != NO_ANSWER).all())

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Faces that the model answered, bool (N,); without a found face there is no answer."""
        return np.asarray(~np.isnan(self.probabilities).all(axis=1), dtype=np.bool_)

    @cached_property
    def scored(self) -> Distributions:
        """The probabilities over the emotions that the data know, float64 (N, 8).

        An emotion that the labels do not know cannot be right, so it is dropped and the rest is rescaled: the
        model answers the question that the data ask. A row that has nothing left is NaN: no answer.
        """
        return restrict(self.probabilities, self.about.data_classes)

    def of_set(self, number: int) -> tuple[Distributions, NDArray[np.int64]]:
        """Give the faces of one of the joined sets.

        Returns:
            float64 (M, 8), their probabilities over the emotions that this set knows, and labels int64 (M,).
        """
        mine = np.flatnonzero(self.origins == number)
        return restrict(self.probabilities[mine], self.about.sets[number].classes), self.labels[mine]

    @property
    def valence_arousal(self) -> NDArray[np.float64]:
        """Valence and arousal float64 (N, 2): `affect`, or else derived from the model's own answers."""
        return circumplex(self.probabilities) if self.affect is None else self.affect

    @property
    def affect_source(self) -> AffectSource:
        """What `valence_arousal` are from."""
        return "circumplex" if self.affect is None else self.about.affect_source

    def save(self, folder: Path) -> Path:
        """Write `STEM.parquet` into a folder, which is made if need be.

        Returns:
            The path of the file.

        Raises:
            OutputError: it cannot be written.
        """
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table(_columns(self)).replace_schema_metadata({KEY: self.about.model_dump_json()})
        path = folder / f"{self.about.stem}.parquet"
        with replacing(path) as temporary:
            pyarrow.parquet.write_table(table, temporary)
        return path

    @classmethod
    def load(cls, path: Path) -> "Outputs":
        """Read what `save` wrote; raises InputError when the file is missing or holds something else."""
        import pyarrow
        import pyarrow.parquet

        if not path.is_file():
            raise InputError(f"There is no file {path}.")
        try:
            table = pyarrow.parquet.read_table(path)
            about = _about_from((table.schema.metadata or {})[KEY])
            return _from_table(about, table)
        except (AttributeError, KeyError, TypeError, ValueError, pyarrow.ArrowException) as error:
            raise InputError(f"{path} holds no predictions that `fer-space test --out` wrote.") from error


def require_same_faces(several: Sequence[Outputs]) -> None:
    """Raise InputError unless all outputs are of the same faces, in the same order."""
    first = several[0]
    for other in several[1:]:
        if other.files != first.files or not np.array_equal(other.labels, first.labels):
            raise InputError(f"{first.about.stem} and {other.about.stem} are not of the same faces.")


def _about_from(text: bytes) -> About:
    """Read the metadata of a stored file, of this version or of 0.1."""
    values = json.loads(text)
    if "backbone" not in values:
        return About.model_validate_json(text)
    ways = {key: values[key] for key in ("data", "split", "detector", "occlusion", "flip")}
    rest = {key: values[key] for key in ("model_classes", "data_classes", "members")}
    return About(
        model=values["backbone"],
        setting=Setting(**ways, boost_rare=values.get("lift", False)),
        rule=None if not rest["members"] else "fitted mean" if values["backbone"] == "weighted" else "mean",
        date=values["date"] or None,
        **rest,
    )


def _columns(outputs: Outputs) -> dict[str, Any]:
    """The columns of the stored file."""
    import pyarrow

    columns: dict[str, Any] = {
        "file": list(outputs.files),
        "label": [name_of(label) or None for label in outputs.labels],
    }
    columns |= {emotion: _nullable(outputs.probabilities[:, k]) for k, emotion in enumerate(EMOTIONS)}
    for prefix, values in (("", outputs.affect_labels), ("predicted_", outputs.affect)):
        if values is not None:
            columns |= {
                f"{prefix}{name}": _nullable(values[:, k]) for k, name in enumerate(("valence", "arousal"))
            }
    if outputs.disagreement is not None:
        columns["disagreement"] = _nullable(outputs.disagreement)
    if outputs.near_duplicate is not None:
        columns["near_duplicate"] = outputs.near_duplicate
    if outputs.origins is not None:
        names = [joined.name for joined in outputs.about.sets]
        columns["set"] = pyarrow.DictionaryArray.from_arrays(pyarrow.array(outputs.origins), names)
    if outputs.embeddings is not None:
        flat = pyarrow.array(outputs.embeddings.reshape(-1))
        columns["embedding"] = pyarrow.FixedSizeListArray.from_arrays(flat, outputs.embeddings.shape[1])
    return columns


def _nullable(values: NDArray[np.float64]) -> Any:
    """A column float64 in which NaN is null."""
    import pyarrow

    return pyarrow.array(values.astype(np.float64), from_pandas=True)


def _from_table(about: About, table: Any) -> Outputs:
    """The inverse of `_columns`."""
    present = set(table.column_names)

    def numbers(*names: str) -> NDArray[np.float64] | None:
        if not present.issuperset(names):
            return None
        return np.stack([table[n].to_numpy().astype(np.float64) for n in names], axis=1)

    def flags(*names: str) -> NDArray[np.bool_] | None:
        known = [name for name in names if name in present]
        return np.array(table[known[0]].to_pylist(), dtype=np.bool_) if known else None

    probabilities = numbers(*EMOTIONS)
    if probabilities is None:
        raise KeyError("emotions")
    disagreement = numbers("disagreement")
    return Outputs(
        about=about,
        files=tuple(table["file"].to_pylist()),
        labels=np.array(
            [column_of(name) if name else NO_ANSWER for name in table["label"].to_pylist()], dtype=np.int64
        ),
        probabilities=probabilities,
        affect=numbers("predicted_valence", "predicted_arousal"),
        affect_labels=numbers("valence", "arousal"),
        disagreement=None if disagreement is None else disagreement[:, 0],
        near_duplicate=flags("near_duplicate", "twin"),
        origins=_origins(about, table["set"]) if about.sets else None,
        embeddings=_embeddings(table["embedding"]) if "embedding" in present else None,
    )


def _origins(about: About, column: Any) -> NDArray[np.int64]:
    places = {joined.name: number for number, joined in enumerate(about.sets)}
    return np.array([places[name] for name in column.to_pylist()], dtype=np.int64)


def _embeddings(column: Any) -> NDArray[np.float16]:
    values = column.combine_chunks()
    flat: NDArray[np.float16] = values.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(values), -1)
