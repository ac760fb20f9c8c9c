"""Do the attention maps tell the truth? `python benchmarks/faithfulness.py ferplus:DIR --out FILE.json`

Reads faces of the test split (the first N, as they come) with every backbone, makes the map of each answer by
every method that is asked for, and compares its deletion and insertion curves with those of a blob in the
middle and of random maps (`fer_space.evaluation.faithfulness`). Prints the table of the README.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fer_space.inference import outputs_of
from torch import Tensor

from fer_space.data import open_data, without_paths
from fer_space.engine import Engine
from fer_space.evaluation.faithfulness import Curves, area, centre_blob, compare, random_maps, trace
from fer_space.evaluation.predictions import today
from fer_space.explain.gradcam import METHOD
from fer_space.explain.library import METHODS, explain

BATCH = 64


def probabilities(engine: Engine, name: str, pictures: Tensor) -> Tensor:
    """Calibrated probabilities float64 (N, K) of reduced pictures, without mirror images to save time."""
    card = engine.card(name)
    outputs = outputs_of(engine.network(name), card.preprocess, pictures, batch_size=BATCH, mirror=False)
    return card.probabilities(outputs.logits)


def own_maps(engine: Engine, name: str, pictures: Tensor, columns: Tensor, method: str) -> Tensor:
    """The map of each picture's answer, float32 (N, h, w)."""
    card, network = engine.card(name), engine.network(name)
    parts = []
    for batch, wanted in zip(pictures.split(BATCH), columns.split(BATCH), strict=True):
        maps = explain(network, card.preprocess, batch, range(len(card.labels)), method)
        parts.append(maps[torch.arange(len(batch)), wanted])
    return torch.cat(parts)


def measure(engine: Engine, name: str, pictures: Tensor, methods: list[str]) -> dict[str, Any]:
    """The record of one backbone."""

    def read(given: Tensor) -> Tensor:
        return probabilities(engine, name, given)

    columns, side = read(pictures).argmax(dim=1), pictures.shape[-1]
    given = {"centre": centre_blob(len(pictures), side), "random": random_maps(len(pictures), side)}
    given |= {method: own_maps(engine, name, pictures, columns, method) for method in methods}
    curves = {which: trace(read, pictures, heat, columns) for which, heat in given.items()}
    record: dict[str, Any] = {which: scores(curve) for which, curve in curves.items()}
    for method in methods:
        for other in ("centre", "random"):
            verdict = compare(curves[method], curves[other])
            record[method][f"ahead_of_{other}"] = [verdict.value, verdict.low, verdict.high]
    return record


def scores(curves: Curves) -> dict[str, Any]:
    """Mean areas of one kind of map."""
    return {
        "deletion": round(float(area(curves.deletion).mean()), 4),
        "insertion": round(float(area(curves.insertion).mean()), 4),
    }


def markdown(backbones: Mapping[str, Any]) -> str:
    """The table of the README: one row a backbone and method."""
    lines = [
        "| backbone | map | deletion | insertion | ahead of a centre blob (95 % interval) | of random |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, record in backbones.items():
        for method in (which for which in record if which in METHODS):
            r = record[method]
            low = r["ahead_of_centre"][1]
            verdict = "" if low > 0.0 else " **no better**"
            lines.append(
                f"| {name} | {METHODS[method].title} | {r['deletion']:.3f} | {r['insertion']:.3f} | "
                f"{written(r['ahead_of_centre'])}{verdict} | {written(r['ahead_of_random'])} |"
            )
    return "\n".join(lines)


def written(difference: list[float]) -> str:
    """A difference with its interval."""
    value, low, high = difference
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="KIND:PATH")
    parser.add_argument("--backbones", default="all", metavar="A,B|all")
    parser.add_argument("--methods", default=METHOD, metavar="A,B|all")
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    engine = Engine(device="cpu")
    names = engine.backbones if args.backbones == "all" else args.backbones.split(",")
    methods = list(METHODS) if args.methods == "all" else args.methods.split(",")
    faces = open_data(args.data, "test")
    count = min(args.faces, len(faces))
    records = {}
    for name in names:
        started = time.monotonic()
        crops = [faces.read(i) for i in range(count)]
        pictures = engine.card(name).preprocess.reduce(crops)
        records[name] = measure(engine, name, pictures, methods)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    print(markdown(records))
    if args.out is not None:
        words = f"{without_paths(args.data)} --methods {args.methods} --faces {count}"
        store(args.out, f"python benchmarks/faithfulness.py {words}", count, records)


def store(path: Path, command: str, count: int, records: dict[str, Any]) -> None:
    """Write the records, beside those of other backbones that the same command has made."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = old["backbones"] if old.get("command") == command else {}
    stored = {"command": command, "date": today(), "n": count, "backbones": {**kept, **records}}
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
