"""`fer-space prepare`: write a data set as one manifest, and report what is in it.

DST gets `manifest.csv` (for `--data csv:DST/manifest.csv`), `report.json` and `distribution.png`, and
`images/` where the pictures came from an archive or from a table of numbers. Plain pictures stay where
they are.

fer-space prepare rafdb RAF-DB prepared/rafdb
fer-space prepare joint ckplus:CK+rafdb:RAF-DB+affectnet:AffectNet prepared/three

With --align the faces of whole pictures are found, as the app finds them, and kept in the manifest: box, 68
landmarks and the transform to an upright crop. What is known from an earlier run is not looked for again.

fer-space prepare sfew SFEW prepared/sfew --align

With --masks a share of the training faces wears a mask that follows the face's landmarks.

Of a joint set, faces of train whose pixels are also in valid or test are dropped and listed, and faces of
valid whose pixels are in test.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from fer_space.data import KINDS, collect, split_data
from fer_space.data.faceset import TARGET_MODES
from fer_space.data.joining import join
from fer_space.data.manifest import write_manifest
from fer_space.data.prepare import align, examine, wear_masks
from fer_space.data.report import as_text
from fer_space.data.tables import MANIFEST
from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.engine import Engine
from fer_space.errors import InputError
from fer_space.evaluation.face_plots import draw_distribution
from fer_space.files import write_text
from fer_space.vision.alignment import CropRule

JOINT = "joint"
WITH_NEAR_DUPLICATES = ("ferplus", "fer2013")  # their faces were collected by search, many of them twice


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
        help="how votes are read for train; default: majority",
    )
    parser.add_argument(
        "--align",
        action="store_true",
        help="find the faces in whole pictures, and have them read upright and framed like FERPlus",
    )
    parser.add_argument(
        "--detect", choices=DETECTORS, help=f"what --align finds faces with; default: {DEFAULT_DETECTOR}"
    )
    parser.add_argument(
        "--backbone", metavar="NAME", help="frame the faces of --align as this model's card says"
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
    if not args.align and (args.detect or args.backbone):
        raise InputError("--detect and --backbone say how --align finds and frames faces: add --align.")
    engine = Engine(device="cpu")
    rule = engine.card(args.backbone).crop if args.backbone else CropRule()
    joint = args.kind == JOINT
    pairs = split_data(args.source) if joint else [(args.kind, Path(args.source))]
    for kind, path in pairs:
        if kind == "csv" and path.resolve() == (args.out / MANIFEST).resolve():
            raise InputError(f"“{path}” would be overwritten: choose another DST.")
    parts = [collect(kind, path, target=args.target) for kind, path in pairs]
    near = all(kind in WITH_NEAR_DUPLICATES for kind, _ in pairs)
    examined = examine(join(parts) if joint else parts[0], near=near, leaks=joint)
    collection, report = examined.collection, examined.report()
    if args.align:
        detector = args.detect or DEFAULT_DETECTOR
        found = align(collection, args.out, detector, partial(engine.detect, detector=detector), rule)
        collection = found.collection
        report["faces_found"] = found.report(detector)
    if args.masks:
        masked = wear_masks(collection, args.masks, engine.detect)
        collection = masked.collection
        report["masks"] = {"worn": masked.worn, "without_landmarks": masked.without_landmarks}
    write_manifest(collection, args.out)
    write_text(args.out / "report.json", json.dumps(report, indent=1, ensure_ascii=True) + "\n")
    title = f"{collection.name}: {report['faces']:,} faces by emotion"
    counts = {split: np.array(list(faces.values())) for split, faces in report["counts"].items()}
    draw_distribution(counts, title, args.out / "distribution.png")
    print(f"{as_text(report)}\nwritten to {args.out}")
    return 0
