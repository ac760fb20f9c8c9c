"""Examples in docstrings are run, in the order of the modules that have some."""

import doctest
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
NAMES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "fer_space").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_examples():
    assert {"fer_space.card", "fer_space.engine", "fer_space.model"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_examples_say_what_happens(name: str, monkeypatch: pytest.MonkeyPatch):
    from fer_space import load_image

    monkeypatch.chdir(ROOT)
    known = {"np": np, "load_image": load_image, "Path": Path, "os": os}
    result = doctest.testmod(
        import_module(name), extraglobs=known, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted > 0
    assert result.failed == 0
