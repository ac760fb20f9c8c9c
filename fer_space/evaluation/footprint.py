"""How much memory a model or a detector adds to a process: measured in a child, by the kernel's own figures.

    footprint("model", "mobilenet_v2")

The child first imports the libraries that compute and what networks are built of, and runs one convolution.
What is counted is the growth of its resident memory from there: when the network is loaded, and when it has
read one face, its mirror image too, or searched one photo. Libraries that come with the package (PyTorch,
torchvision, timm, transformers, OpenVINO) are there before and do not count. Linux alone tells these figures.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np

from fer_space.backbones.specs import BACKBONES
from fer_space.errors import InputError, MissingDependencyError, WeightsError
from fer_space.files import search_path
from fer_space.memory import give_back_memory
from fer_space.model import load_model

STATUS = Path("/proc/self/status")
SECONDS = 600.0
PHOTO, CROP = (480, 640, 3), (224, 224, 3)

Kind = Literal["model", "detector"]


@dataclass(frozen=True)
class Footprint:
    """Megabytes (10^6 bytes) that are resident more than before.

    Attributes:
        loaded: once it is loaded.
        answered: with its first answer.
    """

    loaded: float
    answered: float


def footprint(kind: Kind, name: str) -> Footprint:
    """Measure a model or a detector in a child process.

    Args:
        kind: what it is.
        name: of a model as `load_model` takes it, or of a detector.

    Raises:
        InputError: this system does not tell, or the child failed; the message is the child's.
        MissingDependencyError: it is opt-in and not installed; the message is the child's.
    """
    if not STATUS.is_file():
        raise InputError("Only Linux tells how much memory a process has (/proc/self/status).")
    words = [sys.executable, "-m", "fer_space.evaluation.footprint", kind, name]
    environment = os.environ | {"PYTHONPATH": search_path()}
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{name} was not measured within {SECONDS:g} seconds.") from error
    if done.returncode == 3:
        raise MissingDependencyError(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise InputError((done.stderr.strip().splitlines() or ["The child process failed."])[-1])
    return Footprint(**json.loads(done.stdout))


def measure(load: Callable[[], Callable[[], object]]) -> Footprint:
    """Measure in this process what `load` and the function that it gives add."""
    give_back_memory()  # what imports left would be given back by `load`, and count against it
    before = resident()
    answer = load()
    loaded = resident()
    answer()
    return Footprint(round((loaded - before) / 1e6, 1), round((resident() - before) / 1e6, 1))


def resident() -> int:
    """Read the resident memory of this process, in bytes."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def _load_model(name: str) -> Callable[[], object]:
    model = load_model(name, device="cpu")
    return lambda: model.predict([np.full(CROP, 128, dtype=np.uint8)])


def _load_detector(name: str) -> Callable[[], object]:
    from fer_space.detectors.specs import detector_spec

    detector = detector_spec(name).build()
    return lambda: detector.detect(np.full(PHOTO, 128, dtype=np.uint8))


def main(kind: str, name: str) -> int:
    """Measure in this process and print the figures as JSON."""
    import torch

    for module in {spec.target.partition(":")[0] for spec in BACKBONES.values()} | {"openvino"}:
        with suppress(ImportError):  # OpenVINO may not be installed
            import_module(module)
    torch.nn.Conv2d(3, 8, 3)(torch.zeros(1, 3, 32, 32))
    load = _load_model if kind == "model" else _load_detector
    try:
        print(json.dumps(asdict(measure(lambda: load(name)))))
    except MissingDependencyError as error:
        print(error, file=sys.stderr)
        return 3
    except (InputError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
