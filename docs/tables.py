"""Write the tables of README and docs from stored figures: `python -m docs.tables` (`make tables`).

A table stands between two marks, and nobody edits what is between them:

    <!-- table: models -->
    | model | ... |
    <!-- end of table -->

Figures come from the cards in weights/, from weights/ensemble.json and from the files beside this one that
commands wrote: results.json, abstention.json, faithfulness.json, study.json and its like, affect.jsonl.
Without --check, files are rewritten where they are stale; with it they are only named, and the exit status
is 1.
"""

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import affect_folds, ckplus_folds, faithfulness, ladder, operating_points, study
from fer_space.card import FERPLUS_TEST, Card, Fit, Setting, read_fits
from fer_space.evaluation.ensemble import ENSEMBLE, WEIGHTED
from fer_space.evaluation.report import occlusion_table, scores_table, zoo_table
from fer_space.external.specs import MANIFEST
from fer_space.registry import Registry, ShippedModel

DOCS = Path(__file__).parent
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
TABLE = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
MISSING = "–"
BOOSTED = FERPLUS_TEST.model_copy(update={"boost_rare": True})
RARE = ("disgust", "fear", "contempt")
# A column of the table of models stands where most of them were measured so.
OTHERS: Mapping[str, Setting] = {
    "under a surgical mask": FERPLUS_TEST.model_copy(update={"occlusion": "surgical"}),
    "posed (CK+)": Setting(data="ckplus-peaks", split="test"),
    "synthetic (DiffusionFER)": Setting(data="diffusionfer", split="test"),
}


def models_table() -> str:
    """Write the one table of README: what each model and ensemble costs and reaches on FERPlus."""
    cards, measured = shipped_cards(), stored("results.json")["models"]
    asked = [title for title, setting in OTHERS.items() if 2 * _count(cards, setting) > len(cards)]
    head = ["model", "parameters", "time", "accuracy (95 % interval)", "balanced", "ECE", *asked]
    rows = []
    for card in cards:
        found = card.measured(FERPLUS_TEST)
        cells = [f"`{card.name}`", f"{card.parameters / 1e6:.1f} M", _time(measured.get(card.name))]
        cells += _rates(None if found is None else found.scores.model_dump())
        for title in asked:
            cells.append(_other(card, OTHERS[title]))
        rows.append((-1.0 if found is None else found.scores.accuracy, cells))
    for title, members in ensembles(cards):
        record = measured[title]
        parameters = sum(card.parameters for card in cards if card.name in members)
        times = [measured[name]["time"] for name in members if "time" in measured.get(name, {})]
        time = f"{sum(times):.1f}" if len(times) == len(members) else MISSING
        name = {ENSEMBLE: "plain mean", WEIGHTED: "fitted mean"}[title]
        cells = [f"{name} of {len(members)}", f"{parameters / 1e6:.1f} M", time, *_rates(record)]
        rows.append((record["accuracy"], cells + [MISSING] * len(asked)))
    return grid(head, [cells for _, cells in sorted(rows, key=lambda row: -row[0])], left=1)


def recalls_table() -> str:
    """Write the recall of rare emotions at both operating points, and what the second one costs."""
    rows = []
    for card in shipped_cards():
        plain, boosted = card.measured(FERPLUS_TEST), card.measured(BOOSTED)
        if plain is None or boosted is None:
            continue
        a, b = plain.scores, boosted.scores
        cells = [f"{100 * a.per_class[e]:.0f} → {100 * b.per_class[e]:.0f}" for e in RARE]
        cells += [f"{a.accuracy:.1%} → {b.accuracy:.1%}"]
        cells += [f"{a.balanced_accuracy:.1%} → {b.balanced_accuracy:.1%}"]
        rows.append([card.name, *cells])
    return grid(["model", *RARE, "accuracy", "balanced"], rows, left=1)


def classes_table() -> str:
    """Write the recall of every emotion on the FERPlus test split."""
    found = [(card.name, card.measured(FERPLUS_TEST)) for card in shipped_cards()]
    known = [(name, measured.scores.per_class) for name, measured in found if measured is not None]
    emotions = list(known[0][1]) if known else []
    rows = [[name, *(f"{recall.get(e, 0.0):.0%}" for e in emotions)] for name, recall in known]
    return grid(["model", *emotions], rows, left=1)


def near_duplicates_table() -> str:
    """Write what is left of each figure without faces that also lie in the training split."""
    rows = []
    for card in shipped_cards():
        found = card.measured(FERPLUS_TEST)
        if found is None or (rest := found.scores.without_near_duplicates) is None:
            continue
        low, high = rest.accuracy_interval
        rows.append(
            [
                card.name,
                f"{found.scores.near_duplicates}",
                f"{found.scores.accuracy:.1%} → {rest.accuracy:.1%} ({low:.1%} to {high:.1%})",
                f"{found.scores.balanced_accuracy:.1%} → {rest.balanced_accuracy:.1%}",
            ]
        )
    return grid(["model", "near-duplicates", "accuracy", "balanced"], rows, left=1)


def shares_table() -> str:
    """Write the members of the fitted ensembles and how much each counts."""
    fits = read_fits()
    names = {name for fit in fits for name in fit.shares}
    ranked = sorted(names, key=lambda name: [-fit.shares.get(name, 0.0) for fit in fits])
    rows = [[name, *(_share(fit, name) for fit in fits)] for name in ranked]
    return grid(["member", *(f"share in “{fit.name}”" for fit in fits)], rows, left=1)


def _share(fit: Fit, name: str) -> str:
    return f"{fit.shares[name]:.1%}" if name in fit.shares else MISSING


def overlap_table() -> str:
    """Write how many faces all models of results.json, or at least one of them, answer rightly."""
    shared = stored("results.json")["overlap"]
    cells = [str(len(shared["backbones"])), f"{shared['all_right']:.1%}", f"{shared['any_right']:.1%}"]
    return grid(["models", "faces that all answer rightly", "faces that at least one does"], [cells], left=0)


def abstention_table() -> str:
    """Write how well each model's best signal of doubt tells faces without a label apart."""
    rows = []
    for name, record in stored("abstention.json")["models"].items():
        signal, best = max(record["signals"].items(), key=lambda item: item[1]["auroc"])
        shares = [best[key] for key in ("known_passing", "others_passing", "accuracy_of_passing")]
        cells = [f"{share:.1%}" for share in (record["accuracy"], *shares)]
        rows.append([_named(name), signal, f"{best['auroc']:.3f}", f"{best['fpr_at_95']:.1%}", *cells])
    head = ["model", "best signal", "AUROC", "FPR at 95 %", "right on known faces"]
    head += ["known that pass", "others that pass", "right on those that pass"]
    return grid(head, rows, left=2)


def taggers_table() -> str:
    """Write how models stand beside the taggers of the same faces."""
    rows = []
    for name, record in stored("abstention.json")["models"].items():
        people = record["taggers"]
        agree = [f"{people[key]:.1%}" for key in ("model", "one_tagger")]
        rows.append([_named(name), *agree, f"{people['kl_bits']:.2f}", f"{people['js_bits']:.3f}"])
    head = ["model", "says what most of nine taggers say", "one tagger does", "KL from the votes, bits"]
    return grid([*head, "Jensen-Shannon, bits"], rows, left=1)


def _named(name: str) -> str:
    return {ENSEMBLE: "plain mean of these", WEIGHTED: "fitted mean of these"}.get(name, f"`{name}`")


def calibration_table() -> str:
    """Write what the temperature of each model changes on the validation split."""
    rows = []
    for card in shipped_cards():
        if (valid := card.validation) is None:
            continue
        eces = f"{valid.before_temperature.ece:.1%} → {valid.calibrated.ece:.1%}"
        bias = "yes" if any(card.bias) else "none"
        accuracy = f"{valid.calibrated.accuracy:.1%}"
        rows.append([card.name, f"{valid.calibrated.n:,}", accuracy, bias, f"{card.temperature:.3f}", eces])
    head = ["model", "faces", "accuracy", "bias for rare emotions", "temperature", "ECE"]
    return grid(head, rows, left=1)


def fp16_table() -> str:
    """Write what storing weights in half precision changes on the validation split."""
    rows = []
    for card in shipped_cards():
        check = card.validation.fp16 if card.validation else None
        if check is not None:
            both = [f"{check.accuracy_full:.2%}", f"{check.accuracy_half:.2%}"]
            rows.append([card.name, *both, f"{check.changed_answers} of {check.n:,}", check.kept])
    return grid(["model", "fp32", "fp16", "answers that differ", "kept"], rows, left=1)


def agreement_table() -> str:
    """Write how well valence and arousal follow labels, where a data set has them."""
    rows = []
    for card in shipped_cards():
        for found in card.measurements:
            if (affect := found.scores.affect) is not None:
                both = (affect.valence, affect.arousal)
                cells = [MISSING if a.ccc is None else f"{a.ccc:.3f}" for a in both]
                rows.append([card.name, str(found.setting), affect.source, f"{affect.n:,}", *cells])
    return grid(["model", "measured on", "source", "faces", "CCC valence", "CCC arousal"], rows, left=3)


def rivals_table() -> str:
    """Write what is known of the networks of others that are shipped for comparison."""
    rivals = [source.card() for source in shipped() if source.kind == "rival"]
    rows = [[f"`{c.name}`", f"{c.parameters:,}", str(len(c.labels)), c.data, c.licence] for c in rivals]
    return grid(["model", "parameters", "emotions", "learned from", "licence"], rows, left=5)


def external_table() -> str:
    """Write the external models that `fer-space fetch` knows by name."""
    rows = [[f"`{s.name}`", s.title, s.data, s.licence] for s in MANIFEST.values()]
    return grid(["name", "title", "learned from", "licence"], rows, left=4)


def study_table(file: str, split: str) -> str:
    """Write what a study of benchmarks/study.py found on a split."""
    return study.markdown(stored(file)["results"][split])


TABLES: dict[str, Callable[[], str]] = {
    "models": models_table,
    "zoo": lambda: zoo_table(stored("results.json")),
    "scores": lambda: scores_table(shipped_cards()),
    "occlusions": lambda: occlusion_table(shipped_cards()),
    "recalls": recalls_table,
    "classes": classes_table,
    "near-duplicates": near_duplicates_table,
    "shares": shares_table,
    "overlap": overlap_table,
    "points": lambda: operating_points.points_table(stored("operating-points.json")),
    "ensembles": lambda: operating_points.ensembles_table(stored("operating-points.json")),
    "unseen": lambda: operating_points.unseen_table(stored("operating-points.json")),
    "ladder": lambda: ladder.markdown(stored("ladder.json")),
    "ckplus-folds": lambda: ckplus_folds.markdown(stored("ckplus-folds.json")),
    "abstention": abstention_table,
    "taggers": taggers_table,
    "calibration": calibration_table,
    "fp16": fp16_table,
    "agreement": agreement_table,
    "rivals": rivals_table,
    "external": external_table,
    "faithfulness": lambda: faithfulness.markdown(stored("faithfulness.json")["backbones"]),
    **{
        f"{Path(known.file).stem}-{split}": partial(study_table, known.file, split)
        for known in study.STUDIES.values()
        for split in ("valid", "test")
    },
    "affect": lambda: affect_folds.markdown(
        [json.loads(line) for line in (DOCS / "affect.jsonl").read_text(encoding="utf-8").splitlines()]
    ),
}


def written(text: str) -> str:
    """Give the text of a page with every table as it should be now.

    Raises:
        KeyError: a mark names a table that is none.
    """
    return TABLE.sub(lambda mark: f"{mark[1]}{TABLES[mark['name']]()}\n{mark[3]}", text)


def shipped() -> list[ShippedModel]:
    """List the models whose weights are in this repository."""
    return [source for source in Registry().present().values() if isinstance(source, ShippedModel)]


def shipped_cards() -> list[Card]:
    """Read the cards of these models."""
    return [source.card() for source in shipped()]


def ensembles(cards: Sequence[Card]) -> list[tuple[str, tuple[str, ...]]]:
    """List the ensembles that results.json knows with their members, those of the fit by their shares."""
    models = stored("results.json")["models"]
    fits: tuple[Fit, ...] = read_fits()
    members = {ENSEMBLE: tuple(models.get(ENSEMBLE, {}).get("members", ()))}
    members[WEIGHTED] = tuple(fits[0].shares) if fits else ()
    names = {card.name for card in cards}
    return [(title, those) for title, those in members.items() if title in models and set(those) <= names]


def stored(name: str) -> dict[str, Any]:
    """Read a JSON file of this folder."""
    found: dict[str, Any] = json.loads((DOCS / name).read_text(encoding="utf-8"))
    return found


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Write a Markdown table whose first `left` columns are aligned to the left, the others to the right."""
    rule = "|" + "|".join("---" if k < left else "---:" for k in range(len(head))) + "|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(row)} |" for row in rows)])


def _rates(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return [MISSING] * 3
    low, high = record["accuracy_interval"]
    return [
        f"**{record['accuracy']:.1%}** ({low:.1%} to {high:.1%})",
        f"{record['balanced_accuracy']:.1%}",
        f"{record['ece']:.1%}",
    ]


def _other(card: Card, setting: Setting) -> str:
    """Accuracy in another setting, with a star if other faces of the set were learned from.

    Of CK+'s people only for models that never saw one of them: some of these were learned from.
    """
    found = card.measured(setting)
    data, _, peaks = setting.data.partition("-")
    seen = data != "ferplus" and data in card.data.split("+")
    if found is None or (seen and peaks):
        return MISSING
    return f"{found.scores.accuracy:.1%}" + (r"\*" if seen else "")


def _time(record: Mapping[str, Any] | None) -> str:
    return f"{record['time']:.1f}" if record and "time" in record else MISSING


def _count(cards: Sequence[Card], setting: Setting) -> int:
    return sum(card.measured(setting) is not None for card in cards)


def main() -> int:
    """Rewrite every page whose tables are stale, or name it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit status 1 if a page is stale"
    )
    args = parser.parse_args()
    stale = {page: new for page in PAGES if (new := written(old := page.read_text(encoding="utf-8"))) != old}
    for page, new in stale.items():
        print(page.relative_to(DOCS.parent))
        if not args.check:
            page.write_text(new, encoding="utf-8")
    return int(bool(stale and args.check))


if __name__ == "__main__":
    raise SystemExit(main())
