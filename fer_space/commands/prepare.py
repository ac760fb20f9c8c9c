"""`fer-space prepare`: write a data set as one manifest, and report what is in it.

DST gets `manifest.csv` (for `--data csv:DST/manifest.csv`), `report.json` and `distribution.png`, and
`images/` where the pictures came from an archive or from a table of numbers. Plain pictures stay where
they are.

fer-space prepare rafdb RAF-DB prepared/rafdb
fer-space prepare joint ckplus:CK+rafdb:RAF-DB+affectnet:AffectNet prepared/three

With --masks a share of the training faces wears a mask that follows the face's landmarks (`masked`).

Of a joint set, faces of train whose pixels are also in valid or test are dropped and listed, and faces of
valid whose pixels are in test.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.commands.masked import wear_masks
from fer_space.data import KINDS, collect, split_data
from fer_space.data.collection import Collection
from fer_space.data.fer_faces import SIDE
from fer_space.data.ferplus import TARGET_MODES
from fer_space.data.joining import find_leaks, join
from fer_space.data.manifest import nameable, write_manifest
from fer_space.data.report import as_text, build_report, count_near
from fer_space.data.survey import fingerprint, sift
from fer_space.data.tables import MANIFEST
from fer_space.data.twins import twin_view
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation.face_plots import draw_distribution

JOINT = "joint"
WITH_TWINS = ("ferplus", "fer2013")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    kinds = (*KINDS, JOINT)
    parser.add_argument("kind", choices=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument(
        "source", metavar="SRC", help="the data as their owner ships them; for joint KIND:PATH+KIND:PATH"
    )
    parser.add_argument("out", type=Path, metavar="DST", help="folder for manifest, report and picture")
    parser.add_argument(
        "--target",
        choices=TARGET_MODES,
        default="majority",
        help="how FERPlus votes are read for train; default: majority",
    )
    parser.add_argument(
        "--masks",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="draw masks on that share of the training faces, by their landmarks; default: 0",
    )


def run(args: argparse.Namespace) -> int:
    """Read everything once, write DST, print the report."""
    if not 0.0 <= args.masks <= 1.0:
        raise InputError("--masks is a share of the training faces, between 0 and 1.")
    joint = args.kind == JOINT
    pairs = split_data(args.source) if joint else [(args.kind, Path(args.source))]
    for kind, path in pairs:
        if kind == "csv" and path.resolve() == (args.out / MANIFEST).resolve():
            raise InputError(f"“{path}” would be overwritten: choose another DST.")
    parts = [collect(kind, path, target=args.target) for kind, path in pairs]
    with_twins = all(kind in WITH_TWINS for kind, _ in pairs)
    collection, prints, gray = examine(
        join(parts) if joint else parts[0], keep_gray=with_twins, leak_check=joint
    )
    report = build_report(collection, prints)
    if len(gray):
        report["twins"] = count_near(collection.rows, gray)
    if args.masks:
        rows, worn, unfitted = wear_masks(collection.rows, args.masks, Engine(device="cpu"))
        collection = replace(collection, rows=tuple(rows))
        report["masks"] = {"worn": worn, "without_landmarks": unfitted}
    write_manifest(collection, args.out)
    text = json.dumps(report, indent=1, ensure_ascii=True)
    (args.out / "report.json").write_text(text + "\n", encoding="utf-8")
    title = f"{collection.name}: {report['faces']:,} faces by emotion"
    counts = {split: np.array(list(faces.values())) for split, faces in report["counts"].items()}
    draw_distribution(counts, title, args.out / "distribution.png")
    print(f"{as_text(report)}\nwritten to {args.out}")
    return 0


def examine(
    collection: Collection, *, keep_gray: bool, leak_check: bool
) -> tuple[Collection, Sequence[str], NDArray[np.uint8]]:
    """Decode every picture once.

    Returns:
        The set without unreadable pictures and, with `leak_check`, without those that leak into a later
        split, the fingerprint of each face, and, with `keep_gray`, the faces as uint8 (N, 48, 48), else an
        empty array.
    """

    def look(image_rgb: NDArray[np.uint8]) -> tuple[str, NDArray[np.uint8] | None]:
        return fingerprint(image_rgb), twin_view(image_rgb) if keep_gray else None

    rows, unnameable = nameable(collection.rows)
    rows, bad, looks = sift(rows, look)
    if leak_check:
        leaks = find_leaks(rows, [seen for seen, _ in looks])
        kept = [i for i, leak in enumerate(leaks) if leak is None]
        bad += filter(None, leaks)
        rows, looks = [rows[i] for i in kept], [looks[i] for i in kept]
    gray: list[Any] = [small for _, small in looks if small is not None]
    pictures = np.stack(gray) if gray else np.zeros((0, SIDE, SIDE), dtype=np.uint8)
    return collection.without([*unnameable, *bad], rows), [seen for seen, _ in looks], pictures
