"""`fer-space models`: every backbone of the registry and what is known of it."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from fer_space.registry import BACKBONES
from fer_space.weights import available, read_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print a line a backbone."""
    present = available()
    for name in BACKBONES:
        record = describe(name, name in present)
        print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record))
    return 0


def describe(name: str, here: bool) -> dict[str, Any]:
    """What `models --json` says of a backbone."""
    spec = BACKBONES[name]
    record: dict[str, Any] = {"backbone": name, "title": spec.title, "weights": here}
    if here:
        card = read_card(name)
        record |= {
            "parameters": card.parameters,
            "input_size": card.preprocess.input_size,
            "labels": card.labels,
            "licence": card.licence,
            "data": card.data,
            "crop": asdict(card.crop),
            "results": card.results,
        }
    return record


def as_text(record: dict[str, Any]) -> str:
    """The same for a person."""
    head = f"{record['backbone']}  ({record['title']})"
    if not record["weights"]:
        return f"{head}\n  no weights here"
    lines = [
        head,
        f"  {record['parameters'] / 1e6:.1f} M parameters, input {record['input_size']} px, "
        f"learned from {record['data']}",
        f"  licence: {record['licence']}",
    ]
    for name, result in record["results"].items():
        lines.append(
            f"  {name}: accuracy {result['accuracy']:.1%}, balanced {result['balanced_accuracy']:.1%} "
            f"({result['n']} faces)"
        )
    return "\n".join(lines)
