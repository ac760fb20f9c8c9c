"""Fixtures for every test: the tiny backbone is registered, and what tests use has its own folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import settings

from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.runtime.device import RUNTIME_VARIABLE
from tests.networks import TINY, lively_tiny, write_weights

# The machine may be busy: properties are judged by their answers, not by their time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="module")
def ordinary_priority() -> Iterator[None]:
    """No file of tests leaves its process with a priority that starves the other worker."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(os.getpid()) == os.SCHED_OTHER


@pytest.fixture(autouse=True, scope="session")
def nothing_fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this machine has fetched or converted is no part of any test."""
    with pytest.MonkeyPatch.context() as patch:
        assets = str(tmp_path_factory.mktemp("assets"))
        patch.setattr(constants, "HF_ASSETS_CACHE", assets)
        patch.setenv("HF_ASSETS_CACHE", assets)  # for child processes
        patch.delenv(FOLDER_VARIABLE, raising=False)
        patch.setenv(RUNTIME_VARIABLE, "torch")  # answers do not depend on what was converted before
        yield


@pytest.fixture
def tiny() -> Iterator[str]:
    """Put the tiny backbone into the registry for one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, TINY.name, TINY)
        yield TINY.name


@pytest.fixture
def tiny_weights(tiny: str, tmp_path: Path) -> tuple[Path, Card]:
    """A folder of weights that holds the tiny backbone alone, and its card."""
    folder = tmp_path / "weights"
    return folder, write_weights(folder, lively_tiny())
