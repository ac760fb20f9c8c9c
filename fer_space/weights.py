"""Weights and their cards: find, verify, load strictly, save.

`weights/NAME.safetensors` holds the tensors, `weights/NAME.json` the card: all that the loader needs and
what a person should know before trusting the model. Nothing is inferred from names and nothing is ever
unpickled.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import BACKBONES, BackboneSpec, backbone_spec
from fer_space.emotions import EMOTIONS
from fer_space.errors import WeightsError
from fer_space.files import sha256_of as sha256_of
from fer_space.registry import look_up
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

CROP_SIZE = 224
WEIGHTS_DIR = Path(os.environ.get("FER_SPACE_WEIGHTS", Path(__file__).parent.parent / "weights"))


@dataclass(frozen=True)
class Card:
    """What travels with a backbone's weights.

    Attributes:
        name: of the files and of the backbone in the registry.
        architecture: what the registry builds for that name, "module:function".
        labels: emotions in the order of the head's outputs.
        preprocess, crop: how a photo becomes the network's input.
        bias: added to the logits, one number a label: the post-hoc logit adjustment that lifts rare
            emotions, chosen on the validation split.
        temperature: divides the sum before the softmax; fitted on the validation split.
        lift: of the second operating point, one number a label: added to the log probabilities, it lifts
            rare emotions as far as a point of accuracy pays for (`fer-space test --fit-lift`); () was not
            fitted.
        affect: whether the head reads valence and arousal.
        weight: how much it counts in the weighted mean of several, at least 0; those of all backbones are
            fitted together on the validation split, and 0 was not fitted.
        parameters: number of weights and biases.
        sha256: of the .safetensors file, hexadecimal.
        data, licence, command: what it learned from, what one may do with it, how to make it again.
        results: measurements by `setting_of`, each with the command and date that made it.
    """

    name: str
    architecture: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    crop: CropRule
    bias: tuple[float, ...]
    temperature: float
    parameters: int
    sha256: str
    data: str
    licence: str
    command: str
    affect: bool = False
    weight: float = 0.0
    lift: tuple[float, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.temperature > 0.0:
            raise WeightsError(f"The card of {self.name} has a temperature that is not positive.")
        if not self.weight >= 0.0:
            raise WeightsError(f"The card of {self.name} has a weight that is below 0.")
        if len(set(self.labels)) < max(len(self.labels), 2) or not set(self.labels) <= set(EMOTIONS):
            raise WeightsError(f"The card of {self.name} must name two emotions or more, none of them twice.")
        if len(self.bias) != len(self.labels):
            raise WeightsError(f"The card of {self.name} needs one bias a label.")
        if self.lift and len(self.lift) != len(self.labels):
            raise WeightsError(f"The card of {self.name} needs one lift a label, or none.")

    @property
    def title(self) -> str:
        """How the page and tables write the backbone's name."""
        return look_up(self.name).title

    @property
    def crop_size(self) -> int:
        """Side in pixels of the crops that are cut for it: 224, unless the network reads larger ones."""
        return max(CROP_SIZE, self.preprocess.native_size)

    @property
    def places(self) -> tuple[int, ...]:
        """Where the labels have each of `EMOTIONS`; -1 for one that they lack."""
        return tuple(self.labels.index(e) if e in self.labels else -1 for e in EMOTIONS)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Calibrated probabilities float64 (N, K) of logits (N, K)."""
        bias = torch.tensor(self.bias, dtype=torch.float64, device=logits.device)
        return ((logits.double() + bias) / self.temperature).softmax(dim=1)

    def lifted(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Probabilities float64 (N, K) at the second operating point; rows of zeros stay so."""
        if not self.lift:
            return probabilities
        raised = probabilities * torch.tensor(self.lift, dtype=torch.float64).exp()
        total = raised.sum(dim=1, keepdim=True)
        return raised / torch.where(total > 0.0, total, 1.0)

    def to_json(self) -> str:
        """The card as it is stored."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Card":
        """Read a card; raises WeightsError naming the file `where` when a field is missing or wrong."""
        try:
            values = json.loads(text)
            values["labels"], values["bias"] = tuple(values["labels"]), tuple(values["bias"])
            values["lift"] = tuple(values.get("lift", ()))
            preprocess = values["preprocess"]
            preprocess["mean"], preprocess["std"] = tuple(preprocess["mean"]), tuple(preprocess["std"])
            values["preprocess"] = Preprocess(**preprocess)
            values["crop"] = CropRule(**values["crop"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{where} is not a card that this version reads: {error}.") from error


def setting_of(
    data: str,
    split: str,
    detector: str | None = None,
    occlusion: str | None = None,
    *,
    flip: bool = True,
    lift: bool = False,
) -> str:
    """What was read and how, in words for people: the key of a measurement in `Card.results`.

    Args:
        data: name of the data set.
        split: one of its splits.
        detector: the detector that was used, or None where pictures were taken as face crops.
        occlusion: what covered every face, or None.
        flip: whether every face was read together with its mirror image.
        lift: whether rare emotions were lifted.
    """
    parts = [f"{data} {split}"]
    parts += [f"detected by {detector}"] if detector else []
    parts += [f"occluded: {occlusion}"] if occlusion else []
    parts += [] if flip else ["without flip"]
    return ", ".join(parts + (["rare emotions lifted"] if lift else []))


def robustness_of(results: Mapping[str, Any], covers: Iterable[str]) -> dict[str | None, dict[str, Any]]:
    """What was measured of FERPlus test faces, by what covered them; None, the free face, comes first.

    Args:
        results: as in `Card.results`.
        covers: names of the occlusions to look for; those that were not measured are left out.
    """
    settings = {cover: setting_of("ferplus", "test", occlusion=cover) for cover in (None, *covers)}
    return {cover: results[setting] for cover, setting in settings.items() if setting in results}


def paths_of(name: str, folder: Path = WEIGHTS_DIR) -> tuple[Path, Path]:
    """Paths of the tensors and of the card of a backbone, whether they exist or not."""
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def available(folder: Path = WEIGHTS_DIR) -> tuple[str, ...]:
    """Names of the backbones whose weights and card are here, in the order of the registry."""
    return tuple(name for name in BACKBONES if all(path.is_file() for path in paths_of(name, folder)))


def read_card(name: str, folder: Path = WEIGHTS_DIR) -> Card:
    """Read the card of a backbone; raises WeightsError when there is none or it is broken."""
    _, path = paths_of(backbone_spec(name).name, folder)
    if not path.is_file():
        raise WeightsError(f"There are no weights for {name} in {folder}. Train it, or copy them there.")
    card = Card.from_json(path.read_text(encoding="utf-8"), path.name)
    if card.name != name:
        raise WeightsError(f"{path.name} is the card of {card.name}, not of {name}.")
    return card


def load_backbone(card: Card, folder: Path = WEIGHTS_DIR) -> Backbone:
    """Build the network of a card on the CPU in float32, ready for reading.

    Raises:
        WeightsError: the file is missing, is not the one that the card describes (sha256), or its
            tensors are not exactly those of the network.
    """
    path, _ = paths_of(card.name, folder)
    if not path.is_file():
        raise WeightsError(f"{path.name} is missing in {folder}.")
    spec = backbone_spec(card.name)
    if card.architecture != spec.target:
        raise WeightsError(f"{card.name} is {spec.target} here, but its card is for {card.architecture}.")
    return filled(spec, card, path)


def filled(spec: BackboneSpec, card: Card, path: Path) -> Backbone:
    """Build the network of `spec` and fill it from a .safetensors file; see `load_backbone`."""
    check_sha256(card, path)
    backbone = spec.build(len(card.labels), card.affect)
    try:
        tensors = {name: _widened(tensor) for name, tensor in load_file(path).items()}
        backbone.load_state_dict(tensors, strict=True)
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path.name} does not fit the network of {card.name}.") from error
    return backbone.for_reading().eval().requires_grad_(False)


def check_sha256(card: Card, path: Path) -> None:
    """Raise WeightsError unless a file is the one that its card describes."""
    if sha256_of(path) != card.sha256:
        raise WeightsError(f"{path.name} is damaged or is not the file that its card describes (sha256).")


def save_card(card: Card, folder: Path = WEIGHTS_DIR) -> None:
    """Write a card beside its weights."""
    paths_of(card.name, folder)[1].write_text(card.to_json(), encoding="utf-8")


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, *, half: bool) -> str:
    """Write tensors as safetensors, as `stored` has them; returns the file's sha256."""
    save_file({name: tensor.contiguous() for name, tensor in stored(tensors, half=half).items()}, path)
    return sha256_of(path)


def stored(tensors: Mapping[str, torch.Tensor], *, half: bool) -> dict[str, torch.Tensor]:
    """Tensors as a file holds them: in fp32, or weights in fp16 if `half`.

    Vectors stay in fp32: they cost nothing, and a running variance may be too large for fp16.
    """
    return {name: _narrowed(tensor) if half else _widened(tensor) for name, tensor in tensors.items()}


def _narrowed(tensor: torch.Tensor) -> torch.Tensor:
    fits = (
        tensor.is_floating_point() and tensor.ndim > 1 and tensor.abs().max() <= torch.finfo(torch.half).max
    )
    return tensor.half() if fits else _widened(tensor)


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
