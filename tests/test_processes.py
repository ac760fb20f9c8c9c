"""Other processes: a fork after models were loaded ends in a sentence; an engine can be sent to a new one."""

import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from fer_space.card import Card
from fer_space.engine import Engine

PROGRAM = """
import os, pickle, signal, sys
import numpy as np
from fer_space import Engine, load_image, load_model
from fer_space.errors import InputError

photo = load_image("examples/astronaut.jpg")
engine = Engine(device="cpu")
model = load_model("efficientnet_lite0", device="cpu")
names = ["efficientnet_lite0"]
{before}
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    sys.exit()
signal.alarm(60)  # a child that hangs is killed, and its parent fails
for work in (
    lambda: engine.compare(photo, backbones=names),
    lambda: Engine(device="cpu").compare(photo, backbones=names),
    lambda: Engine(device="cpu").detect(photo),
    lambda: model.predict([photo]),
):
    try:
        work()
    except InputError as error:
        print(error)
    else:
        print("answered")
sys.stdout.flush()
os._exit(0)
"""


def forked(before: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROGRAM).format(before=before)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_after_models_were_loaded_says_at_once_what_to_do() -> None:
    lines = forked("engine.compare(photo, backbones=names)")
    assert len(lines) == 4
    assert all("after the fork" in line and "spawn" in line for line in lines)


def test_an_engine_is_pickled_as_what_it_was_made_of(tiny_weights: tuple[Path, Card]) -> None:
    folder, _ = tiny_weights
    engine = Engine(folder, "cpu")
    engine.preload()
    again = pickle.loads(pickle.dumps(engine))
    assert again.registry.weights_dir == folder
    assert again.device == engine.device
    assert again.backbones == engine.backbones
