"""Several models set beside each other: results.json with its pictures, and the tables of the docs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_space.card import Card, Rates, Scores
from fer_space.errors import InputError
from fer_space.evaluation import plots
from fer_space.evaluation.cost import Cost, cost_of_all, reference_of
from fer_space.evaluation.metrics import DIGITS, Difference, Overlap, confusion, differences, overlap
from fer_space.evaluation.outputs import Outputs, require_same_faces, today
from fer_space.evaluation.recording import record_of
from fer_space.files import write_text
from fer_space.occlusion import OCCLUSIONS

Summary = dict[str, Any]


def differences_from(base: Outputs, other: Outputs) -> dict[str, Difference]:
    """Measure how far one model's outputs are ahead of another's, see `metrics.differences`.

    Raises:
        InputError: they are not of the same faces.
    """
    require_same_faces((base, other))
    return differences(other.scored, base.scored, base.labels)


def require_comparable(several: Sequence[Outputs]) -> None:
    """Raise InputError unless outputs are of one setting and the same faces, each model once."""
    if all(outputs.about.members for outputs in several):
        raise InputError("A summary needs predictions of one backbone or more.")
    if len({outputs.about.model for outputs in several}) < len(several):
        raise InputError("A summary needs predictions of one backbone or more, and no name twice.")
    if len(settings := {outputs.about.setting for outputs in several}) > 1:
        listed = "; ".join(sorted(map(str, settings)))
        raise InputError(f"A summary is of one setting; these are of several: {listed}.")
    require_same_faces(several)


def summarise(several: Sequence[Outputs], costs: Mapping[str, Cost], command: str) -> Summary:
    """Set models and their ensembles beside each other, as results.json holds it.

    Args:
        several: outputs of the same faces, read in the same way.
        costs: of single models, by name. An ensemble costs as much as its members together; where one of
            these is not known, its cost is left out.
        command: made the outputs; it is kept beside them.

    Raises:
        InputError: see `require_comparable`.
    """
    require_comparable(several)
    single = [outputs for outputs in several if not outputs.about.members]
    found = overlap([outputs.scored for outputs in single], single[0].labels)
    return {
        "measured_on": str(several[0].about.setting),
        "command": command,
        "date": today().isoformat(),
        "time_reference": reference_of(list(costs)),
        "models": {outputs.about.model: _model(outputs, costs) for outputs in several},
        "overlap": {"backbones": [outputs.about.model for outputs in single], **_overlap(found)},
    }


def write_summary(summary: Summary, folder: Path) -> None:
    """Write results.json, cost.png (if any cost is known), confusions.png and overlap.png into a folder."""
    write_text(folder / "results.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    models = summary["models"]
    marks = {
        name: plots.Mark(m["accuracy"], tuple(m["accuracy_interval"]), m["time"], "members" in m)
        for name, m in models.items()
        if "time" in m
    }
    if marks:
        plots.draw_cost(marks, summary["time_reference"], folder / "cost.png")
    counts = {name: np.array(model["confusion"]) for name, model in models.items()}
    plots.draw_confusions(counts, folder / "confusions.png")
    shared = summary["overlap"]
    found = Overlap(
        np.array(shared["same_answer"]),
        np.array(shared["shared_errors"], dtype=np.float64),  # None becomes NaN
        shared["all_right"],
        shared["any_right"],
    )
    plots.draw_overlap(shared["backbones"], found, folder / "overlap.png")


def zoo_table(summary: Summary) -> str:
    """Write the models of a results.json as a Markdown table, the most accurate first."""
    reference = summary["time_reference"]
    lines = [
        f"| {summary['measured_on']} | parameters | multiply-adds | time, {reference} = 1 "
        "| accuracy (95 % interval) | balanced | macro-F1 | ECE |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, model in sorted(summary["models"].items(), key=lambda item: -item[1]["accuracy"]):
        cost = (
            f"{model['parameters'] / 1e6:.1f} M | {model['multiply_adds'] / 1e6:,.0f} M | {model['time']:.1f}"
            if "time" in model
            else "– | – | –"
        )
        lines.append(f"| {name} | {cost} | {_rates_cells(Rates(**_only_rates(model)))} |")
        for part, rates in model.get("sets", {}).items():
            lines.append(f"| {name}: {part} | | | | {_rates_cells(Rates(**rates))} |")
    return "\n".join(lines)


def _only_rates(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in Rates.model_fields}


def _rates_cells(rates: Rates) -> str:
    """Accuracy with its interval, balanced accuracy, macro-F1 and ECE as cells of a Markdown table."""
    low, high = rates.accuracy_interval
    return (
        f"**{rates.accuracy:.1%}** ({low:.1%} to {high:.1%}) | {rates.balanced_accuracy:.1%} | "
        f"{rates.macro_f1:.1%} | {rates.ece:.1%}"
    )


def scores_table(cards: Sequence[Card]) -> str:
    """Write the measurements of cards as a Markdown table: free faces only.

    Each model and setting is a row, and each of the sets that were joined for it.
    """
    lines = [
        "| backbone | measured on | faces | accuracy (95 % interval) | balanced | macro-F1 | ECE | date |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for card in cards:
        for setting, scores, date in ((m.setting, m.scores, m.date) for m in card.measurements):
            if setting.occlusion is not None:
                continue
            parts = {
                str(setting): scores,
                **{f"{setting}: {name}": r for name, r in (scores.sets or {}).items()},
            }
            for what, rates in parts.items():
                lines.append(f"| {card.name} | {what} | {rates.n:,} | {_rates_cells(rates)} | {date} |")
    return "\n".join(lines)


def occlusion_table(cards: Sequence[Card]) -> str:
    """Write accuracy and macro-F1 under every occlusion as a Markdown table: a row a model."""
    columns = ("free", *OCCLUSIONS)
    lines = [f"| accuracy / macro-F1 | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for card in cards:
        found = card.under_occlusion(tuple(OCCLUSIONS))
        if found:
            cells = (_pair(found.get(kind)) for kind in (None, *OCCLUSIONS))
            lines.append(f"| {card.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pair(scores: Scores | None) -> str:
    return "–" if scores is None else f"{100 * scores.accuracy:.1f} / {100 * scores.macro_f1:.1f}"


def _model(outputs: Outputs, costs: Mapping[str, Cost]) -> dict[str, Any]:
    """Scores, cost and confusion of one model or ensemble."""
    cost = cost_of_all(costs, outputs.about.members or (outputs.about.model,))
    return {
        **record_of(outputs),
        **({} if cost is None else cost._asdict()),
        "confusion": confusion(outputs.scored, outputs.labels).tolist(),
    }


def _overlap(found: Overlap) -> dict[str, Any]:
    """An overlap as JSON values; NaN becomes None."""
    return {
        "same_answer": np.round(found.same_answer, DIGITS).tolist(),
        "shared_errors": [
            [None if np.isnan(share) else round(float(share), DIGITS) for share in row]
            for row in found.shared_errors
        ],
        "all_right": round(found.all_right, DIGITS),
        "any_right": round(found.any_right, DIGITS),
    }
