"""What is known of an external model before it is here: `ExternalSpec`, and those of `manifest.json`."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Annotated, Any, Literal, Self
from zlib import crc32

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from fer_space.card import Card, Emotion, Record
from fer_space.errors import WeightsError
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

HUB = "hub:"  # a model of the Hugging Face Hub is named hub:OWNER/REPO

_COLOURS = ("#4d7c0f", "#0f766e", "#6d28d9", "#a21caf", "#b45309", "#1d4ed8")


class ExternalSpec(Record):
    """One external model: where it comes from, what one may do with it, and how it is read.

    Attributes:
        name: what it is called on the command line; no backbone has it.
        title, colour: how the page writes and marks it.
        kind: "onnx", one file behind a URL, or "hub", a repository of the Hugging Face Hub.
        source: the URL, or "OWNER/REPO".
        revision: commit of the source; "" takes a repository's newest, which is recorded when it is fetched.
        sha256: of the file with the weights, or "" where it is not known before the first fetch.
        max_bytes: no more is fetched.
        licence, data: what one may do with it, what it learned from.
        labels: emotions in the order of its outputs.
        affect: whether valence and arousal follow as its last two outputs.
        parameters: number of weights and biases.
        preprocess, crop: how a photo becomes its input.
    """

    name: str
    title: str
    kind: Literal["onnx", "hub"]
    source: str
    revision: str
    sha256: str
    max_bytes: Annotated[int, Field(gt=0)]
    licence: str
    data: str
    labels: Annotated[tuple[Emotion, ...], Field(min_length=2)]
    affect: bool
    parameters: int
    preprocess: Preprocess
    crop: CropRule
    colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels name an emotion twice")
        return self

    def card(self, sha256: str, config_sha256: str = "") -> Card:
        """Write the card of the fetched model; nothing was calibrated here.

        Args:
            sha256: of the file with the weights.
            config_sha256: of the file that says what network they belong to, where there is one.
        """
        return Card(
            name=self.name,
            architecture=f"{self.kind}:{config_sha256}" if config_sha256 else self.kind,
            labels=self.labels,
            preprocess=self.preprocess,
            crop=self.crop,
            bias=(0.0,) * len(self.labels),
            temperature=1.0,
            parameters=self.parameters,
            sha256=self.sha256 or sha256,
            data=self.data,
            licence=self.licence,
            command=f"fer-space fetch {self.name}",
            affect=self.affect,
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "ExternalSpec":
        """Read a spec of a JSON file; raises WeightsError when a field is missing or wrong."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise WeightsError(
                f"An external model is described in a way not known here: {first['msg']} ({place})."
            ) from error


def colour_of(name: str) -> str:
    """Choose a colour for a model that nobody chose one for, always the same."""
    return _COLOURS[crc32(name.encode()) % len(_COLOURS)]


def _manifest() -> dict[str, ExternalSpec]:
    text = files("fer_space.external").joinpath("manifest.json").read_bytes()
    return {spec.name: spec for spec in TypeAdapter(list[ExternalSpec]).validate_json(text)}


MANIFEST: dict[str, ExternalSpec] = _manifest()
