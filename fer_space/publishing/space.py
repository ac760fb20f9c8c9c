"""The folder of the Space: what a checkout holds that a Space needs, under the Space's own rules.

A Space installs `requirements.txt` alone; here that is the lock file, so that a Space that is built again is
the same Space. Large files go through Git LFS or Xet, which only the Space's own `.gitattributes` says: a
checkout stores them as they are.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fer_space.errors import InputError
from fer_space.files import write_text

PARTS = ("app.py", "LICENSE", "README.md", "docs", "examples", "fer_space", "weights")
LOCK = "requirements.lock"
LARGE = ("*.safetensors", "*.jpg", "*.png", "*.webp")
_RULE = "{pattern} filter=lfs diff=lfs merge=lfs -text\n"


def write_space(checkout: Path, target: Path, *, parts: Sequence[str] = PARTS) -> Path:
    """Write a Space's files into a new folder.

    Args:
        checkout: the root of the repository.
        target: a folder that is not there or is empty.
        parts: files and folders of the checkout that are copied.

    Returns:
        The folder; `hf upload OWNER/NAME FOLDER . --repo-type space` makes a Space of it.

    Raises:
        InputError: this is no checkout, or the folder holds something.
    """
    if missing := [name for name in (*parts, LOCK) if not (checkout / name).exists()]:
        raise InputError(f"A Space is published from a checkout: {missing[0]} is missing in “{checkout}”.")
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"“{target}” is not empty.")
    target.mkdir(parents=True, exist_ok=True)
    for name in parts:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copyfile(source, target / name)
    shutil.copyfile(checkout / LOCK, target / "requirements.txt")
    write_text(target / ".gitattributes", "".join(_RULE.format(pattern=pattern) for pattern in LARGE))
    return target
