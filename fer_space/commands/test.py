"""`fer-space test`: measure backbones on a data set, one JSON line each."""

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fer_space.commands.options import add_device, backbone_names
from fer_space.data import open_data
from fer_space.data.faceset import SPLITS
from fer_space.engine import Engine
from fer_space.evaluation.protocol import predict_set
from fer_space.registry import DETECTORS
from fer_space.weights import WEIGHTS_DIR, paths_of, read_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--backbone", required=True, metavar="A,B|all", help="which backbones")
    parser.add_argument("--data", required=True, metavar="KIND:PATH", help="ferplus:DIR, diffusionfer:DIR, …")
    parser.add_argument("--split", default="test", choices=SPLITS)
    parser.add_argument("--detect", choices=DETECTORS, help="run the whole chain on whole pictures")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write predictions and confusion here")
    parser.add_argument("--record", action="store_true", help="write the result into the backbone's card")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a sentence")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Print one line a backbone."""
    engine = Engine(device=args.device)
    faces = open_data(args.data, args.split)
    for name in backbone_names(args.backbone, engine.backbones):
        predictions = predict_set(engine, engine.card(name), faces, args.detect)
        record = predictions.record()
        print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record), flush=True)
        if args.out is not None:
            predictions.save(args.out)
        if args.record:
            record_result(name, record, args.data.partition(":")[0])
    return 0


def as_text(record: dict[str, Any]) -> str:
    """One line for a person."""
    low, high = record["accuracy_interval"]
    return (
        f"{record['backbone']} on {record['data']} {record['split']}: accuracy {record['accuracy']:.2%} "
        f"({low:.1%} to {high:.1%}), balanced {record['balanced_accuracy']:.1%}, "
        f"macro-F1 {record['macro_f1']:.1%}, ECE {record['ece']:.1%}, n = {record['n']}"
    )


def record_result(name: str, record: dict[str, Any], kind: str, folder: Path = WEIGHTS_DIR) -> None:
    """Put a measurement into the card, with the command that repeats it and the date.

    `kind` is the KIND of KIND:PATH.
    """
    card = read_card(name, folder)
    data, split, detector = record["data"], record["split"], record.get("detector")
    command = f"fer-space test --backbone {name} --data {kind}:PATH --split {split}"
    kept = {key: value for key, value in record.items() if key not in ("backbone", "data", "split")}
    kept |= {"command": command + (f" --detect {detector}" if detector else ""), "date": today()}
    key = f"{data} {split}" + (f", detected by {detector}" if detector else "")
    updated = replace(card, results={**card.results, key: kept})
    paths_of(name, folder)[1].write_text(updated.to_json(), encoding="utf-8")


def today() -> str:
    """The date in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()
