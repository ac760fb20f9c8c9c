"""`fer-space predict`: read the faces in pictures, free and occluded, and in videos.

fer-space predict photo.jpg --cam maps --explain consensus
fer-space predict photo.jpg --occlude surgical --cam maps
fer-space predict clip.mp4 --every 3 --backbones mobilenet_v2,efficientnet_lite0 --parquet clip.parquet
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.bulk import BulkReader, write_parquet
from fer_space.cluster import WORKERS, write_with_ray
from fer_space.commands.options import (
    add_boost_rare,
    add_device,
    add_runtime,
    backbone_names,
    exit_status,
)
from fer_space.comparison import CONSENSUS, PREDICTED, Change, Comparison, Covered
from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import FerSpaceError, InputError, OutputError, WeightsError
from fer_space.explain.library import METHODS
from fer_space.explain.maps import DEFAULT
from fer_space.files import replacing
from fer_space.occlusion import OCCLUSIONS
from fer_space.occlusion.cover import Cover
from fer_space.registry import file_name_of
from fer_space.render.overlays import overlay
from fer_space.render.record import comparison_record, covered_record, watched_record
from fer_space.render.rows import ParquetRows, watched_rows
from fer_space.sources.files import as_text, read_source
from fer_space.types import FaceCrop, Prediction
from fer_space.vision.alignment import maps_to_photo
from fer_space.vision.imaging import decode_image, encode_png
from fer_space.vision.video import Video, is_video_file
from fer_space.watch import Watched

Image = NDArray[np.uint8]

# Name, answer, how sure, valence and its change, arousal and its change, shift.
_COLUMNS = "    {:<26} {:<10} {:>6}   {:>7} {:>7}   {:>7} {:>7}   {:>9}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add = parser.add_argument
    add("sources", nargs="+", metavar="SOURCE", help="file, folder, - or http(s) URL; a video as a file")
    add("--backbones", default="all", metavar="A,B|all", help="which backbones read")
    add("--detector", default=DEFAULT_DETECTOR, choices=DETECTORS, help="who finds the faces")
    add("--occlude", choices=OCCLUSIONS, help="occlude every face as well, and say what that changes")
    add_boost_rare(parser)
    add(
        "--ensemble",
        default="",
        metavar="NAME",
        help="how all become one answer: ferplus (as fitted on everyday faces, the default) or posed",
    )
    add("--cam", type=Path, metavar="DIR", help="write attention overlays as PNG into DIR")
    add(
        "--explain",
        choices=(PREDICTED, CONSENSUS, *EMOTIONS),
        metavar="EMOTION",
        help="with --cam or --json: the emotion to explain, predicted (each one's own answer) or consensus",
    )
    add("--method", choices=METHODS, help=f"how maps are made; default: {DEFAULT}")
    add("--every", type=_at_least_one, metavar="N", help="of a video, read every N-th frame; default: all")
    add("--json", action="store_true", help="one JSON object a line: a picture, or a frame of a video")
    add(
        "--parquet",
        type=Path,
        metavar="FILE",
        help="write a table: of pictures a row a face, of videos a row a face, backbone and frame",
    )
    add(
        "--engine",
        choices=("here", "ray"),
        default="here",
        help="with --parquet of pictures: on this machine, or on Ray",
    )
    add(
        "--workers", type=int, metavar="N", help=f"with --engine ray: processes that read; default: {WORKERS}"
    )
    add_device(parser)
    add_runtime(parser)


def run(args: argparse.Namespace) -> int:
    """Read every source; a bad one is reported and the rest are done."""
    check(args)
    films = [is_video_file(source) for source in args.sources]
    if args.parquet is not None and any(films) and not all(films):
        raise InputError("--parquet holds pictures or videos: read them into two tables.")
    if args.every is not None and not any(films):
        raise InputError("--every reads videos, and none of the sources is one.")
    if args.engine == "ray" and any(films):
        raise InputError("--engine ray reads pictures and no videos.")
    engine = Engine(device=args.device, runtime=args.runtime)
    names = (
        usable_names(engine) if args.backbones == "all" else backbone_names(args.backbones, engine.registry)
    )
    if args.parquet is not None and engine.runtime == "auto":  # much to read repays the seconds
        for name in names:
            engine.model(name).compile()
    if args.parquet is not None and not any(films):
        return _write_table(engine, names, args)
    done = failed = 0
    with _table(args.parquet) as table:
        for name, content in chain.from_iterable(map(_read_source, args.sources)):
            try:
                if isinstance(content, FerSpaceError):
                    raise content
                if isinstance(content, Path):
                    _watch(engine, names, content, args, table)
                else:
                    image_rgb = decode_image(content)
                    _predict(engine, names, name, image_rgb, args, number=done + failed + 1)
                done += 1
            except OutputError:
                raise
            except FerSpaceError as error:
                print(f"fer-space: {name}: {error}", file=sys.stderr)
                failed += 1
        if table is not None and not done:
            what = "is as it was" if args.parquet.exists() else "is not written"
            raise InputError(f"No video could be read: {args.parquet} {what}.")
    return exit_status(failed, done + failed)


def usable_names(engine: Engine) -> list[str]:
    """Load all models; those that cannot be used are named on stderr, and the others read.

    Raises WeightsError where none is left.
    """
    engine.preload()
    for name, problem in engine.problems.items():
        print(f"fer-space: without {name}: {problem}", file=sys.stderr)
    if not engine.backbones:
        raise WeightsError("There are no weights here that can be used. Train a backbone and export it.")
    return list(engine.backbones)


def check(args: argparse.Namespace) -> None:
    """Raise InputError for options that need another one, or cannot go with it."""
    if args.parquet is not None:
        given = [f"--{name}" for name in ("cam", "explain", "method", "occlude") if getattr(args, name)]
        if given:
            raise InputError(f"--parquet writes answers alone: leave out {', '.join(given)}.")
    elif args.engine != "here":
        raise InputError("--engine ray needs --parquet DIR, where the table is written.")
    if args.workers is not None and args.engine == "here":
        raise InputError("--workers needs --engine ray: without it one process reads.")
    if args.explain is not None and args.cam is None and not args.json:
        raise InputError("--explain needs --cam DIR, where the maps are drawn, or --json.")
    if args.method is not None and args.cam is None and args.explain is None:
        raise InputError("--method needs maps: --cam DIR, where they are drawn, or --explain with --json.")


def _write_table(engine: Engine, names: Sequence[str], args: argparse.Namespace) -> int:
    """Read every source into a table; what could not be read stands in it, too."""
    if args.json:
        raise InputError("--parquet of pictures prints nothing: leave out --json.")
    reader = BulkReader(
        engine, names, detector=args.detector, boost_rare=args.boost_rare, ensemble=args.ensemble
    )
    if args.engine == "ray":
        written = write_with_ray(
            reader, args.sources, args.parquet, workers=WORKERS if args.workers is None else args.workers
        )
    else:
        written = write_parquet(reader, args.sources, args.parquet)
    counts = f"{written.read} pictures read now, {written.failed} could not be read"
    print(f"fer-space: {args.parquet}: {counts}", file=sys.stderr)
    return exit_status(written.failed, written.pictures)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return int(text)


def _read_source(source: str) -> Iterator[tuple[str, bytes | InputError | Path]]:
    """What a source names: bytes of pictures, or the path of a video, which is not read at once."""
    if is_video_file(source):
        yield source, Path(source)
    else:
        yield from read_source(source)


@contextmanager
def _table(path: Path | None) -> Iterator[ParquetRows | None]:
    """The table that is asked for; it appears when all is written."""
    if path is None:
        yield None
        return
    with replacing(path) as temporary, ParquetRows(temporary) as table:
        yield table


def _watch(
    engine: Engine, names: Sequence[str], path: Path, args: argparse.Namespace, table: ParquetRows | None
) -> None:
    """Read a video frame by frame and print what was read in each."""
    for option in ("cam", "explain", "method", "occlude"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option} reads pictures and no videos.")
    source = as_text(str(path))
    with Video(path, every=args.every or 1) as video:
        how = {"detector": args.detector, "boost_rare": args.boost_rare, "ensemble": args.ensemble}
        for watched in engine.watch(video, backbones=names, **how):
            if table is not None:
                table.write(watched_rows(source, watched))
            record = json.dumps(watched_record(source, watched), ensure_ascii=False) if args.json else ""
            print(record or describe_frame(source, watched), flush=True)
    if video.damaged:
        print(f"fer-space: {source}: {video.damaged} damaged pieces were left out", file=sys.stderr)


def _predict(
    engine: Engine,
    names: Sequence[str],
    source: str,
    image_rgb: Image,
    args: argparse.Namespace,
    number: int,
) -> None:
    """Read one picture, print what was read and write its maps, which are only made if they are shown."""
    shown = args.cam is not None or args.explain is not None
    method = (args.method or DEFAULT) if shown else None
    how: dict[str, Any] = {"method": method, "boost_rare": args.boost_rare, "ensemble": args.ensemble}
    free = engine.compare(image_rgb, backbones=names, detector=args.detector, **how)
    size_wh = (image_rgb.shape[1], image_rgb.shape[0])
    target, stem = args.explain or PREDICTED, f"{number:03d}-{file_stem(source)}"
    if args.cam is not None:
        write_maps(args.cam, stem, image_rgb, free, target)
    if args.occlude is None:
        record, text = comparison_record(source, size_wh, free, args.explain or ""), describe(source, free)
    else:
        cover = Cover(args.occlude)
        covered = engine.compare_covered(image_rgb, cover, before=free, **how)
        record = covered_record(source, size_wh, covered, args.explain or "")
        text = describe_covered(source, covered)
        if args.cam is not None:
            photo = cover.on_photo(image_rgb, [face.before.face for face in covered])
            after = [face.after for face in covered]
            write_maps(args.cam, f"{stem}-{args.occlude}", photo, after, target)
    print(json.dumps(record, ensure_ascii=False) if args.json else text, flush=True)


def describe(name: str, comparisons: Sequence[Comparison]) -> str:
    """Write the faces of one picture as lines for a person."""
    lines = [_found(name, len(comparisons))]
    for number, comparison in enumerate(comparisons, start=1):
        lines.append(_face(number, comparison))
        lines += map(_answer, comparison.predictions)
    return "\n".join(lines)


def describe_frame(name: str, watched: Watched) -> str:
    """Write one frame of a video as a line for a person."""
    faces = []
    for seen in watched.faces:
        face, split = seen.comparison, "" if seen.comparison.agreement == 1.0 else " (the backbones disagree)"
        faces.append(f"face {seen.track} {face.consensus} {face.together[face.consensus]:.1%}{split}")
    return f"{name} at {watched.time:.2f} s: {', '.join(faces) or 'no face found'}"


def describe_covered(name: str, covered: Sequence[Covered]) -> str:
    """Write the same as a table a face: below each answer what it becomes, its values and their changes."""
    lines = [_found(name, len(covered))]
    for number, face in enumerate(covered, start=1):
        total = len(face.changes)
        kept = f"{len(face.kept)} of {total} {'keeps' if len(face.kept) == 1 else 'keep'} the answer"
        lines.append(f"{_face(number, face.before)}; with {face.kind}: {face.after.consensus} ({kept})")
        lines.append(
            _COLUMNS.format("", "answer", "sure", *("valence", "change", "arousal", "change"), "shift")
        )
        for change in face.changes:
            lines += _change(change)
    return "\n".join(lines)


def _found(name: str, faces: int) -> str:
    return f"{name}: {faces or 'no'} face{'s' if faces > 1 else ''}{'' if faces else ' found'}"


def _face(number: int, comparison: Comparison) -> str:
    box = ", ".join(f"{edge:.0f}" for edge in comparison.face.box_xyxy)
    several = len(comparison.readings) > 1
    return f"  face {number} at ({box}): {comparison.consensus}" + (
        f" {comparison.together[comparison.consensus]:.1%} by {comparison.rule}" if several else ""
    )


def _answer(p: Prediction) -> str:
    return (
        f"    {p.backbone:<26} {p.label:<10} {p.confidence:6.1%}   valence {p.valence:+.2f}  "
        f"arousal {p.arousal:+.2f} ({p.va_source})   {p.ms:.0f} ms"
    )


def _change(change: Change) -> tuple[str, str]:
    """A row before it is occluded, without changes, and one after."""
    moved = [f"{movement:+.2f}" for movement in change.movement]
    return (
        _row(change.backbone, change.before.prediction, ["", ""], ""),
        _row(
            f"  {'kept' if change.kept else 'changed'}",
            change.after.prediction,
            moved,
            f"{change.shift:.2f} bits",
        ),
    )


def _row(name: str, p: Prediction, moved: Sequence[str], shift: str) -> str:
    valence, arousal = f"{p.valence:+.2f}", f"{p.arousal:+.2f}"
    return _COLUMNS.format(
        name, p.label, f"{p.confidence:.1%}", *(valence, moved[0], arousal, moved[1]), shift
    ).rstrip()


def write_maps(
    folder: Path, stem: str, image_rgb: Image, comparisons: Sequence[Comparison], target: str
) -> None:
    """Write maps as PNG: one a face and model, over its crop, and one a model, all maps on the photo.

    Args:
        folder: made if need be.
        stem: how all file names begin.
        image_rgb: the photo, uint8 (H, W, 3) RGB.
        comparisons: its faces, with maps.
        target: what the maps explain, see `Comparison.explained`; a model that does not know it gets none.
    """
    drawn: dict[str, list[tuple[NDArray[np.float32], FaceCrop]]] = {}
    for number, comparison in enumerate(comparisons, start=1):
        for reading in comparison.readings:
            label = comparison.explained(reading, target)
            backbone = file_name_of(reading.prediction.backbone)
            if label not in reading.explanations:
                continue
            heatmap = reading.explanations[label].heatmap
            drawn.setdefault(backbone, []).append((heatmap, reading.crop))
            picture = overlay(reading.crop.image_rgb, heatmap)
            _write_png(folder / f"{stem}-face{number}-{backbone}-{label}.png", picture)
    for backbone, maps in drawn.items():
        whole = overlay(image_rgb, maps_to_photo(maps, (image_rgb.shape[0], image_rgb.shape[1])))
        _write_png(folder / f"{stem}-photo-{backbone}.png", whole)


def _write_png(path: Path, picture_rgb: Image) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(encode_png(picture_rgb))


def file_stem(source: str) -> str:
    """Make a short file name for a source of any kind: its last part, in letters, digits, dot, dash."""
    last = source.split("?")[0].rstrip("/").rpartition("/")[2]
    return re.sub(r"[^\w.-]+", "_", last.rsplit(".", 1)[0])[:60].strip("._-") or "picture"
