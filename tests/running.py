"""The command line, called from tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from fer_space import cli


def run(*words: object, status: int = 0) -> None:
    """Run a command and check its exit status."""
    assert cli.main([str(word) for word in words]) == status


def is_drawn(path: Path) -> bool:
    """Whether a file holds a picture that is not of one colour."""
    with Image.open(path) as picture:
        return picture.format == "PNG" and np.asarray(picture.convert("L")).std() > 5.0
