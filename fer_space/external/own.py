"""A user's own models: FER_SPACE_OWN names a folder with NAME.json beside NAME.onnx or NAME.safetensors.

NAME.json is a card as in the folder of weights. Its "architecture" says what the file is: "onnx" for a graph,
or a network of the registry ("fer_space.backbones.efficientnet:build_lite0") for safetensors, such as a run
of `fer-space train` leaves (card.json and best.safetensors, renamed). Nothing else is ever imported or run.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from fer_space.errors import InputError
from fer_space.external.specs import MANIFEST, colour_of

FOLDER_VARIABLE = "FER_SPACE_OWN"
ONNX = "onnx"  # the "architecture" of a card that describes a graph


@dataclass(frozen=True)
class OwnSpec:
    """One of the user's own models.

    Attributes:
        name: stem of its two files.
        card: path of the card.
        weights: path of the .onnx or .safetensors file.
    """

    name: str
    card: Path
    weights: Path

    @property
    def title(self) -> str:
        """How the page and tables write it."""
        return self.name

    @property
    def colour(self) -> str:
        """Hex colour that marks it on the page."""
        return colour_of(self.name)


def own_specs() -> dict[str, OwnSpec]:
    """The models in the folder that FER_SPACE_OWN names, by name; none where it is not set.

    Raises:
        InputError: the folder is not there, holds both files for one name, or uses a name of the manifest.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return {}
    folder = Path(named)
    if not folder.is_dir():
        raise InputError(f"{FOLDER_VARIABLE} names “{folder}”, which is no folder.")
    found: dict[str, OwnSpec] = {}
    for path in sorted([*folder.glob("*.onnx"), *folder.glob("*.safetensors")]):
        card = path.with_suffix(".json")
        if not card.is_file():
            continue
        if path.stem in MANIFEST:
            raise name_taken(path.stem)
        if path.stem in found:
            raise InputError(f"“{folder}” holds two files named {path.stem}: keep the one of {card.name}.")
        found[path.stem] = OwnSpec(path.stem, card, path)
    return found


def name_taken(name: str) -> InputError:
    """The error for a model of the user's that has the name of another."""
    return InputError(f"{FOLDER_VARIABLE} holds a model named {name}, a name taken here: rename its files.")
