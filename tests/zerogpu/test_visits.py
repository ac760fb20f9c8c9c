"""On ZeroGPU, with the real `spaces` package and a made-up service: one lease an action, and sentences."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fer_space.ui.lending import ABORTED, LONGEST, seconds_to_read, seconds_to_slide
from fer_space.ui.reading import FACES
from fer_space.ui.session import UNFORESEEN
from tests.toys import MISSING

ROOT = Path(__file__).parents[2]
Met = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def visits() -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "SPACES_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.zerogpu.visits"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def met(visits: dict[str, Any]) -> Met:
    return visits["met"]


def test_no_gpu_is_asked_for_before_somebody_asks_for_an_answer(visits: dict[str, Any]) -> None:
    assert visits["opened"] == 0


@pytest.mark.parametrize("action", ["read", "cover", "slide", "mix", "crowd", "program", "leave"])
def test_an_action_takes_one_lease_and_gives_it_back(met: Met, action: str) -> None:
    assert len(met[action]["seconds"]) == 1
    assert met[action]["failed"] == [False]


@pytest.mark.parametrize("frames", ["camera", "clip"])
def test_frames_are_read_without_a_lease(met: Met, frames: str) -> None:
    assert met[frames]["seconds"] == []


def test_what_was_done_on_the_lent_gpu_arrives(met: Met) -> None:
    assert (met["read"]["faces"], met["read"]["models"]) == (1, 3)
    assert met["cover"]["covered"] == 1
    assert met["slide"]["slid"] == 3
    assert met["mix"]["mixed"] == 3
    assert (met["crowd"]["faces"], met["crowd"]["models"]) == (FACES, 3)


def test_more_work_asks_for_more_time_up_to_a_bound(met: Met) -> None:
    assert met["read"]["seconds"] < met["crowd"]["seconds"]
    assert met["slide"]["seconds"] == [seconds_to_slide(None, None, backbones=["a", "b", "c"])]
    assert seconds_to_read(None, range(200), backbones=["a"] * 20, method="eigencam") == LONGEST


@pytest.mark.parametrize(
    ("visit", "sentence"),
    [
        ("missing", MISSING),
        ("unforeseen", UNFORESEEN),
        ("killed", ABORTED),
        ("quota", "exceeded your free ZeroGPU quota"),
        ("illegal", "larger than the maximum allowed"),
        ("pending", "too many ZeroGPU credits allocated"),
        ("no gpu", "no GPU was available"),
        ("expired", "expired"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_the_picture_stays(met: Met, visit: str, sentence: str) -> None:
    assert sentence in met[visit]["problem"]
    assert "worker error" not in met[visit]["problem"]
    assert "http" not in met[visit]["problem"]
    assert met[visit]["picture"]


@pytest.mark.parametrize("visit", ["again", "at last"])
def test_the_next_try_works(met: Met, visit: str) -> None:
    assert met[visit]["problem"] == ""
    assert met[visit]["models"] == 3
