"""DiffusionFER: 1,285 synthetic faces with expression, valence and arousal (CC0).

Reads the .tar in place:

    DIR/DiffusionFER.tar
        *.jpg        224x224 RGB
        labels.csv   file, valence, arousal, expression

The set has no splits of its own. Here the hash of a picture's name puts it into `valid` or `test`, half
each, so that whatever is chosen by looking at it (crop margins) is chosen on `valid` and reported on
`test`; `train` is everything, for cross-validation. Nobody labelled contempt.
"""

import math
from functools import partial
from pathlib import Path

from fer_space.data.collection import SEVEN, Collection, Gathering, Row, hash_share, valid_affect
from fer_space.data.faceset import SPLITS
from fer_space.data.files import parse_number, parse_table, read_archive
from fer_space.emotions import column_of
from fer_space.errors import DataError


def collect_diffusionfer(folder: Path) -> Collection:
    """Read the whole set; labels are the annotators' expression, not the prompt in the file name.

    Raises:
        DataError: the archive or its table is missing, or no row is usable.
    """
    archive = folder / "DiffusionFER.tar"
    contents = read_archive(archive)
    if "labels.csv" not in contents:
        raise DataError(f"{archive.name} has no labels.csv.")
    needs = ("file", "valence", "arousal", "expression")
    found = Gathering()
    _, rows = parse_table(contents["labels.csv"].decode("utf-8-sig", "replace"), "labels.csv", needs)
    for line, cells in rows:
        if isinstance(cells, DataError):
            found.drop(f"labels.csv, line {line}", cells)
            continue
        name, split = cells["file"], _half(cells["file"])
        try:
            label = column_of(cells["expression"])
            affect = valid_affect(*(parse_number(cells, key, math.nan) for key in ("valence", "arousal")))
        except DataError as error:
            found.drop(name, error, split)
            continue
        if name in contents:
            source = partial(contents.__getitem__, name)
            found.add(Row(name, split, label, source, affect=affect))
        else:
            found.drop(name, "the picture is missing", split)
    return found.collection("diffusionfer", SEVEN, train_is_all=True)


def _half(name: str) -> str:
    """Which half a picture belongs to: decided by its name alone, the same on every machine."""
    return SPLITS[1 + hash_share(name, 2)]
