import ctypes
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fer_space.card import Card
from fer_space.commands import models
from fer_space.errors import InputError
from fer_space.evaluation import footprint as module
from fer_space.evaluation.footprint import Footprint, footprint, measure
from fer_space.memory import give_back_memory
from fer_space.registry import Registry
from tests.running import run

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells")


def test_what_is_kept_counts_and_what_is_given_back_does_not():
    kept: list[np.ndarray] = []

    def load() -> object:
        kept.append(np.ones(4_000_000))  # 32 MB
        np.ones(16_000_000)
        give_back_memory()  # as `load_model` does: a test before this one may have told malloc to keep it
        return lambda: kept.append(np.ones(2_000_000))

    found = measure(load)
    assert 31.0 < found.loaded < 40.0
    assert 47.0 < found.answered < 60.0


def test_a_small_model_is_measured_in_a_process_of_its_own():
    found = footprint("model", "human_emotion")
    assert 0.5 < found.loaded < found.answered < 60.0


def test_a_model_that_is_not_here_is_named():
    with pytest.raises(InputError, match="There is no model “enormous”"):
        footprint("model", "enormous")


def test_a_line_for_every_detector_and_model(
    tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(models, "Registry", partial(Registry, tiny_weights[0]))
    monkeypatch.setattr(module, "footprint", lambda kind, name: Footprint(1.0, 2.0))
    run("models", "--memory")
    lines = capsys.readouterr().out.splitlines()
    assert "dlib: 1.0 MB loaded, 2.0 MB with its first answer" in lines
    assert "tiny: 1.0 MB loaded, 2.0 MB with its first answer" in lines


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone can give it back")
def test_freed_memory_goes_back_to_the_system():
    small = [bytearray(100_000) for _ in range(400)]  # 40 MB, too small to be mapped alone
    last = bytearray(100)
    full = module.resident()
    small.clear()
    give_back_memory()
    assert full - module.resident() > 30_000_000
    del last


def test_a_model_that_takes_too_long_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SECONDS", 0.01)
    with pytest.raises(InputError, match=r"mobilenet_v2 was not measured within 0\.01 seconds"):
        module.footprint("model", "mobilenet_v2")
