"""Knowledge distillation: a part of every target is what trained networks say of the picture.

Hinton et al. 2015, arXiv 1503.02531. The teachers read each augmented picture anew, as Beyer et al. 2022,
arXiv 2106.05237, found best ("consistent teaching"), erased boxes included; what masks hide or `--upper` cuts
off they still see, and their answers are mixed like labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.weights import Card, load_backbone, read_card


class Teacher(NamedTuple):
    """A trained network and its card."""

    network: Backbone
    card: Card

    def read(self, pictures: Tensor) -> Tensor:
        """Pictures (B, C, S, S), values 0 to 255 -> calibrated probabilities float32 (B, 8) on the CPU."""
        logits = self.network(self.card.preprocess.see(pictures)).logits
        return self.card.probabilities(logits.cpu()).float()


@dataclass(frozen=True, eq=False)
class Teaching:
    """Targets from teachers.

    Attributes:
        teachers: one or more; their probabilities are averaged.
        share: of the teachers in a target, 0 to 1; the labels have the rest.
    """

    teachers: Sequence[Teacher]
    share: float

    @torch.no_grad()
    def apply(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """Pictures float (B, C, S, S), values 0 to 255, and targets (B, 8), on the CPU -> targets (B, 8)."""
        there = pictures.to(next(self.teachers[0].network.parameters()).device)
        said = torch.stack([teacher.read(there) for teacher in self.teachers]).mean(dim=0)
        return torch.lerp(targets, said, self.share)


def load_teachers(names: str, device: torch.device) -> list[Teacher]:
    """The backbones of a list with commas, from the folder of weights.

    Raises WeightsError when one is not there, InputError when one does not know all eight emotions.
    """
    teachers = []
    for name in names.split(","):
        card = read_card(name.strip())
        if card.labels != EMOTIONS:
            raise InputError(f"--teachers: {card.name} does not know all {len(EMOTIONS)} emotions.")
        network = load_backbone(card).to(device).to(memory_format=torch.channels_last)
        teachers.append(Teacher(network, card))
    return teachers
