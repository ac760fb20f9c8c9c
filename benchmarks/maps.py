"""What attention maps cost: `python benchmarks/maps.py [--backbones A,B|all|untrained] [--json FILE]`.

Sets reading with the maps of all emotions against the plain reading of the same pictures, mirror images
included in both, on one thread and the CPU. The two take turns and the median of their ratios is printed, in
the time of this process, so that others on the machine disturb little.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fer_space.inference import outputs_of, read_with_maps
from numpy.typing import NDArray

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import BACKBONES
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import decode_image
from fer_space.vision.preprocess import Preprocess

Image = NDArray[np.uint8]

EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
SIDE = 224  # of a crop in pixels
FACES = (1, 8)
ROUNDS = 15


def seconds(job: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.thread_time()
    job()
    return time.thread_time() - started


def example_face(engine: Engine) -> Image:
    """The largest face of the example, uint8 RGB (SIDE, SIDE, 3)."""
    photo = decode_image(EXAMPLE.read_bytes())
    return crop_face(photo, engine.detect(photo)[0], CropRule(), SIDE).image_rgb


def compare(
    network: Backbone, preprocess: Preprocess, face: Image, count: int, rounds: int
) -> dict[str, float]:
    """Measure one batch: a face and copies of it, each moved a little further."""
    pictures = preprocess.reduce([np.roll(face, 3 * i, axis=1) for i in range(count)])
    pairs = []
    for _ in range(rounds + 3):
        plain = seconds(lambda: outputs_of(network, preprocess, pictures))
        pairs.append((plain, seconds(lambda: read_with_maps(network, preprocess, pictures))))
    plains, maps = zip(*pairs[3:], strict=True)
    return {
        "plain_ms": round(1000.0 * statistics.median(plains), 2),
        "maps_ms": round(1000.0 * statistics.median(maps), 2),
        "ratio": round(statistics.median(b / a for a, b in pairs[3:]), 3),
    }


def untrained(name: str) -> tuple[Backbone, Preprocess]:
    """A network of the registry as it is built, which takes as long as a trained one."""
    spec = BACKBONES[name]
    network = spec.build(len(EMOTIONS), False).for_reading().eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last), Preprocess(spec.input_size, SIDE, gray=False)  # type: ignore[call-overload]


def table(records: dict[str, dict[str, Any]]) -> str:
    """One row a backbone."""
    lines = ["| backbone | faces | plain, ms | with maps, ms | ratio |", "|---|---:|---:|---:|---:|"]
    for name, record in records.items():
        for count, r in record.items():
            lines.append(f"| {name} | {count} | {r['plain_ms']} | {r['maps_ms']} | {r['ratio']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", default="all", metavar="A,B|all|untrained")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine(device="cpu")
    face = example_face(engine)
    here = [name for name in engine.backbones if name in BACKBONES]
    asked = {"all": here, "untrained": list(BACKBONES)}
    records: dict[str, dict[str, Any]] = {}
    for name in asked.get(args.backbones, args.backbones.split(",")):
        if name in here:
            network, preprocess = engine.network(name), engine.card(name).preprocess
        else:
            network, preprocess = untrained(name)
        records[name] = {str(n): compare(network, preprocess, face, n, args.rounds) for n in FACES}
    print(table(records))
    if args.json is not None:
        args.json.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
