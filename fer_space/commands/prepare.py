"""`fer-space prepare`: write a data set as one manifest, and report what is in it.

DST gets `manifest.csv` (for `--data csv:DST/manifest.csv`), `report.json` and `distribution.png`, and
`images/` where the pictures came from an archive or from a table of numbers. Plain pictures stay where
they are.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.data import KINDS, collect
from fer_space.data.collection import Collection
from fer_space.data.fer_faces import SIDE
from fer_space.data.ferplus import TARGET_MODES
from fer_space.data.manifest import MANIFEST, nameable, write_manifest
from fer_space.data.report import as_text, build_report, count_near
from fer_space.data.survey import fingerprint, sift
from fer_space.errors import InputError
from fer_space.evaluation.face_plots import draw_distribution
from fer_space.imaging import resize

WITH_TWINS = ("ferplus", "fer2013")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("source", type=Path, metavar="SRC", help="the data as their owner ships them")
    parser.add_argument("out", type=Path, metavar="DST", help="folder for manifest, report and picture")
    parser.add_argument(
        "--target",
        choices=TARGET_MODES,
        default="majority",
        help="how FERPlus votes are read for train; default: majority",
    )


def run(args: argparse.Namespace) -> int:
    """Read everything once, write DST, print the report."""
    if args.kind == "csv" and args.source.resolve() == (args.out / MANIFEST).resolve():
        raise InputError(f"“{args.source}” would be overwritten: choose another DST.")
    collection = collect(args.kind, args.source, target=args.target)
    collection, prints, gray = examine(collection, keep_gray=args.kind in WITH_TWINS)
    report = build_report(collection, prints)
    if len(gray):
        report["twins"] = count_near(collection.rows, gray)
    write_manifest(collection, args.out)
    text = json.dumps(report, indent=1, ensure_ascii=True)
    (args.out / "report.json").write_text(text + "\n", encoding="utf-8")
    title = f"{collection.name}: {report['faces']:,} faces by emotion"
    counts = {split: np.array(list(faces.values())) for split, faces in report["counts"].items()}
    draw_distribution(counts, title, args.out / "distribution.png")
    print(f"{as_text(report)}\nwritten to {args.out}")
    return 0


def examine(
    collection: Collection, *, keep_gray: bool
) -> tuple[Collection, Sequence[str], NDArray[np.uint8]]:
    """Decode every picture once.

    Returns:
        The set without unreadable pictures, the fingerprint of each face, and, with `keep_gray`, the faces
        as uint8 (N, 48, 48), else an empty array.
    """

    def look(image_rgb: NDArray[np.uint8]) -> tuple[str, NDArray[np.uint8] | None]:
        small = resize(image_rgb, (SIDE, SIDE))[..., 1].copy() if keep_gray else None
        return fingerprint(image_rgb), small

    rows, unnameable = nameable(collection.rows)
    rows, unreadable, looks = sift(rows, look)
    gray: list[Any] = [small for _, small in looks if small is not None]
    pictures = np.stack(gray) if gray else np.zeros((0, SIDE, SIDE), dtype=np.uint8)
    return collection.without([*unnameable, *unreadable], rows), [seen for seen, _ in looks], pictures
