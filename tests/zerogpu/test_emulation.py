"""Before a GPU is lent, torch only pretends to have one; models are moved to it all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CODE = """
import spaces
from spaces.zero.torch.patching import cuda_aliases
from fer_space.engine import Engine

engine, here = Engine(), Engine(device="cpu", runtime="torch")
there, own = (next(e.model("human_emotion").network.body.parameters()) for e in (engine, here))
assert str(there.device) == "cuda:0" and str(own.device) == "cpu"
assert (cuda_aliases[there] == own.half()).all()
print(engine.runtime)
"""


@pytest.mark.skipif(torch.version.cuda is None, reason="torch was built without CUDA")
def test_models_are_put_where_the_lent_gpu_will_find_them() -> None:
    environment = os.environ | {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": "http://127.0.0.1:9"}
    environment.pop("FER_SPACE_RUNTIME", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["torch"]
