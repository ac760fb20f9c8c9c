"""What is known of an outside model before it is here: `OutsideSpec`, and those of `manifest.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Literal
from zlib import crc32

from fer_space.emotions import EMOTIONS
from fer_space.errors import WeightsError
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

HUB = "hub:"  # a model of the Hugging Face Hub is named hub:OWNER/REPO

_COLOURS = ("#4d7c0f", "#0f766e", "#6d28d9", "#a21caf", "#b45309", "#1d4ed8")


@dataclass(frozen=True)
class OutsideSpec:
    """One outside model: where it comes from, what one may do with it, and how it is read.

    Attributes:
        name: what it is called on the command line; no backbone of the registry has it.
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
    max_bytes: int
    licence: str
    data: str
    labels: tuple[str, ...]
    affect: bool
    parameters: int
    preprocess: Preprocess
    crop: CropRule
    colour: str

    def __post_init__(self) -> None:
        if not self.labels or any(label not in EMOTIONS for label in self.labels):
            raise ValueError(f"{self.name} needs labels, and each must be an emotion: {self.labels}")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"{self.name} names an emotion twice: {self.labels}")

    def to_values(self) -> dict[str, Any]:
        """The spec as it is written in a JSON file."""
        return asdict(self)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "OutsideSpec":
        """Read a spec of a JSON file; raises WeightsError when a field is missing or wrong."""
        try:
            preprocess: dict[str, Any] = {
                k: tuple(v) if isinstance(v, list) else v for k, v in values["preprocess"].items()
            }
            parts = {
                "labels": tuple(values["labels"]),
                "preprocess": Preprocess(**preprocess),
                "crop": CropRule(**values["crop"]),
            }
            return cls(**{**values, **parts})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"An outside model is described in a way not known here: {error}.") from error


def colour_of(name: str) -> str:
    """A colour for a model that nobody chose one for, always the same."""
    return _COLOURS[crc32(name.encode()) % len(_COLOURS)]


def _manifest() -> dict[str, OutsideSpec]:
    text = files("fer_space.external").joinpath("manifest.json").read_text(encoding="utf-8")
    specs = [OutsideSpec.from_values(values) for values in json.loads(text)]
    return {spec.name: spec for spec in specs}


MANIFEST: dict[str, OutsideSpec] = _manifest()
