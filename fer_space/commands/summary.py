"""`fer-space test --summary DIR`: several backbones on the same faces, as results.json and pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation.cost import Network, milliseconds, multiply_adds
from fer_space.evaluation.metrics import DIGITS, confusion
from fer_space.evaluation.overlap import Overlap, overlap
from fer_space.evaluation.predictions import Predictions, require_same_faces, today
from fer_space.evaluation.scoring import record_of
from fer_space.weights import available

REFERENCE = "efficientnet_lite0"
Record = dict[str, Any]


def write_summary(several: Sequence[Predictions], engine: Engine, folder: Path, command: str) -> Record:
    """Write results.json, cost.png, confusions.png and overlap.png; returns what is in the first.

    Args:
        several: predictions of the same faces, read in the same way, by backbones and, perhaps, by their
            ensembles.
        engine: has the networks of shipped backbones, on the CPU, whose cost is measured. What others cost,
            and ensembles with them, is left out.
        folder: made if need be.
        command: made the predictions; it is kept beside them.

    Raises:
        InputError: no backbone among them, a name twice, or not of the same faces and setting.
    """
    backbones = [predictions for predictions in several if not predictions.about.members]
    names = [predictions.about.backbone for predictions in backbones]
    if not names or len({predictions.about.backbone for predictions in several}) < len(several):
        raise InputError("A summary needs predictions of one backbone or more, and no name twice.")
    if len(settings := {predictions.about.setting for predictions in several}) > 1:
        raise InputError(f"A summary is of one setting; these are of several: {'; '.join(sorted(settings))}.")
    require_same_faces(several)
    found = overlap(backbones)
    costs = costs_of(engine, [name for name in names if name in available(engine.weights_dir)])
    summary = {
        "measured_on": several[0].about.setting,
        "command": command,
        "date": today(),
        "time_reference": reference_of(list(costs)),
        "models": {predictions.about.backbone: _model(predictions, costs) for predictions in several},
        "overlap": {"backbones": names, **_plain(found)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    draw(summary, found, folder)
    return summary


def as_markdown(summary: Record) -> str:
    """The models of a results.json as the README's table, the most accurate first."""
    reference = summary["time_reference"]
    lines = [
        f"| {summary['measured_on']} | parameters | multiply-adds | time, {reference} = 1 "
        "| accuracy (95 % interval) | balanced | macro-F1 | ECE |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, model in sorted(summary["models"].items(), key=lambda item: -item[1]["accuracy"]):
        low, high = model["accuracy_interval"]
        cost = (
            f"{model['parameters'] / 1e6:.1f} M | {model['multiply_adds'] / 1e6:,.0f} M | {model['time']:.1f}"
            if "time" in model
            else "– | – | –"
        )
        lines.append(
            f"| {name} | {cost} | **{model['accuracy']:.1%}** ({low:.1%} to {high:.1%}) | "
            f"{model['balanced_accuracy']:.1%} | {model['macro_f1']:.1%} | {model['ece']:.1%} |"
        )
    return "\n".join(lines)


def reference_of(names: Sequence[str]) -> str:
    """Whose time is 1: Lite0, or the first where it is missing; "" where there is none."""
    return REFERENCE if REFERENCE in names else next(iter(names), "")


def costs_of(engine: Engine, names: Sequence[str]) -> dict[str, Record]:
    """Parameters, multiply-adds and time, as a multiple of the reference's, of each backbone."""
    networks = {name: Network(engine.network(name), engine.card(name).preprocess) for name in names}
    spent = milliseconds(networks)
    base = spent.get(reference_of(names), 1.0)
    return {
        name: {
            "parameters": engine.card(name).parameters,
            "multiply_adds": multiply_adds(network),
            "time": round(spent[name] / base, 2),
        }
        for name, network in networks.items()
    }


def _model(predictions: Predictions, costs: dict[str, Record]) -> Record:
    """Scores, cost and confusion; an ensemble costs as much as its members together."""
    members = predictions.about.members or (predictions.about.backbone,)
    cost = {}
    if costs.keys() >= set(members):
        cost = {key: round(sum(costs[name][key] for name in members), 2) for key in costs[members[0]]}
    counts: NDArray[np.int64] = confusion(predictions.scored, predictions.labels)
    return {**record_of(predictions), **cost, "confusion": counts.tolist()}


def _plain(found: Overlap) -> Record:
    return {
        "same_answer": np.round(found.same_answer, DIGITS).tolist(),
        "shared_errors": [
            [None if np.isnan(share) else round(float(share), DIGITS) for share in row]
            for row in found.shared_errors
        ],
        "all_right": round(found.all_right, DIGITS),
        "any_right": round(found.any_right, DIGITS),
    }


def draw(summary: Record, found: Overlap, folder: Path) -> None:
    """Draw the three pictures of a summary."""
    from fer_space.evaluation import zoo_plots

    marks = {
        name: zoo_plots.Mark(
            model["accuracy"], tuple(model["accuracy_interval"]), model["time"], "members" in model
        )
        for name, model in summary["models"].items()
        if "time" in model
    }
    if marks:
        zoo_plots.draw_cost(marks, summary["time_reference"], folder / "cost.png")
    counts = {name: np.array(model["confusion"]) for name, model in summary["models"].items()}
    zoo_plots.draw_confusions(counts, folder / "confusions.png")
    zoo_plots.draw_overlap(summary["overlap"]["backbones"], found, folder / "overlap.png")
