"""`fer-space models`: every backbone of the registry, every outside model, and what is known of them.

Below them everything else that a command or the page lets one choose: detectors, kinds of map, covers.
"""

import argparse
import json
from dataclasses import asdict
from typing import Any

from fer_space.backbones.specs import BACKBONES
from fer_space.detectors.specs import DETECTORS
from fer_space.explain.library import METHODS
from fer_space.external.names import known
from fer_space.external.specs import ExternalSpec
from fer_space.loading import card_of, readable
from fer_space.occlusion import OCCLUSIONS
from fer_space.registry import look_up
from fer_space.weights import robustness_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--markdown", action="store_true", help="the table of results in the README")


def run(args: argparse.Namespace) -> int:
    """Print every model."""
    here = readable()
    if args.markdown:
        print(as_markdown([describe(name, name in here) for name in BACKBONES]))
        return 0
    for name in (*BACKBONES, *known()):
        record = describe(name, name in here)
        print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record))
    if not args.json:
        print(choices())
    return 0


def choices() -> str:
    """Detectors, kinds of map and covers, by the names that commands take, for a person."""
    lines = ["", "face detectors"]
    for spec in DETECTORS.values():
        lines.append(f"  {spec.name}: {spec.licence}" + (f" (opt-in: {spec.opt_in})" if spec.opt_in else ""))
    lines += ["", "kinds of map"]
    lines += [f"  {name}: {method.does} ({method.paper})" for name, method in METHODS.items()]
    lines += ["", "covers"]
    lines += [f"  {name}: hides {cover.covers}" for name, cover in OCCLUSIONS.items()]
    return "\n".join(lines)


def describe(name: str, here: bool) -> dict[str, Any]:
    """What `models --json` says of a backbone, an outside model or one of the user's own."""
    spec = look_up(name)
    record: dict[str, Any] = {"backbone": name, "title": spec.title, "weights": here}
    if isinstance(spec, ExternalSpec):
        record |= {"fetch": f"fer-space fetch {name}", "source": spec.source, "revision": spec.revision}
        record |= {"licence": spec.licence, "data": spec.data}
    if here:
        card = card_of(name)
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
    columns = ("free", *OCCLUSIONS)
    lines = [f"| accuracy / macro-F1 | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for record in records:
        scores = robustness_of(record.get("results", {}), OCCLUSIONS)
        if scores:
            cells = (_pair(scores.get(cover)) for cover in (None, *OCCLUSIONS))
            lines.append(f"| {record['backbone']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pair(result: dict[str, Any] | None) -> str:
    return "–" if result is None else f"{100 * result['accuracy']:.1f} / {100 * result['macro_f1']:.1f}"


def as_text(record: dict[str, Any]) -> str:
    """The same for a person."""
    head = f"{record['backbone']}  ({record['title']})"
    if not record["weights"]:
        how = f"; to get them: {record['fetch']}\n  licence: {record['licence']}" if "fetch" in record else ""
        return f"{head}\n  no weights here{how}"
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
