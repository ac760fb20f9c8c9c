"""Data sets: one reader a file, all giving a `FaceSet`. `open_data("KIND:PATH", split)` finds the reader."""

from pathlib import Path

from fer_space.data.diffusionfer import read_diffusionfer
from fer_space.data.faceset import FaceSet
from fer_space.data.ferplus import TargetMode, read_ferplus
from fer_space.data.tables import read_csv, read_folder
from fer_space.errors import InputError, UnknownNameError

KINDS = ("ferplus", "diffusionfer", "folder", "csv")


def open_data(data: str, split: str, target: TargetMode = "majority") -> FaceSet:
    """Read a split of `KIND:PATH`, for example `ferplus:DIR`.

    `target` is how FERPlus votes are read; the other kinds have one way only.
    Raises InputError when the form is wrong, else what the reader raises.
    """
    kind, colon, path = data.partition(":")
    if not colon or not path:
        raise InputError(f"“{data}” is not of the form KIND:PATH, for example ferplus:DIR.")
    if kind not in KINDS:
        raise UnknownNameError.of("kind of data", kind, KINDS)
    if kind == "ferplus":
        return read_ferplus(Path(path), split, target)
    readers = {"diffusionfer": read_diffusionfer, "folder": read_folder, "csv": read_csv}
    return readers[kind](Path(path), split)
