"""Do the attention maps tell the truth? `python benchmarks/faithfulness.py ferplus:DIR --out FILE.json`

Reads faces of a split (the first N, as they come; test unless told otherwise) with every backbone, makes
the map of each answer by every method that is asked for, and compares its deletion and insertion curves with
those of a blob in the middle and of random maps (`fer_space.evaluation.faithfulness`). Prints the table of
the docs.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_space.data import open_data, without_paths
from fer_space.engine import Engine
from fer_space.evaluation.faithfulness import RIVALS, measure
from fer_space.evaluation.outputs import today
from fer_space.explain.library import METHODS, method_title
from fer_space.explain.maps import DEFAULT
from fer_space.files import write_text


def markdown(backbones: Mapping[str, Any]) -> str:
    """Write the table of the docs: one row a backbone and method."""
    lines = [
        "| backbone | map | deletion | insertion | ahead of a centre blob (95 % interval) | of random |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, record in backbones.items():
        for method in (which for which in record if which not in RIVALS):
            r = record[method]
            low = r["ahead_of_centre"][1]
            verdict = "" if low > 0.0 else " **no better**"
            lines.append(
                f"| {name} | {method_title(method)} | {r['deletion']:.3f} | {r['insertion']:.3f} | "
                f"{written(r['ahead_of_centre'])}{verdict} | {written(r['ahead_of_random'])} |"
            )
    return "\n".join(lines)


def written(difference: list[float]) -> str:
    """Write a difference with its interval."""
    value, low, high = difference
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def store(path: Path, command: str, count: int, records: dict[str, Any]) -> None:
    """Write the records, beside those of other backbones that the same command has made."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = old["backbones"] if old.get("command") == command else {}
    stored = {
        "command": command,
        "date": today().isoformat(),
        "n": count,
        "backbones": {**kept, **records},
    }
    write_text(path, json.dumps(stored, indent=1) + "\n")


def main() -> None:
    """Measure, print, and store if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", metavar="KIND:PATH")
    parser.add_argument("--backbones", default="all", metavar="A,B|all")
    parser.add_argument("--methods", default=DEFAULT, metavar="A,B|all")
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--split", choices=("test", "valid"), default="test")
    parser.add_argument("--out", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    engine = Engine(device="cpu")
    names = engine.backbones if args.backbones == "all" else args.backbones.split(",")
    methods = list(METHODS) if args.methods == "all" else args.methods.split(",")
    faces = open_data(args.data, args.split)
    crops = [faces.read(i) for i in range(min(args.faces, len(faces)))]
    records = {}
    for name in names:
        started, model = time.monotonic(), engine.model(name)
        records[name] = measure(model, model.reduce(crops), methods)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    print(markdown(records))
    if args.out is not None:
        words = f"{without_paths(args.data)} --methods {args.methods} --faces {len(crops)}"
        words += "" if args.split == "test" else f" --split {args.split}"
        store(args.out, f"python benchmarks/faithfulness.py {words}", len(crops), records)


if __name__ == "__main__":
    main()
