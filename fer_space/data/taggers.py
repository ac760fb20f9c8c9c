"""Every face of FERPlus with the votes of its taggers, those included that the protocol leaves out.

About one face in eight has no label: its taggers do not agree, or most of them saw no emotion or no face.
Every published score drops these; they are what a model should abstain from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.data import split_data
from fer_space.data.collection import Source
from fer_space.data.faceset import decode_face
from fer_space.data.fer_faces import load_faces
from fer_space.data.ferplus import UNKNOWN, accept, drop_single_votes
from fer_space.distributions import NO_ANSWER
from fer_space.errors import DataError, ImageError, InputError

SPLIT, UNSEEN = "split", "unknown"  # why a face has no label


@dataclass(frozen=True, eq=False)
class TaggedFaces:
    """Faces with their votes.

    Attributes:
        name, split: where they come from.
        files, sources: name and picture of each face.
        votes: int64 (N, 10): the eight emotions in the order of `EMOTIONS`, "unknown", "not a face".
    """

    name: str
    split: str
    files: tuple[str, ...]
    sources: tuple[Source, ...]
    votes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The protocol's labels int64 (N,), indices into `EMOTIONS`; NO_ANSWER for a face without one."""
        accepted = accept(self.votes, "majority")
        return np.where(accepted.any(axis=1), accepted.argmax(axis=1), NO_ANSWER)

    def without_label(self, why: str) -> NDArray[np.bool_]:
        """Find the faces without a label, bool (N,), by the reason.

        Args:
            why: SPLIT, the taggers do not agree, or UNSEEN, most of them saw no emotion, or no face.
        """
        unseen = drop_single_votes(self.votes).argmax(axis=1) >= UNKNOWN
        return np.asarray((self.labels == NO_ANSWER) & (unseen if why == UNSEEN else ~unseen))

    def read(self, i: int) -> NDArray[np.uint8]:
        """Decode picture i, uint8 (H, W, 3) RGB; DataError names a damaged file."""
        source = self.sources[i]
        try:
            return decode_face(source.read_bytes() if isinstance(source, Path) else source(), None)
        except (ImageError, OSError) as error:
            raise DataError(f"{self.name}: {self.files[i]}: {error}") from error


def open_tagged(data: str, split: str) -> TaggedFaces:
    """Read all faces of a split of `KIND:PATH` whose taggers' votes are known.

    Raises:
        InputError: the set has no votes; only FERPlus has.
        DataError: files are missing or broken, as `collect_ferplus` has it.
    """
    pairs = split_data(data)
    if [kind for kind, _ in pairs] != ["ferplus"]:
        raise InputError(f"“{data}” has no votes of taggers: only ferplus:DIR has.")
    faces = load_faces(pairs[0][1], split)
    return TaggedFaces("ferplus", split, tuple(faces.files), tuple(faces.sources), faces.vote_counts())
