"""Data sets: one reader a file, all giving a `Collection`. `open_data("KIND:PATH", split)` finds the reader.

A reader lists every face that it leaves out, with the reason (`FaceSet.dropped`). Sets are joined with a
plus: `ckplus:DIR+rafdb:DIR`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fer_space.data.affectnet import collect_affectnet
from fer_space.data.ckplus import collect_ckplus, collect_peaks
from fer_space.data.collection import Collection
from fer_space.data.diffusionfer import collect_diffusionfer
from fer_space.data.faceset import SPLITS, FaceSet, one_hot
from fer_space.data.fer2013 import collect_fer2013
from fer_space.data.ferplus import TargetMode, collect_ferplus
from fer_space.data.joining import join, joined_faces
from fer_space.data.rafdb import collect_rafdb
from fer_space.data.sfew import collect_sfew
from fer_space.data.tables import collect_csv, collect_folder
from fer_space.data.voc import collect_voc
from fer_space.errors import InputError, UnknownNameError

COLLECTORS: dict[str, Callable[[Path], Collection]] = {
    "rafdb": collect_rafdb,
    "ckplus": collect_ckplus,
    "ckplus-peaks": collect_peaks,
    "sfew": collect_sfew,
    "diffusionfer": collect_diffusionfer,
    "voc": collect_voc,
    "folder": collect_folder,
    "csv": collect_csv,
}
KINDS = ("ferplus", "fer2013", "affectnet", "affectnet7", *COLLECTORS)
_JOINT = re.compile(rf"\+(?=(?:{'|'.join(KINDS)}):)")


def open_data(data: str, split: str, target: TargetMode = "majority", second_label: float = 0.0) -> FaceSet:
    """Read a split of `KIND:PATH`, for example `ferplus:DIR`, or of several, joined with a plus.

    Unreadable pictures are found by decoding every picture once: about three seconds for all of FERPlus.

    Args:
        data: one or more KIND:PATH; a plus joins them where a kind and a colon follow it.
        split: train, valid or test.
        target: how FERPlus votes are read (`fer_space.data.ferplus.collect_ferplus`). Of other kinds
            `majority` takes the label alone, `cel` and `pld` the distribution where there is one.
        second_label: weight in [0, 1] of the FER-2013 label in the targets of FERPlus.

    Raises:
        InputError: the form or the weight is wrong, no set has a second label, or `multi` is asked of a set
            without votes.
        DataError: a set cannot be read, or nothing is left of the split.
    """
    pairs = split_data(data)
    if split not in SPLITS:
        raise UnknownNameError.of("split", split, SPLITS)
    if second_label > 0.0 and "ferplus" not in (kind for kind, _ in pairs):
        raise InputError(f"“{data}” has no second label: only ferplus:DIR has one.")
    if target == "multi" and any(kind != "ferplus" for kind, _ in pairs):
        raise InputError(f"“{data}” has no votes, of which several could be accepted: only ferplus:DIR has.")
    splits = SPLITS[SPLITS.index(split) :] if len(pairs) > 1 else (split,)
    parts = [collect(kind, path, splits, target, second_label) for kind, path in pairs]
    faces = parts[0].faces(split) if len(parts) == 1 else joined_faces(join(parts), split)
    alone = target == "majority" and second_label == 0.0
    return replace(faces, targets=one_hot(faces.labels)) if alone else faces


def collect(
    kind: str,
    path: Path,
    splits: Sequence[str] = SPLITS,
    target: TargetMode = "majority",
    second_label: float = 0.0,
) -> Collection:
    """Read the splits of one set (a reader may give the others too, where they cost nothing).

    Raises UnknownNameError for a kind that does not exist, else what the reader raises.
    """
    if kind == "ferplus":
        return collect_ferplus(path, splits, target, second_label)
    if kind == "fer2013":
        return collect_fer2013(path, splits)
    if kind in ("affectnet", "affectnet7"):
        return collect_affectnet(path, splits, contempt=kind == "affectnet")
    if kind not in COLLECTORS:
        raise UnknownNameError.of("kind of data", kind, KINDS)
    return COLLECTORS[kind](path)


def without_paths(data: str) -> str:
    """`"a:X+b:Y"` -> `"a:DIR+b:DIR"`: what a command says to others. Raises as `split_data` does."""
    return "+".join(f"{kind}:DIR" for kind, _ in split_data(data))


def split_data(data: str) -> list[tuple[str, Path]]:
    """`"a:X+b:Y"` -> [("a", X), ("b", Y)]; raises InputError when a part is not of the form KIND:PATH."""
    pairs = []
    for part in _JOINT.split(data):
        kind, colon, path = part.partition(":")
        if not colon or not path:
            raise InputError(f"“{part}” is not of the form KIND:PATH, for example ferplus:DIR.")
        if kind not in KINDS:
            raise UnknownNameError.of("kind of data", kind, KINDS)
        pairs.append((kind, Path(path)))
    return pairs
