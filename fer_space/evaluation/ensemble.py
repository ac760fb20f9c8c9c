"""Several backbones as one: the mean of their calibrated probabilities, and how far they disagree.

    fit_weights(on_valid)                  how much each should count
    ensemble(on_test)                      all count alike
    ensemble(on_test, weights)             each counts by its weight

Mean and disagreement of a face are those of `fer_space.types.Comparison`, which the app shows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.predictions import Predictions, require_same_faces
from fer_space.types import Face, FaceCrop, Prediction, Reading

NAME = "ensemble"
WEIGHTED = "weighted"
ROUNDS = 2000
LEAST = 1e-9  # the probability of an emotion that a member does not have, when weights are fitted
NOWHERE = Face((0.0, 0.0, 1.0, 1.0), 1.0)
NOTHING = FaceCrop(np.zeros((1, 1, 3), dtype=np.uint8), np.eye(2, 3))


def ensemble(members: Sequence[Predictions], weights: Sequence[float] = ()) -> Predictions:
    """The ensemble of predictions of the same faces, with the disagreement of each face in bits.

    With `weights`, one a member, it is their weighted mean and goes by the name of `WEIGHTED`. An emotion is
    averaged over the members that have it. Valence and arousal are the mean of the heads where every member
    has one, else they are left to the circumplex.

    Raises:
        InputError: fewer than two members, or not of the same faces.
    """
    require_two([member.about.backbone for member in members])
    require_same_faces(members)
    count = len(members[0])
    probabilities, disagreement = np.zeros((count, len(EMOTIONS))), np.full(count, np.nan)
    for i in range(count):
        answers = [_answer(member, i) for member in members]
        if found := [(answer, k) for k, answer in enumerate(answers) if answer]:
            readings = tuple(Reading(answer, {}, NOTHING) for answer, _ in found)
            together = Comparison(NOWHERE, readings, tuple(weights[k] for _, k in found) if weights else ())
            probabilities[i] = [together.weighted.get(emotion, 0.0) for emotion in EMOTIONS]
            disagreement[i] = together.disagreement
    heads = [member.affect for member in members if member.affect is not None]
    known = {emotion for member in members for emotion in member.about.model_classes}
    about = replace(
        members[0].about,
        backbone=WEIGHTED if weights else NAME,
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


def fit_weights(members: Sequence[Predictions]) -> tuple[float, ...]:
    """How much each member should count, so that the labels of these faces become most likely.

    The likelihood of a mixture is concave in its shares, and expectation maximisation (Dempster, Laird and
    Rubin 1977) climbs to its only summit. Faces that some member did not answer take no part.

    Args:
        members: predictions of the same faces, of a validation split.

    Returns:
        One share a member, at least 0, summing to 1.

    Raises:
        InputError: fewer than two members, not of the same faces, or no face is left.
    """
    require_two([member.about.backbone for member in members])
    require_same_faces(members)
    labels = members[0].labels
    right = np.stack([member.probabilities[np.arange(len(labels)), labels] for member in members], axis=1)
    right = right[np.all([member.answered for member in members], axis=0)]
    if not len(right):
        raise InputError("No face was answered by all backbones: their weights cannot be fitted.")
    right = np.maximum(right, LEAST)
    shares = np.full(len(members), 1.0 / len(members))
    for _ in range(ROUNDS):
        owed = right * shares
        shares = (owed / owed.sum(axis=1, keepdims=True)).mean(axis=0)
    return tuple(float(share) for share in shares)


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
