"""Data sets: one reader a file, all giving a `Collection`. `open_data("KIND:PATH", split)` finds the reader.

A reader lists every face that it leaves out, with the reason (`FaceSet.dropped`). Sets are joined with a
plus: `ckplus:DIR+rafdb:DIR`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fer_space.data.affectnet import collect_affectnet
from fer_space.data.ckplus import collect_ckplus, collect_peaks
from fer_space.data.collection import Collection
from fer_space.data.diffusionfer import collect_diffusionfer
from fer_space.data.faceset import SPLITS, FaceSet, TargetMode, one_hot
from fer_space.data.fer2013 import collect_fer2013
from fer_space.data.ferplus import collect_ferplus
from fer_space.data.joining import join, joined_faces
from fer_space.data.rafdb import collect_rafdb
from fer_space.data.sfew import collect_sfew
from fer_space.data.tables import collect_csv, collect_folder
from fer_space.data.voc import collect_voc
from fer_space.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Wanted:
    """Say what is asked of a reader.

    Attributes:
        splits: of train, valid and test; a reader may give the others too, where they cost nothing.
        target: what the targets of train hold.
        second_label: weight in [0, 1] of a second label in them.
    """

    splits: tuple[str, ...]
    target: TargetMode
    second_label: float


@dataclass(frozen=True)
class Kind:
    """Describe one kind of data set.

    Attributes:
        name: what stands before the colon of KIND:PATH.
        read: gives the set in a folder or file.
        votes: whether several people labelled each face, so that more than one answer may be right.
        second_label: whether each face has another label from elsewhere.
        terms: what the pictures are for, in a clause about weights that learned from them; "" where the
            owner's terms have to be asked for.
    """

    name: str
    read: Callable[[Path, Wanted], Collection]
    votes: bool = False
    second_label: bool = False
    terms: str = ""


def _whole(collect_all: Callable[[Path], Collection]) -> Callable[[Path, Wanted], Collection]:
    """Turn a reader that always gives the whole set into one that is asked for something."""
    return lambda path, wanted: collect_all(path)


FER2013_TERMS = "they learned from FER-2013, whose pictures are for research use"
CKPLUS_TERMS = "they learned from CK+, whose pictures are for research use"
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "ferplus",
            lambda path, wanted: collect_ferplus(path, wanted.splits, wanted.target, wanted.second_label),
            votes=True,
            second_label=True,
            terms=FER2013_TERMS,
        ),
        Kind("fer2013", lambda path, wanted: collect_fer2013(path, wanted.splits), terms=FER2013_TERMS),
        Kind("affectnet", lambda path, wanted: collect_affectnet(path, wanted.splits, contempt=True)),
        Kind("affectnet7", lambda path, wanted: collect_affectnet(path, wanted.splits, contempt=False)),
        Kind("rafdb", _whole(collect_rafdb)),
        Kind("ckplus", _whole(collect_ckplus), terms=CKPLUS_TERMS),
        Kind("ckplus-peaks", _whole(collect_peaks), terms=CKPLUS_TERMS),
        Kind("sfew", _whole(collect_sfew)),
        Kind("diffusionfer", _whole(collect_diffusionfer), terms="they learned from DiffusionFER (CC0)"),
        Kind("voc", _whole(collect_voc)),
        Kind("folder", _whole(collect_folder)),
        Kind("csv", _whole(collect_csv)),
    )
}
_JOINT = re.compile(rf"\+(?=(?:{'|'.join(KINDS)}):)")


def open_data(data: str, split: str, target: TargetMode = "majority", second_label: float = 0.0) -> FaceSet:
    """Read a split of `KIND:PATH`, for example `ferplus:DIR`, or of several, joined with a plus.

    Unreadable pictures are found by decoding every picture once: about three seconds for all of FERPlus.

    Args:
        data: one or more KIND:PATH; a plus joins them where a kind and a colon follow it.
        split: train, valid or test.
        target: `majority` takes the label alone, `cel` and `pld` the distribution where there is one, `multi`
            every accepted emotion where there are votes (`fer_space.data.ferplus.collect_ferplus`).
        second_label: weight in [0, 1] of a second label in the targets of sets that have one.

    Raises:
        InputError: the form or the weight is wrong, no set has a second label, or `multi` is asked of a set
            without votes.
        DataError: a set cannot be read, or nothing is left of the split.
    """
    pairs = split_data(data)
    if split not in SPLITS:
        raise UnknownNameError.of("split", split, SPLITS)
    kinds = [KINDS[kind] for kind, _ in pairs]
    if second_label > 0.0 and not any(kind.second_label for kind in kinds):
        have = ", ".join(f"{kind.name}:DIR" for kind in KINDS.values() if kind.second_label)
        raise InputError(f"“{data}” has no second label: only {have} has one.")
    if target == "multi" and not all(kind.votes for kind in kinds):
        have = ", ".join(f"{kind.name}:DIR" for kind in KINDS.values() if kind.votes)
        raise InputError(f"“{data}” has no votes, of which several could be accepted: only {have} has.")
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
    if kind not in KINDS:
        raise UnknownNameError.of("kind of data", kind, KINDS)
    return KINDS[kind].read(path, Wanted(tuple(splits), target, second_label))


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
        pairs.append((kind, Path(path).expanduser()))
    return pairs
