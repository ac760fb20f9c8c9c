"""Several backbones as one: the mean of their calibrated probabilities, and how far they disagree.

Mean and disagreement of a face are those of `fer_space.types.Comparison`, which the app shows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_space.errors import InputError
from fer_space.evaluation.predictions import Predictions, require_same_faces
from fer_space.labels import EMOTIONS
from fer_space.types import Comparison, Face, FaceCrop, Prediction, Reading

NAME = "ensemble"
NOWHERE = Face((0.0, 0.0, 1.0, 1.0), 1.0)
NOTHING = FaceCrop(np.zeros((1, 1, 3), dtype=np.uint8), np.eye(2, 3))


def ensemble(members: Sequence[Predictions]) -> Predictions:
    """The ensemble of predictions of the same faces, with the disagreement of each face in bits.

    An emotion is averaged over the members that have it. Valence and arousal are the mean of the heads
    where every member has one, else they are left to the circumplex.

    Raises:
        InputError: fewer than two members, or not of the same faces.
    """
    require_two([member.about.backbone for member in members])
    require_same_faces(members)
    count = len(members[0])
    probabilities, disagreement = np.zeros((count, len(EMOTIONS))), np.full(count, np.nan)
    for i in range(count):
        if answers := [answer for member in members if (answer := _answer(member, i))]:
            together = Comparison(NOWHERE, tuple(Reading(answer, {}, NOTHING) for answer in answers))
            probabilities[i] = [together.mean.get(emotion, 0.0) for emotion in EMOTIONS]
            disagreement[i] = together.disagreement
    heads = [member.affect for member in members if member.affect is not None]
    known = {emotion for member in members for emotion in member.about.model_classes}
    about = replace(
        members[0].about,
        backbone=NAME,
        members=tuple(member.about.backbone for member in members),
        model_classes=tuple(emotion for emotion in EMOTIONS if emotion in known),
    )
    return replace(
        members[0],
        about=about,
        probabilities=probabilities,
        affect=np.mean(heads, axis=0) if len(heads) == len(members) else None,
        disagreement=disagreement,
        embeddings=None,
    )


def require_two(names: Sequence[str]) -> None:
    """Raise InputError unless there are at least two backbones."""
    if len(set(names)) < 2:
        here = f"only {names[0]}" if names else "none"
        raise InputError(f"An ensemble needs at least two backbones; here is {here}.")


def _answer(member: Predictions, i: int) -> Prediction | None:
    """A member's answer for face i, or None where no face was found."""
    row = member.probabilities[i]
    if not row.any():
        return None
    classes = member.about.model_classes
    known = {e: float(p) for e, p in zip(EMOTIONS, row, strict=True) if e in classes}
    return Prediction(member.about.backbone, known, 0.0, 0.0, "circumplex", 0.0)
