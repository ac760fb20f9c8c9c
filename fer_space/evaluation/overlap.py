"""How much several backbones say the same: their answers, their errors, and what they know together.

An ensemble gains where its members are wrong on different faces (Kuncheva and Whitaker 2003, "Measures of
diversity in classifier ensembles").
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_space.evaluation.metrics import NO_ANSWER, answers
from fer_space.evaluation.predictions import Predictions, require_same_faces


class Overlap(NamedTuple):
    """What M backbones share on the same N faces. Faces without an answer count as wrong.

    Attributes:
        same_answer: float64 (M, M), the share of the faces on which two name the same emotion.
        shared_errors: float64 (M, M); row i, column j: the share of i's errors that j makes too, that is, the
            faces that both get wrong, with whatever answer. A row of NaN for a backbone without errors.
        all_right, any_right: the share of the faces that all get right, and that at least one does.
    """

    same_answer: NDArray[np.float64]
    shared_errors: NDArray[np.float64]
    all_right: float
    any_right: float


def overlap(members: Sequence[Predictions]) -> Overlap:
    """Compare predictions of the same faces, N > 0; raises InputError when the faces differ."""
    require_same_faces(members)
    named = np.stack([answers(member.scored) for member in members])
    wrong = named != members[0].labels
    agree = (named[:, None] == named[None]) & (named != NO_ANSWER)
    same = agree.mean(axis=2)
    np.fill_diagonal(same, 1.0)
    both = (wrong[:, None] & wrong[None]).sum(axis=2).astype(np.float64)
    errors = wrong.sum(axis=1, keepdims=True)
    shared = np.divide(both, errors, out=np.full_like(both, np.nan), where=errors > 0)
    return Overlap(same, shared, float((~wrong).all(axis=0).mean()), float((~wrong).any(axis=0).mean()))
