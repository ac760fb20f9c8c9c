"""Knowledge distillation: a part of every target is what trained networks say of the picture.

Hinton et al. 2015, arXiv 1503.02531. The teachers read each augmented picture anew, as Beyer et al. 2022,
arXiv 2106.05237, found best ("consistent teaching"), erased boxes included; what masks hide or `--upper` cuts
off they still see, and their answers are mixed like labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, WeightsError
from fer_space.registry import backbone_spec
from fer_space.training.config import Precision
from fer_space.weights import Card, filled, load_backbone, read_card


class Teacher(NamedTuple):
    """A trained network, its card, and the card's bias float32 (8,) on the network's device."""

    network: Backbone
    card: Card
    bias: Tensor

    @classmethod
    def of(cls, network: Backbone, card: Card, device: torch.device) -> "Teacher":
        """A teacher on a device."""
        network = network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        return cls(network, card, torch.tensor(card.bias).to(device))

    def read(self, pictures: Tensor, precision: Precision = "fp32") -> Tensor:
        """Pictures (B, C, S, S), values 0 to 255 -> calibrated probabilities float32 (B, 8)."""
        inputs = self.card.preprocess.see(pictures)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = self.network(inputs).logits
        return ((logits.float() + self.bias) / self.card.temperature).softmax(dim=1)


@dataclass(frozen=True, eq=False)
class Teaching:
    """Targets from teachers.

    Attributes:
        teachers: one or more; their probabilities are averaged.
        share: of the teachers in a target, 0 to 1; the labels have the rest.
        precision: in which they read.
    """

    teachers: Sequence[Teacher]
    share: float
    precision: Precision = "fp32"

    @torch.no_grad()
    def apply(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """Pictures float (B, C, S, S), values 0 to 255, and targets (B, 8) -> targets (B, 8)."""
        said = torch.stack([teacher.read(pictures, self.precision) for teacher in self.teachers]).mean(dim=0)
        return torch.lerp(targets, said, self.share)


def load_teachers(names: str, device: torch.device) -> list[Teacher]:
    """The backbones of a list with commas: names in the folder of weights, folders of finished runs, or
    .safetensors files with their cards beside them.

    Raises WeightsError when one is not there, InputError when one does not know all eight emotions.
    """
    teachers = []
    for name in (word.strip() for word in names.split(",")):
        network, card = _load(name)
        if card.labels != EMOTIONS:
            raise InputError(f"--teachers: {name} does not know all {len(EMOTIONS)} emotions.")
        teachers.append(Teacher.of(network, card, device))
    return teachers


def _load(name: str) -> tuple[Backbone, Card]:
    path = Path(name)
    if path.is_dir():
        return _from_file(path / "best.safetensors", path / "card.json")
    if path.suffix == ".safetensors":
        return _from_file(path, path.with_suffix(".json"))
    card = read_card(name)
    return load_backbone(card), card


def _from_file(weights: Path, described: Path) -> tuple[Backbone, Card]:
    for path in (weights, described):
        if not path.is_file():
            raise WeightsError(f"--teachers: there is no {path}.")
    card = Card.from_json(described.read_text(encoding="utf-8"), str(described))
    return filled(backbone_spec(card.name), card, weights), card
