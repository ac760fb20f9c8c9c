"""A user's own models: FER_SPACE_OWN names a folder with NAME.json beside NAME.onnx or NAME.safetensors.

NAME.json is a card as in the folder of weights. Its "architecture" says what the file is: "onnx" for a
graph, or a network that is built here ("fer_space.backbones.efficientnet:build_lite0") for
safetensors, such as a run of `fer-space train` leaves (card.json and best.safetensors, renamed). Nothing else
is ever imported or run.
"""

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "FER_SPACE_OWN"
ONNX = "onnx"  # the "architecture" of a card that describes a graph


@dataclass(frozen=True)
class UserFiles:
    """The two files of one of the user's own models.

    Attributes:
        name: stem of both.
        card: path of the card.
        weights: path of the .onnx or .safetensors file.
    """

    name: str
    card: Path
    weights: Path


def user_files() -> tuple[dict[str, UserFiles], dict[str, str]]:
    """Find the models in the folder that FER_SPACE_OWN names.

    Returns:
        The models by name, none where the variable is not set; and by name of a file or of the variable, a
        sentence that says what is wrong with it.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return {}, {}
    folder = Path(named)
    if not folder.is_dir():
        return {}, {FOLDER_VARIABLE: f"{FOLDER_VARIABLE} names “{folder}”, which is no folder."}
    found: dict[str, UserFiles] = {}
    problems: dict[str, str] = {}
    for path in sorted([*folder.glob("*.onnx"), *folder.glob("*.safetensors")]):
        card = path.with_suffix(".json")
        if not card.is_file():
            continue
        if path.stem in found:
            del found[path.stem]
            problems[path.stem] = (
                f"“{folder}” holds two files named {path.stem}: keep the one of {card.name}."
            )
        else:
            found[path.stem] = UserFiles(path.stem, card, path)
    return found, problems
