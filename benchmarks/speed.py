"""How fast and how large: `make bench`. Everything is timed in turns in one run; read times as ratios.

Prints JSON lines:
  a line a backbone: milliseconds for one face with its mirror image in torch and in the runtime of this
  machine, with and without maps, and a face in a batch of 16;
  one line for all of them on 1, 2 and 16 faces, in torch and in the runtime;
  one line for what a user would install instead: EfficientNet-B0 at 224 px in ONNX Runtime (the size of
  EmotiEffLib's default, random weights), the networks of face-api and Human in torch, and the package `fer`,
  if FER_PYTHON names a Python that has it;
  one line for the page's chain and the peak memory.

    make bench
    FER_PYTHON=other/bin/python make bench
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from fer_space import Engine, Model, load_image
from fer_space.backbones.specs import BACKBONES
from fer_space.explain.maps import DEFAULT
from fer_space.vision.imaging import resize

EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
ROUNDS = 15
UNMEASURED = 3
FER = """
import json, statistics, sys, time
import numpy as np
from fer.fer import FER
face = np.load(sys.argv[1])
detector, box = FER(), [[0, 0, face.shape[1], face.shape[0]]]
times = []
for _ in range(18):
    started = time.perf_counter()
    detector.detect_emotions(face[:, :, ::-1].copy(), face_rectangles=box)
    times.append((time.perf_counter() - started) * 1000)
print(json.dumps(statistics.median(times[3:])))
"""


def medians(jobs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median wall time of each job in milliseconds; the jobs take turns, so that a busy machine is fair."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS + UNMEASURED):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - started) * 1000.0)
    return {name: statistics.median(spent[UNMEASURED:]) for name, spent in times.items()}


def backbone_record(slow: Model, fast: Model) -> dict[str, object]:
    """Measure one backbone in torch and in the runtime of this machine."""
    crops = [np.random.default_rng(i).integers(0, 256, (224, 224, 3), dtype=np.uint8) for i in range(16)]
    one, many = slow.reduce(crops[:1]), slow.reduce(crops)
    spent = medians(
        {
            "torch_ms": lambda: slow.predict_reduced(one),
            "ms": lambda: fast.predict_reduced(one),
            "torch_maps_ms": lambda: slow.predict_reduced(one, maps=DEFAULT),
            "maps_ms": lambda: fast.predict_reduced(one, maps=DEFAULT),
            "face_of_16_ms": lambda: fast.predict_reduced(many),
        }
    )
    spent["face_of_16_ms"] /= 16
    return {
        "backbone": slow.name,
        "runtime": fast.runtime,
        **{name: round(ms, 2) for name, ms in spent.items()},
        "faster": round(spent["torch_ms"] / spent["ms"], 2),
        "maps_over_plain": round(spent["maps_ms"] / spent["ms"], 2),
    }


def chain_record(slow: Engine, fast: Engine, photo: np.ndarray, names: list[str]) -> dict[str, object]:
    """Measure all backbones together, without detection, on 1, 2 and 16 copies of a face."""
    (face,) = fast.detect(photo)

    def reading(engine: Engine, count: int, method: str | None = None) -> Callable[[], object]:
        return lambda: engine.compare(photo, faces=[face] * count, backbones=names, method=method)

    jobs = {f"runtime_{count}": reading(fast, count) for count in (1, 2, 16)}
    jobs |= {"torch_1": reading(slow, 1), "torch_maps_1": reading(slow, 1, DEFAULT)}
    jobs["runtime_maps_1"] = reading(fast, 1, DEFAULT)
    spent = medians(jobs)
    return {
        "all": len(names),
        **{name: round(ms, 1) for name, ms in spent.items()},
        "faster_1": round(spent["torch_1"] / spent["runtime_1"], 2),
        "faster_than_torch_with_maps_1": round(spent["torch_maps_1"] / spent["runtime_1"], 2),
        "maps_over_plain_1": round(spent["runtime_maps_1"] / spent["runtime_1"], 2),
        "16_faces_over_1": round(spent["runtime_16"] / spent["runtime_1"], 2),
    }


def others_record(ours: Model, rivals: list[Model], photo: np.ndarray) -> dict[str, object]:
    """Measure what else there is beside one of ours, a face each, which ours reads with its mirror image."""
    crop = resize(photo, (224, 224))
    with TemporaryDirectory() as folder:
        session = efficientnet_b0(Path(folder) / "b0.onnx")
        picture = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
        spent = medians(
            {
                ours.name: lambda: ours.predict([crop]),
                f"{ours.name}_alone": lambda: ours.predict([crop], flip=False),
                **{rival.name: partial(rival.predict, [crop], flip=False) for rival in rivals},
                "efficientnet_b0_224_onnx": lambda: session.run(None, {"pictures": picture}),
            }
        )
        if python := os.environ.get("FER_PYTHON"):
            np.save(Path(folder) / "face.npy", crop)
            command = [python, "-c", FER, str(Path(folder) / "face.npy")]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            spent["fer"] = float(said.splitlines()[-1])
    record: dict[str, Any] = {f"{name}_ms": round(ms, 2) for name, ms in spent.items()}
    return record | {
        f"{name}_over_{ours.name}": round(ms / spent[ours.name], 1) for name, ms in spent.items()
    }


def efficientnet_b0(path: Path) -> Any:
    """Write EfficientNet-B0 with random weights as ONNX and open it with as many threads as torch has."""
    import warnings

    import onnxruntime
    import timm

    network = timm.create_model("tf_efficientnet_b0", num_classes=8, exportable=True).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, 224, 224),), str(path), input_names=["pictures"], dynamo=False
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Measure every backbone that is here, then the chain, then others."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    photo = load_image(EXAMPLE)
    slow, fast = Engine(runtime="torch"), Engine(runtime="auto")
    started = time.perf_counter()
    fast.compare(photo)
    first = (time.perf_counter() - started) * 1000.0
    names = [name for name in fast.backbones if BACKBONES[name].kind == "built in"]
    if fast.runtime != "torch":
        for name in names:
            fast.model(name).compile()
    for name in names:
        print(json.dumps(backbone_record(slow.model(name), fast.model(name))), flush=True)
    print(json.dumps(chain_record(slow, fast, photo, names)), flush=True)
    rivals = [slow.model(name) for name in fast.backbones if BACKBONES[name].kind == "rival"]
    print(json.dumps(others_record(fast.model("efficientnet_lite0"), rivals, photo)), flush=True)
    whole = medians({"detect_ms": lambda: fast.detect(photo), "compare_ms": lambda: fast.compare(photo)})
    chain = {
        "device": str(fast.device),
        "threads": torch.get_num_threads(),
        "first_picture_ms": round(first, 1),
        **{name: round(ms, 1) for name, ms in whole.items()},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(chain))


if __name__ == "__main__":
    main()
