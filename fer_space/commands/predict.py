"""`fer-space predict`: read the faces in pictures."""

import argparse
import json
import re
import sys
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.alignment import map_to_photo
from fer_space.commands.options import add_device, backbone_names
from fer_space.engine import Engine
from fer_space.errors import FerSpaceError
from fer_space.imaging import decode_image, encode_png
from fer_space.registry import DEFAULT_DETECTOR, DETECTORS
from fer_space.render import overlay
from fer_space.report import comparison_record
from fer_space.sources import read_source
from fer_space.types import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="file, folder, - or http(s) URL")
    parser.add_argument("--backbones", default="all", metavar="A,B|all", help="which backbones read")
    parser.add_argument("--detector", default=DEFAULT_DETECTOR, choices=DETECTORS, help="who finds the faces")
    parser.add_argument("--cam", type=Path, metavar="DIR", help="write attention overlays as PNG into DIR")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Read every source; a bad one is reported and the rest are done."""
    engine = Engine(device=args.device)
    names = backbone_names(args.backbones, engine.backbones)
    done = failed = 0
    for name, content in chain.from_iterable(map(read_source, args.sources)):
        try:
            if isinstance(content, FerSpaceError):
                raise content
            image_rgb = decode_image(content)
        except FerSpaceError as error:
            print(f"fer-space: {name}: {error}", file=sys.stderr)
            failed += 1
            continue
        comparisons = engine.compare(image_rgb, backbones=names, detector=args.detector)
        height, width = image_rgb.shape[:2]
        record = comparison_record(name, (width, height), comparisons)
        print(
            json.dumps(record, ensure_ascii=False) if args.json else describe(name, comparisons), flush=True
        )
        if args.cam is not None:
            stem = f"{done + failed + 1:03d}-{file_stem(name)}"
            write_overlays(args.cam, stem, comparisons)
            write_photos(args.cam, stem, image_rgb, comparisons)
        done += 1
    if failed:
        return 1 if done else 2
    return 0


def describe(name: str, comparisons: list[Comparison]) -> str:
    """The faces of one picture as lines for a person."""
    if not comparisons:
        return f"{name}: no face found"
    lines = [f"{name}: {len(comparisons)} face{'s' if len(comparisons) > 1 else ''}"]
    for number, comparison in enumerate(comparisons, start=1):
        box = ", ".join(f"{edge:.0f}" for edge in comparison.face.box_xyxy)
        lines.append(f"  face {number} at ({box}): {comparison.consensus}")
        for p in comparison.predictions:
            lines.append(
                f"    {p.backbone:<22} {p.label:<10} {p.confidence:6.1%}   valence {p.valence:+.2f}  "
                f"arousal {p.arousal:+.2f} ({p.va_source})   {p.ms:.0f} ms"
            )
    return "\n".join(lines)


def write_overlays(folder: Path, stem: str, comparisons: list[Comparison]) -> None:
    """Write one PNG a face and backbone: the map of its top emotion over the crop."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, comparison in enumerate(comparisons, start=1):
        for reading in comparison.readings:
            label = reading.prediction.label
            picture = overlay(reading.crop.image_rgb, reading.explanations[label].heatmap)
            path = folder / f"{stem}-face{number}-{reading.prediction.backbone}-{label}.png"
            path.write_bytes(encode_png(picture))


def write_photos(
    folder: Path, stem: str, image_rgb: NDArray[np.uint8], comparisons: list[Comparison]
) -> None:
    """Write one PNG a backbone: the maps of all faces drawn back on the whole photo."""
    for column in zip(*(comparison.readings for comparison in comparisons), strict=True):
        heat = np.zeros(image_rgb.shape[:2], dtype=np.float32)
        for reading in column:
            explanation = reading.explanations[reading.prediction.label]
            heat = np.maximum(heat, map_to_photo(explanation.heatmap, reading.crop, image_rgb.shape[:2]))
        path = folder / f"{stem}-photo-{column[0].prediction.backbone}.png"
        path.write_bytes(encode_png(overlay(image_rgb, heat)))


def file_stem(source: str) -> str:
    """A short file name for a source of any kind: its last part, in letters, digits, dot, dash."""
    last = source.split("?")[0].rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", last.rsplit(".", 1)[0])[:60].strip("._-") or "picture"
