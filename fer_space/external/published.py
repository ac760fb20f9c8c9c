"""Models that lie in a folder of their own: published ones, runs, or a copied pair of files.

A folder that `fer-space publish` wrote, here or on the Hub, holds `fer_space.json`, the card, and
`fer_space.safetensors`, the file that the card's sha256 describes. The rest is for other programs.
"""

from pathlib import Path

from fer_space.errors import InputError

FOLDER = "folder:"  # a model of a folder is named folder:PATH
CARD_FILE = "fer_space.json"
WEIGHTS_FILE = "fer_space.safetensors"
_PAIRS = ((WEIGHTS_FILE, CARD_FILE), ("best.safetensors", "card.json"))


def folder_of(name: str) -> Path | None:
    """The folder that a model's name means, or None where it means something else.

    Example:
        >>> folder_of("folder:runs/mine"), folder_of("./mine"), folder_of("dan")
        (PosixPath('runs/mine'), PosixPath('mine'), None)
    """
    if name.startswith(FOLDER):
        return Path(name.removeprefix(FOLDER)).expanduser()
    return Path(name).expanduser() if name.startswith(("./", "../", "/", "~/")) else None


def pair_in(folder: Path) -> tuple[Path, Path]:
    """Find the weights and the card of a folder that holds one model.

    Raises:
        InputError: there is no such folder, no model in it, or more than one.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder “{folder}”.")
    for names in _PAIRS:
        weights, card = (folder / name for name in names)
        if weights.is_file() and card.is_file():
            return weights, card
    found = [path for ending in ("*.safetensors", "*.onnx") for path in sorted(folder.glob(ending))]
    pairs = [(path, path.with_suffix(".json")) for path in found if path.with_suffix(".json").is_file()]
    if len(pairs) != 1:
        many = f"{len(pairs)} models" if pairs else "no model"
        raise InputError(f"“{folder}” holds {many}: one card (.json) beside its weights is wanted.")
    return pairs[0]
