"""How fast and how large: `make bench`. Times are medians; read them as ratios, machines differ.

Prints one JSON line a backbone: milliseconds for one face with maps and flip averaging, the same for the
plain answer, their ratio, and milliseconds a face in a batch of 16; then one line with the whole chain
(detection, landmarks, crop, reading) on the astronaut picture and the peak memory.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fer_space import Engine, Model, load_image
from fer_space.explain.gradcam import METHOD

EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
ROUNDS = 25


def median_ms(job: Callable[[], object]) -> float:
    """Median wall time of a job in milliseconds after three unmeasured rounds."""
    times = []
    for _ in range(ROUNDS + 3):
        started = time.perf_counter()
        job()
        times.append((time.perf_counter() - started) * 1000.0)
    return statistics.median(times[3:])


def backbone_record(model: Model) -> dict[str, object]:
    """Measure one backbone."""
    crops = [np.random.default_rng(i).integers(0, 256, (224, 224, 3), dtype=np.uint8) for i in range(16)]
    one, many = model.reduce(crops[:1]), model.reduce(crops)
    plain = median_ms(lambda: model.predict_reduced(one))
    maps = median_ms(lambda: model.predict_reduced(one, maps=METHOD))
    batch = median_ms(lambda: model.predict_reduced(many, maps=METHOD)) / len(crops)
    return {
        "backbone": model.name,
        "one_face_ms": round(maps, 2),
        "plain_forward_ms": round(plain, 2),
        "maps_over_plain": round(maps / plain, 3),
        "face_of_16_ms": round(batch, 2),
    }


def main() -> None:
    """Measure every backbone that is here, then the chain."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    engine, photo = Engine(), load_image(EXAMPLE)
    started = time.perf_counter()
    engine.compare(photo)
    first = (time.perf_counter() - started) * 1000.0
    for name in engine.backbones:
        print(json.dumps(backbone_record(engine.model(name))))
    chain = {
        "device": str(engine.device),
        "threads": torch.get_num_threads(),
        "first_picture_ms": round(first, 1),
        "detect_ms": round(median_ms(lambda: engine.detect(photo)), 1),
        "compare_ms": round(median_ms(lambda: engine.compare(photo)), 1),
        "compare_without_maps_ms": round(median_ms(lambda: engine.compare(photo, method=None)), 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(json.dumps(chain))


if __name__ == "__main__":
    main()
