"""`fer-space models`: every backbone of the registry and what is known of it."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from fer_space.occlusion import OCCLUSIONS
from fer_space.registry import BACKBONES, DETECTORS
from fer_space.weights import available, read_card, setting_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--markdown", action="store_true", help="the table of results in the README")


def run(args: argparse.Namespace) -> int:
    """Print every backbone."""
    present = available()
    records = [describe(name, name in present) for name in BACKBONES]
    if args.markdown:
        print(as_markdown(records))
        return 0
    for record in records:
        print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record))
    if not args.json:
        print("\nface detectors")
        for spec in DETECTORS.values():
            print(f"  {spec.name}: {spec.licence}" + (f" (opt-in: {spec.opt_in})" if spec.opt_in else ""))
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


def measured(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The results that `fer-space test --record` wrote into the card."""
    return [(name, result) for name, result in record.get("results", {}).items() if "command" in result]


def as_markdown(records: list[dict[str, Any]]) -> str:
    """The measured results of every backbone as Markdown: a table of data sets, and one of covered faces."""
    return f"{_scores_table(records)}\n\n{_robustness_table(records)}"


def _scores_table(records: list[dict[str, Any]]) -> str:
    """One row a backbone and data set, free faces only."""
    lines = [
        "| backbone | measured on | faces | accuracy (95 % interval) | balanced | macro-F1 | ECE | date |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for record in records:
        for name, r in measured(record):
            if "occlusion" in r:
                continue
            low, high = r["accuracy_interval"]
            lines.append(
                f"| {record['backbone']} | {name} | {r['n']:,} | **{r['accuracy']:.1%}** "
                f"({low:.1%} to {high:.1%}) | {r['balanced_accuracy']:.1%} | {r['macro_f1']:.1%} | "
                f"{r['ece']:.1%} | {r['date']} |"
            )
    return "\n".join(lines)


def _robustness_table(records: list[dict[str, Any]]) -> str:
    """One row a backbone, one column an occlusion: accuracy and macro-F1 on FERPlus test faces."""
    names = {"free": setting_of("ferplus", "test")}
    names |= {kind: setting_of("ferplus", "test", occlusion=kind) for kind in OCCLUSIONS}
    lines = [f"| accuracy / macro-F1 | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for record in records:
        results = dict(measured(record))
        if results:
            cells = (_pair(results.get(setting)) for setting in names.values())
            lines.append(f"| {record['backbone']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pair(result: dict[str, Any] | None) -> str:
    return "–" if result is None else f"{100 * result['accuracy']:.1f} / {100 * result['macro_f1']:.1f}"


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
    for name, result in measured(record):
        lines.append(
            f"  {name}: accuracy {result['accuracy']:.1%}, balanced {result['balanced_accuracy']:.1%} "
            f"({result['n']} faces)"
        )
    return "\n".join(lines)
