"""Pictures, and an engine with the tiny backbone that finds one face in each."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card
from fer_space.commands import models, predict
from fer_space.commands import test as test_command
from fer_space.engine import Engine
from fer_space.registry import Registry
from fer_space.types import Face
from tests.networks import TINY, lively_tiny, write_weights


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def seeing(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights that every command uses; one face is found in every picture."""
    folder, _ = tiny_weights
    monkeypatch.setattr(Engine, "detect", lambda self, image, **how: [Face((5, 5, 45, 50), 0.9)])
    monkeypatch.setattr(predict, "Engine", partial(Engine, folder))
    monkeypatch.setattr(test_command, "Engine", partial(Engine, folder))
    monkeypatch.setattr(models, "Registry", partial(Registry, folder))
    return folder


@pytest.fixture
def two_backbones(seeing: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder with a second backbone, "small"."""
    monkeypatch.setitem(BACKBONES, "small", replace(TINY, name="small"))
    write_weights(seeing, lively_tiny(1), name="small")
    return seeing


@pytest.fixture
def faces(tmp_path: Path) -> str:
    """The KIND:PATH of three pictures in each of three splits; one of them is in all."""
    folder = tmp_path / "a folder of faces"
    rng = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        for emotion in ("happy", "sad", "angry"):
            pixels = np.random.default_rng(7) if emotion == "sad" else rng
            place = folder / split / emotion
            place.mkdir(parents=True)
            Image.fromarray(pixels.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(place / "a.png")
    return f"folder:{folder}"
