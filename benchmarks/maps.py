"""What attention maps cost: `python benchmarks/maps.py [--backbones A,B|all|untrained] [--runtime openvino]`.

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
from numpy.typing import NDArray

from fer_space import Engine, Model, load_image
from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card
from fer_space.emotions import EMOTIONS
from fer_space.explain.maps import DEFAULT
from fer_space.files import write_text
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.preprocess import Preprocess

EXAMPLE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
SIDE = 224  # of a crop in pixels
FACES = (1, 8)
ROUNDS = 15


def seconds(job: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    job()
    return time.process_time() - started


def compare(model: Model, face: NDArray[np.uint8], count: int, rounds: int) -> dict[str, float]:
    """Measure one batch: a face and copies of it, each moved a little further."""
    pictures = model.reduce([np.roll(face, 3 * i, axis=1) for i in range(count)])
    pairs = []
    for _ in range(rounds + 3):
        plain = seconds(lambda: model.predict_reduced(pictures))
        pairs.append((plain, seconds(lambda: model.predict_reduced(pictures, maps=DEFAULT))))
    plains, maps = zip(*pairs[3:], strict=True)
    return {
        "plain_ms": round(1000.0 * statistics.median(plains), 2),
        "maps_ms": round(1000.0 * statistics.median(maps), 2),
        "ratio": round(statistics.median(b / a for a, b in pairs[3:]), 3),
    }


def untrained(name: str) -> Model:
    """Build a network of the registry without weights, which takes as long as a trained one."""
    spec = BACKBONES[name]
    card = Card(
        name=name,
        architecture=spec.target,
        labels=EMOTIONS,
        preprocess=Preprocess(spec.input_size, SIDE, gray=False),
        crop=CropRule(),
        bias=(0.0,) * len(EMOTIONS),
        temperature=1.0,
        parameters=0,
        sha256="",
        data="none",
        licence="none",
        command="none",
    )
    return Model(card, spec.build(len(EMOTIONS)).for_reading())


def table(records: dict[str, dict[str, Any]]) -> str:
    """Write one row a backbone."""
    lines = ["| backbone | faces | plain, ms | with maps, ms | ratio |", "|---|---:|---:|---:|---:|"]
    for name, record in records.items():
        for count, r in record.items():
            lines.append(f"| {name} | {count} | {r['plain_ms']} | {r['maps_ms']} | {r['ratio']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbones", default="all", metavar="A,B|all|untrained")
    parser.add_argument("--runtime", choices=("torch", "openvino"), default="torch")
    parser.add_argument("--faces", type=int, nargs="+", default=FACES, metavar="N")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine, photo = Engine(device="cpu", runtime=args.runtime), load_image(EXAMPLE)
    face = crop_face(photo, engine.detect(photo)[0], CropRule(), SIDE).image_rgb
    here = [name for name in engine.backbones if name in BACKBONES]
    asked = {"all": here, "untrained": list(BACKBONES)}
    records: dict[str, dict[str, Any]] = {}
    for name in asked.get(args.backbones, args.backbones.split(",")):
        model = engine.model(name) if name in here else untrained(name)
        records[name] = {str(n): compare(model, face, n, args.rounds) for n in args.faces}
        print(name, model.runtime, records[name], flush=True)
    print(table(records))
    if args.json is not None:
        write_text(args.json, json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
