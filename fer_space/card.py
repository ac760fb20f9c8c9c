"""What travels with a model's weights: how to read a face with it, and what was measured.

`weights/NAME.safetensors` holds the tensors, `weights/NAME.json` the card. Nothing is inferred from names.
Records check themselves: unknown fields, wrong types, numbers that are not finite or out of range end in one
sentence that names the file.
"""

import datetime as dt
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fer_space.distributions import Distributions, boost_rare, renormalise
from fer_space.emotions import EMOTIONS, columns_of, to_eight
from fer_space.errors import WeightsError
from fer_space.files import sha256_of, shipped, write_text
from fer_space.vision.alignment import CROP_SIZE, CropRule
from fer_space.vision.preprocess import Preprocess

ENSEMBLE_FILE = "ensemble.json"
LONGEST_CARD = 2**20  # bytes
WEIGHTS_DIR = Path(os.environ.get("FER_SPACE_WEIGHTS") or shipped("weights"))

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
AffectSource = Literal["head", "circumplex"]


def _emotion(name: str) -> str:
    if name not in EMOTIONS:
        raise ValueError(f"“{name}” is no emotion")
    return name


Emotion = Annotated[str, AfterValidator(_emotion)]


class Record(BaseModel):
    """Base of all stored records: frozen, complete, finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


R = TypeVar("R", bound=Record)


class Setting(Record):
    """What was read, and how; compared, never spelled.

    Attributes:
        data: name of the data set.
        split: one of its splits.
        detector: what found the faces, or None where pictures were taken as face crops.
        occlusion: what covered every face, or None.
        flip: whether every face was read together with its mirror image.
        boost_rare: whether rare emotions were boosted.

    Example:
        >>> str(Setting(data="ferplus", split="test", occlusion="surgical"))
        'ferplus test, occluded: surgical'
    """

    data: str
    split: str
    detector: str | None = None
    occlusion: str | None = None
    flip: bool = True
    boost_rare: bool = False

    def __str__(self) -> str:
        parts = [f"{self.data} {self.split}"]
        parts += [f"detected by {self.detector}"] if self.detector else []
        parts += [f"occluded: {self.occlusion}"] if self.occlusion else []
        parts += [] if self.flip else ["without flip"]
        return ", ".join(parts + (["rare emotions boosted"] if self.boost_rare else []))


FERPLUS_TEST = Setting(data="ferplus", split="test")


class Rates(Record):
    """How often a model is right on `n` faces, as fractions.

    Attributes:
        n: number of faces.
        accuracy, accuracy_interval: with its 95 % interval by bootstrap.
        balanced_accuracy, macro_f1: over the emotions that occur.
        ece: expected calibration error, 15 bins.
        per_class: recall by emotion.
    """

    n: Annotated[int, Field(ge=0)]
    accuracy: Fraction
    accuracy_interval: tuple[Fraction, Fraction]
    balanced_accuracy: Fraction
    macro_f1: Fraction
    ece: Fraction
    per_class: dict[Emotion, Fraction]


class Agreement(Record):
    """How well numbers follow labels; None where a score is not defined."""

    ccc: float | None = None
    pearson: float | None = None
    rmse: float | None = None


class AffectRates(Record):
    """Valence and arousal on `n` rated faces, from the model's head or from its circumplex."""

    valence: Agreement
    arousal: Agreement
    source: AffectSource
    n: Annotated[int, Field(ge=0)]


class Scores(Rates):
    """All that was measured in one setting.

    Attributes:
        absent_from_data, absent_from_model: emotions that only the other side knows
            (`fer_space.evaluation.metrics.absences`).
        n_shared, accuracy_on_shared: of the faces whose emotion the model has, where it lacks some.
        undetected: pictures without a found face, which count as wrong.
        near_duplicates, without_near_duplicates: faces that also lie in the training split, and the rates
            without them.
        sets: of joined sets, the rates on the faces of each, among the emotions that it knows.
        members, disagreement: of an ensemble; mean disagreement in bits.
        affect: where the data set has valence and arousal.
    """

    absent_from_data: tuple[Emotion, ...] = ()
    absent_from_model: tuple[Emotion, ...] = ()
    n_shared: int | None = None
    accuracy_on_shared: Fraction | None = None
    undetected: int | None = None
    near_duplicates: int | None = None
    without_near_duplicates: Rates | None = None
    sets: dict[str, Rates] | None = None
    members: tuple[str, ...] = ()
    disagreement: float | None = None
    affect: AffectRates | None = None


class Measurement(Record):
    """A setting, what was measured in it, and the command and date (UTC) that made it."""

    setting: Setting
    scores: Scores
    command: str
    date: dt.date


class BriefRates(Record):
    """Three figures of a validation split."""

    n: int
    accuracy: Fraction
    balanced_accuracy: Fraction
    ece: Fraction


class Fp16Check(Record):
    """What storing weights in half precision changes on the validation split."""

    n: int
    accuracy_full: Fraction
    accuracy_half: Fraction
    changed_answers: int
    kept: Literal["fp16", "fp32"]


class AffectFit(Record):
    """How well a readout of valence and arousal follows held-out folds of its validation split."""

    n: int
    penalty: float
    ccc_valence: float
    ccc_arousal: float


class Validation(Record):
    """What was chosen on the validation split, and what it made of it.

    Attributes:
        plain: of the network as trained.
        before_temperature: with the bias, before confidence was calibrated.
        calibrated: as it is used.
        fp16: the check of half precision, where it was made.
        affect: of a readout of valence and arousal that was fitted afterwards.
    """

    plain: BriefRates
    before_temperature: BriefRates
    calibrated: BriefRates
    fp16: Fp16Check | None = None
    affect: AffectFit | None = None


class Card(Record):
    """All that the loader needs, and what a person should know before trusting the model.

    Attributes:
        name: of the files and of the model in the registry.
        architecture: what builds the network, "module:function"; "onnx" for a graph, "hub:" and the
            sha256 of its configuration for transformers.
        labels: emotions in the order of the head's outputs.
        preprocess, crop: how a photo becomes the network's input.
        bias: added to the logits, one number a label: the post-hoc logit adjustment that names rare emotions
            more often, chosen on the validation split.
        temperature: divides the sum before the softmax; fitted on the validation split.
        boost: of the second operating point, one number a label, added to the log probabilities: it boosts
            rare emotions as far as a point of accuracy pays for (`fer-space test --fit-boost`); () where
            none was fitted.
        affect: whether the head reads valence and arousal.
        parameters: number of weights and biases.
        sha256: of the file with the weights, hexadecimal.
        data, licence, command: what it learned from, what one may do with it, how to make it again.
        validation: what was chosen on the validation split; None for models of others.
        measurements: each with its setting.

    Raises:
        WeightsError, from `read_card`: the file is not such a card.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    architecture: str
    labels: Annotated[tuple[Emotion, ...], Field(min_length=2)]
    preprocess: Preprocess
    crop: CropRule
    bias: tuple[Annotated[float, Field(ge=-1e3, le=1e3)], ...]
    temperature: Annotated[float, Field(ge=1e-3, le=1e3)]
    parameters: Annotated[int, Field(ge=0)]
    sha256: str
    data: str
    licence: str
    command: str
    affect: bool = False
    boost: tuple[Annotated[float, Field(ge=-1e2, le=1e2)], ...] = ()  # e to this power is a number
    validation: Validation | None = None
    measurements: tuple[Measurement, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels name an emotion twice")
        if len(self.bias) != len(self.labels):
            raise ValueError("bias needs one number a label")
        if self.boost and len(self.boost) != len(self.labels):
            raise ValueError("boost needs one number a label, or none")
        return self

    @property
    def network_key(self) -> str:
        """Sha256, hexadecimal, of all that decides which network is built and what is in it."""
        built = (self.sha256, self.architecture, self.labels, self.affect, self.preprocess.input_size)
        return hashlib.sha256(repr(built).encode()).hexdigest()

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops that are cut for it: 224, unless the network reads larger ones."""
        return max(CROP_SIZE, self.preprocess.native_size)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The labels in canonical order."""
        return tuple(emotion for emotion in EMOTIONS if emotion in self.labels)

    @property
    def columns(self) -> list[int]:
        """The place of each label among `EMOTIONS`."""
        return columns_of(self.labels)

    def probabilities(self, logits: NDArray[np.floating[Any]]) -> Distributions:
        """Turn logits into calibrated probabilities.

        Args:
            logits: float (N, K), one column a label.

        Returns:
            float64 (N, 8), NaN for emotions that the model lacks.
        """
        scaled = (np.asarray(logits, dtype=np.float64) + np.array(self.bias)) / self.temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        return to_eight(renormalise(np.exp(scaled)), self.labels)

    def boosted(self, probabilities: Distributions) -> Distributions:
        """Move probabilities float64 (N, 8) to the second operating point, if the card has one."""
        if not self.boost:
            return probabilities
        return boost_rare(probabilities, to_eight(np.array([self.boost]), self.labels)[0])

    def measured(self, setting: Setting) -> Measurement | None:
        """Look up what was measured in a setting."""
        return next((m for m in self.measurements if m.setting == setting), None)

    def with_measurement(self, measurement: Measurement) -> "Card":
        """Copy the card with one measurement more, in place of an older one of the same setting."""
        others = [m for m in self.measurements if m.setting != measurement.setting]
        place = next((i for i, m in enumerate(self.measurements) if m.setting == measurement.setting), None)
        others.insert(len(others) if place is None else place, measurement)
        return self.model_copy(update={"measurements": tuple(others)})

    def under_occlusion(self, kinds: Sequence[str]) -> dict[str | None, Scores]:
        """Look up what was measured on FERPlus test faces by what covered them.

        Args:
            kinds: names of the occlusions; those that were not measured are left out.

        Returns:
            Scores by kind; None, the free face, comes first.
        """
        asked = {kind: FERPLUS_TEST.model_copy(update={"occlusion": kind}) for kind in (None, *kinds)}
        found = {kind: self.measured(setting) for kind, setting in asked.items()}
        return {kind: measurement.scores for kind, measurement in found.items() if measurement is not None}

    def to_json(self) -> str:
        """Write the card as it is stored."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """Read a card; raises WeightsError that names the file `where` and the first thing wrong."""
        return _parsed(cls, text, where)


class Fit(Record):
    """Shares of an ensemble, fitted together.

    Attributes:
        name: "ferplus", or what else it was fitted for.
        shares: by member, above 0, summing to 1.
        data: what they were fitted on, "ferplus valid".
        command, date: what made the fit, and when (UTC).
    """

    name: str
    shares: Annotated[dict[str, Annotated[float, Field(gt=0.0, le=1.0)]], Field(min_length=1)]
    data: str
    command: str
    date: dt.date

    def shares_of(self, names: Sequence[str]) -> tuple[float, ...]:
        """Look up the share of each model, 0 for one that is no member.

        Returns:
            One number a name, or () when a member is missing among the names: then the fit says nothing.
        """
        if not set(self.shares) <= set(names):
            return ()
        return tuple(self.shares.get(name, 0.0) for name in names)


class EnsembleFile(Record):
    """`weights/ensemble.json`: the joint fits, the one that the page uses first."""

    fits: Annotated[tuple[Fit, ...], Field(min_length=1)]


def read_fits(folder: Path = WEIGHTS_DIR) -> tuple[Fit, ...]:
    """Read the fitted ensembles of a folder of weights; none where there is no file.

    Raises:
        WeightsError: the file cannot be read, or is another; the sentence names it.
    """
    path = folder / ENSEMBLE_FILE
    if not path.is_file():
        return ()
    try:
        return _parsed(EnsembleFile, path.read_bytes(), path.name).fits
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror}.") from error


def write_fit(fit: Fit, folder: Path = WEIGHTS_DIR) -> None:
    """Store a fit in place of the one of its name; the others and their order stay."""
    fits = {known.name: known for known in read_fits(folder)} | {fit.name: fit}
    file = EnsembleFile(fits=tuple(fits.values()))
    write_text(folder / ENSEMBLE_FILE, file.model_dump_json(indent=2) + "\n")


def paths_of(name: str, folder: Path = WEIGHTS_DIR) -> tuple[Path, Path]:
    """Name the paths of a model's tensors and of its card, whether they exist or not."""
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def read_card(path: Path) -> Card:
    """Read a card from its file.

    Args:
        path: of the JSON file.

    Raises:
        WeightsError: there is no such file, or it is not a card; the sentence names the file.
    """
    try:
        if path.stat().st_size > LONGEST_CARD:
            raise WeightsError(f"{path.name} is too long to be a card.")
        return Card.from_json(path.read_bytes(), path.name)
    except OSError as error:
        raise WeightsError(f"There is no card {path.name}: {error.strerror}.") from error


def write_card(card: Card, folder: Path = WEIGHTS_DIR) -> None:
    """Write a card beside its weights."""
    write_text(paths_of(card.name, folder)[1], card.to_json())


def check_sha256(card: Card, path: Path) -> None:
    """Raise WeightsError unless a file is the one that its card describes."""
    if not path.is_file():
        raise WeightsError(f"{path.name} is missing in {path.parent.name}.")
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {error.strerror}.") from error
    if digest != card.sha256:
        raise WeightsError(f"{path.name} is damaged or is not the file that its card describes (sha256).")


def _parsed(kind: type[R], text: str | bytes, where: str) -> R:
    """Parse a record, turning the first complaint into a sentence."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        at = f" ({place})" if place else ""
        raise WeightsError(f"{where} is not a file that this version reads: {reason}{at}.") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise WeightsError(f"{where} is not a file that this version reads: {error}.") from error
