"""`fer-space models`: every model of the registry, and what is known of it.

Below them everything else that a command or the page lets one choose: detectors, kinds of map, occlusions.
"""

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from threading import Thread
from typing import TYPE_CHECKING, Any

from fer_space.backbones.specs import BACKBONES
from fer_space.card import Card, Measurement
from fer_space.commands.options import exit_status
from fer_space.detectors.specs import DETECTORS
from fer_space.errors import FerSpaceError, MissingDependencyError
from fer_space.explain.library import METHODS
from fer_space.external.specs import MANIFEST
from fer_space.model import load_model
from fer_space.occlusion import OCCLUSIONS
from fer_space.registry import ExternalModel, ModelSource, Registry
from fer_space.runtime.device import resolve_device, resolve_runtime

if TYPE_CHECKING:
    from fer_space.evaluation.footprint import Kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--markdown", action="store_true", help="the tables of results in the docs")
    form.add_argument(
        "--compile", action="store_true", help="convert every model for OpenVINO now, which runs it faster"
    )
    form.add_argument(
        "--memory",
        action="store_true",
        help="measure what each detector and model adds to a process, in megabytes",
    )


def run(args: argparse.Namespace) -> int:
    """Print every model."""
    registry = Registry()
    here, problems = registry.present(), registry.problems()
    if args.memory:
        return print_memory([*here])
    if args.compile:
        return convert([*here])
    if args.markdown:
        from fer_space.evaluation.report import occlusion_table, scores_table

        cards = [here[name].card() for name in BACKBONES if name in here]
        print(f"{scores_table(cards)}\n\n{occlusion_table(cards)}")
        return 0
    for name in dict.fromkeys([*BACKBONES, *MANIFEST, *here]):
        record = describe(registry.source(name), present=name in here or name in problems)
        print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record))
    for name, problem in problems.items():
        if name not in BACKBONES and name not in MANIFEST:
            record = {"backbone": name, "title": name, "weights": False, "problem": problem}
            print(json.dumps(record, ensure_ascii=False) if args.json else as_text(record))
    if not args.json:
        print(choices())
    return 0


def convert(models: Sequence[str]) -> int:
    """Convert models for OpenVINO and print a line each, what runs it; one that is damaged stops no other.

    Returns:
        The exit status.
    """
    Thread(target=_end_with_the_reader, daemon=True).start()
    failed = 0
    for name in models:
        try:
            print(f"{name}: {load_model(name, device='cpu', runtime='openvino').runtime}", flush=True)
        except FerSpaceError as error:
            print(f"fer-space: without {name}: {error}", file=sys.stderr)
            failed += 1
    return exit_status(failed, len(models))


def _end_with_the_reader() -> None:
    """Stop this process when nobody reads what it prints any more: a page that was killed leaves none."""
    if hasattr(select, "poll"):
        reader = select.poll()
        reader.register(1, 0)  # of the standard output errors alone: the other end of a pipe has gone
        reader.poll()
        os.kill(os.getpid(), signal.SIGTERM)


def print_memory(models: Sequence[str]) -> int:
    """Measure detectors and models, each in a process of its own, and print a line each.

    Returns:
        The exit status.
    """
    from fer_space.evaluation.footprint import footprint

    failed = 0
    detectors: list[tuple[Kind, str]] = [("detector", name) for name in DETECTORS]
    asked = [*detectors, *(("model", name) for name in models)]
    for kind, name in asked:
        try:
            found = footprint(kind, name)
        except MissingDependencyError as error:
            print(f"{name}: {error}", flush=True)
        except FerSpaceError as error:
            print(f"fer-space: without {name}: {error}", file=sys.stderr)
            failed += 1
        else:
            print(
                f"{name}: {found.loaded:.1f} MB loaded, {found.answered:.1f} MB with its first answer",
                flush=True,
            )
    return exit_status(failed, len(asked))


def choices() -> str:
    """List detectors, kinds of map and occlusions, by the names that commands take, for a person."""
    lines = ["", "face detectors"]
    for spec in DETECTORS.values():
        lines.append(f"  {spec.name}: {spec.licence}" + (f" (opt-in: {spec.opt_in})" if spec.opt_in else ""))
    lines += ["", "runtimes", "  torch: everywhere; on a GPU the only one"]
    lines += ["  openvino: on a CPU, for models that have been converted (fer-space models --compile)"]
    lines += ["", "kinds of map"]
    lines += [f"  {name}: {method.does} ({method.paper})" for name, method in METHODS.items()]
    lines += ["", "occlusions"]
    lines += [f"  {name}: hides {occlusion.covers}" for name, occlusion in OCCLUSIONS.items()]
    return "\n".join(lines)


def describe(source: ModelSource, *, present: bool) -> dict[str, Any]:
    """Write what `models --json` says of a model.

    Args:
        source: the model.
        present: whether its files are here. If its card cannot be read, `problem` says why.
    """
    record: dict[str, Any] = {
        "backbone": source.name,
        "title": source.title,
        "kind": source.kind,
        "weights": present,
    }
    if isinstance(source, ExternalModel):
        spec = source.spec
        record |= {"fetch": f"fer-space fetch {spec.name}", "source": spec.source, "revision": spec.revision}
        record |= {"licence": spec.licence, "data": spec.data}
    if present:
        try:
            source.check()
            card = source.card()
            record |= _described(card) | {"runtime": runtime_of(card.network_key)}
        except FerSpaceError as error:
            record |= {"weights": False, "problem": str(error)}
    return record


def runtime_of(key: str) -> str:
    """Name what would compute the network of this `Card.network_key`, if nothing else is asked for."""
    rule = resolve_runtime("auto", resolve_device("auto"))
    if rule != "auto":
        return rule
    from fer_space.runtime.openvino import is_kept

    return "openvino" if is_kept(key) else "torch"


def as_text(record: dict[str, Any]) -> str:
    """Write the same for a person."""
    head = f"{record['backbone']}  ({record['title']})"
    if not record["weights"]:
        how = f"; to get them: {record['fetch']}\n  licence: {record['licence']}" if "fetch" in record else ""
        return f"{head}\n  {record.get('problem', f'no weights here{how}')}"
    lines = [
        head,
        f"  {record['parameters'] / 1e6:.1f} M parameters, input {record['input_size']} px, "
        f"learned from {record['data']}",
        f"  licence: {record['licence']}",
        f"  runs in {record['runtime']} here",
    ]
    for setting, result in record["results"].items():
        if "command" in result:
            lines.append(
                f"  {setting}: accuracy {result['accuracy']:.1%}, balanced {result['balanced_accuracy']:.1%} "
                f"({result['n']} faces)"
            )
    return "\n".join(lines)


def _described(card: Card) -> dict[str, Any]:
    """What a card adds; `results` says in sentences what `measurements` says in fields."""
    results = {str(m.setting): _result(m) for m in card.measurements}
    if card.validation is not None:
        results["valid"] = card.validation.model_dump(mode="json", exclude_none=True)
    return {
        "parameters": card.parameters,
        "input_size": card.preprocess.input_size,
        "labels": card.labels,
        "licence": card.licence,
        "data": card.data,
        "crop": asdict(card.crop),
        "results": results,
        "measurements": [m.model_dump(mode="json", exclude_none=True) for m in card.measurements],
    }


def _result(measurement: Measurement) -> dict[str, Any]:
    ways = measurement.setting.model_dump(exclude={"data", "split"}, exclude_none=True)
    scores = measurement.scores.model_dump(mode="json", exclude_unset=True)
    return {**ways, **scores, "command": measurement.command, "date": measurement.date.isoformat()}
