"""What is in a data set: counts, dropped rows, duplicates, near-duplicates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.data.collection import Collection, Row
from fer_space.data.faceset import SPLITS, name_of
from fer_space.data.near_duplicates import THRESHOLD, count_near_duplicates
from fer_space.data.survey import same
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS

NO_SPLIT = "no split"


def build_report(collection: Collection, fingerprints: Sequence[str]) -> dict[str, Any]:
    """Everything that is known without near-duplicates, as plain values for JSON.

    `fingerprints` holds the sha256 of every row's decoded pixels.
    """
    rows = collection.rows
    return {
        "name": collection.name,
        "faces": len(rows),
        "classes": list(collection.classes),
        "counts": count_classes(rows),
        "without_emotion": sum(row.label == NO_ANSWER for row in rows),
        "with_affect": int(np.isfinite([row.affect for row in rows]).all(axis=1).sum()),
        "subjects": len({row.subject for row in rows if row.subject}),
        "with_box": sum(row.box_xyxy is not None for row in rows),
        "notes": list(collection.notes),
        "attributes": count_attributes(rows),
        "dropped": {
            "count": len(collection.dropped),
            "reasons": dict(Counter(bad.why for bad in collection.dropped).most_common()),
            "rows": [asdict(bad) for bad in collection.dropped],
        },
        "duplicates": count_duplicates(rows, fingerprints),
    }


def count_classes(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Split -> emotion -> faces, for the splits that occur."""
    counts = Counter((row.split or NO_SPLIT, row.label) for row in rows)
    return {
        split: {name: counts[split, i] for i, name in enumerate(EMOTIONS)}
        for split in (*SPLITS, NO_SPLIT)
        if any(key[0] == split for key in counts)
    }


def count_attributes(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Attribute -> value -> faces, for what the owner says of the people."""
    names = dict.fromkeys(name for row in rows for name in row.attributes)
    return {
        name: dict(sorted(Counter(r.attributes[name] for r in rows if name in r.attributes).items()))
        for name in names
    }


def count_duplicates(rows: Sequence[Row], fingerprints: Sequence[str]) -> dict[str, Any]:
    """Groups of faces with exactly the same decoded pixels, and those that cross splits or disagree."""
    groups = same(fingerprints)
    return {
        "groups": len(groups),
        "faces": sum(map(len, groups)),
        "groups_across_splits": sum(len({rows[i].split for i in group}) > 1 for group in groups),
        "groups_with_different_labels": sum(len({rows[i].label for i in group}) > 1 for group in groups),
        "files": [
            [{"file": rows[i].file, "split": rows[i].split, "label": name_of(rows[i].label)} for i in group]
            for group in groups
        ],
    }


def count_near(rows: Sequence[Row], gray: NDArray[np.uint8]) -> dict[str, Any]:
    """How many faces have a near-duplicate; gray is uint8 (N, h, w), one a row."""
    splits = np.array([row.split for row in rows])
    train = gray[splits == "train"]
    return {
        "threshold": THRESHOLD,
        "faces_with_a_twin": count_near_duplicates(gray),
        "with_a_twin_in_train": {
            split: count_near_duplicates(gray[splits == split], train) for split in ("valid", "test")
        },
    }


def as_text(report: dict[str, Any]) -> str:
    """The report for a person: a table of counts and a few sentences."""
    counts, dropped, same_pixels = report["counts"], report["dropped"], report["duplicates"]
    lines = [f"{report['name']}: {report['faces']:,} faces", " " * 12 + "".join(f"{s:>10}" for s in counts)]
    for name in report["classes"]:
        lines.append(f"  {name:<10}" + "".join(f"{counts[split][name]:>10,}" for split in counts))
    lines.append(f"  {'all':<10}" + "".join(f"{sum(counts[split].values()):>10,}" for split in counts))
    if bare := report["without_emotion"]:
        lines.append(f"valence and arousal alone, no emotion: {bare:,} faces")
    lines += report["notes"]
    lines.append(f"valence and arousal: {report['with_affect']:,} faces; subjects: {report['subjects']:,}")
    lines.append(f"dropped: {dropped['count']:,}")
    lines += [f"  {count:,}: {why}" for why, count in list(dropped["reasons"].items())[:10]]
    lines.append(
        f"exact duplicates: {same_pixels['faces']:,} faces in {same_pixels['groups']:,} groups, "
        f"{same_pixels['groups_across_splits']:,} groups across splits, "
        f"{same_pixels['groups_with_different_labels']:,} with different labels"
    )
    if faces := report.get("faces_found"):
        lost = ", ".join(f"{count:,} of {split}" for split, count in faces["not_found"].items())
        lines.append(
            f"aligned: {faces['found']:,} faces found by {faces['detector']} "
            f"({faces['known_before']:,} known from before), {faces['with_landmarks']:,} with landmarks"
        )
        lines += (
            [f"no face found in {lost}: train leaves them out, the others are read whole"] if lost else []
        )
    if groups := report.get("attributes"):
        lines += [f"{name}: {_counted(counts)}" for name, counts in groups.items()]
    if masks := report.get("masks"):
        lines.append(f"masks: {masks['worn']:,} worn; {masks['without_landmarks']:,} faces without landmarks")
    if near := report.get("twins"):
        across = ", ".join(f"{n:,} of {split}" for split, n in near["with_a_twin_in_train"].items())
        lines.append(
            f"near-duplicates (correlation {near['threshold']} or more): "
            f"{near['faces_with_a_twin']:,} faces; with one in train: {across}"
        )
    return "\n".join(lines)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{value} {count:,}" for value, count in counts.items())
