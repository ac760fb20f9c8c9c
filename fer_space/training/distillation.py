"""Knowledge distillation: a part of every target is what trained models say of the picture.

Hinton et al. 2015, arXiv 1503.02531. The teachers answer each augmented picture anew, as Beyer et al. 2022,
arXiv 2106.05237, found best ("consistent teaching"), erased boxes included; what masks hide, `--upper` cuts
off or a camera spoils they still see, and their answers are mixed like labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.external.published import FOLDER
from fer_space.external.specs import colour_of
from fer_space.external.user import UserFiles
from fer_space.model import Model, load_model
from fer_space.registry import UserModel


@dataclass(frozen=True, eq=False)
class Teaching:
    """Mix the answers of teachers into targets.

    Attributes:
        teachers: one or more; their probabilities are averaged.
        share: of the teachers in a target, 0 to 1; the labels have the rest.
        native_size: side that the pictures were reduced to before; 0 for none that is known.
    """

    teachers: Sequence[Model]
    share: float
    native_size: int = 0

    @torch.no_grad()
    def apply(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """Ask the teachers about pictures, where these lie.

        Args:
            pictures: float (B, C, S, S), values 0 to 255, on the teachers' device.
            targets: float (B, 8), on the same one.

        Returns:
            New targets float (B, 8).
        """
        said = [teacher.distribution(pictures, self.native_size) for teacher in self.teachers]
        return torch.lerp(targets, torch.stack(said).mean(dim=0), self.share)


def load_teachers(names: str, device: torch.device) -> list[Model]:
    """Load the teachers of a run.

    Args:
        names: with commas between them: models by name, folders of finished runs, or .safetensors files with
            their cards beside them.
        device: where they answer; on CUDA in half precision.

    Raises:
        WeightsError: one is not there, or damaged.
        InputError: one does not know all eight emotions.
    """
    teachers = []
    for name in (word.strip() for word in names.split(",")):
        teacher = load_any(name, device)
        if teacher.card.labels != EMOTIONS:
            raise InputError(f"--teachers: {name} does not know all {len(EMOTIONS)} emotions.")
        teachers.append(teacher)
    return teachers


def load_any(name: str, device: torch.device) -> Model:
    """Load a model by name, by the folder of its run, or by its file."""
    path = Path(name)
    if path.suffix == ".safetensors":
        files = UserFiles(path.stem, path.with_suffix(".json"), path)
        source = UserModel(path.stem, path.stem, colour_of(path.stem), "user", files)
        return Model(source.card(), source, device)
    where = f"{FOLDER}{name}" if path.is_dir() else name
    return load_model(where, device=device.type, runtime="torch")
