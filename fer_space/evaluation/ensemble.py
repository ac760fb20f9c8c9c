"""Several models as one: mean of their calibrated probabilities, and how far they disagree.

    plain_mean(on_test)                    all count alike
    fitted_mean(on_test, fit)              the members of a fit, each by its share
    fit_shares(on_valid)                   how much each should count

The two rules are those of `fer_space.comparison.Comparison`, which the app shows. A fit was made for all of
its members together: without one of them its shares mean nothing, and there is no fitted mean.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fer_space.card import Fit
from fer_space.comparison import Rule
from fer_space.distributions import divergence, mean_of
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.evaluation.outputs import Outputs, require_same_faces, today

ENSEMBLE = "ensemble"  # the name of the plain mean
WEIGHTED = "weighted"  # and of the fitted one
ROUNDS = 2000
LEAST = 1e-9  # the probability of an emotion that a member does not have, when shares are fitted
LEAST_SHARE = 0.001  # a member that counts less is none


def plain_mean(members: Sequence[Outputs]) -> Outputs:
    """Average outputs of the same faces; every member counts alike.

    An emotion is averaged over the members that have it. Valence and arousal are the mean of the heads where
    every member has one, else they are left to the circumplex.

    Args:
        members: two or more.

    Returns:
        Outputs with the disagreement of each face.

    Raises:
        InputError: fewer than two members, or not of the same faces.
    """
    require_two([member.about.model for member in members])
    return _together(members, (), ENSEMBLE, "mean")


def fitted_mean(several: Sequence[Outputs], fit: Fit, name: str = WEIGHTED) -> Outputs | None:
    """Average outputs of the same faces by the shares of a fit.

    Args:
        several: outputs of at least all members of the fit; others are left out.
        fit: shares that were fitted together.
        name: of the outputs.

    Returns:
        Outputs of the members, or None where one of them is missing.

    Raises:
        InputError: not of the same faces.
    """
    by_name = {outputs.about.model: outputs for outputs in several}
    if not fit.shares_of(list(by_name)):
        return None
    members = [by_name[name] for name in fit.shares]
    return _together(members, tuple(fit.shares.values()), name, "fitted mean")


def fit_shares(
    members: Sequence[Outputs], name: str, command: str, origins: NDArray[np.int64] | None = None
) -> Fit:
    """Fit how much each member should count, so that the labels of these faces become most likely.

    The likelihood of a mixture is concave in its shares, and expectation maximisation (Dempster, Laird and
    Rubin 1977) climbs to its only summit. Faces that some member did not answer take no part. A member whose
    share does not reach LEAST_SHARE is left out, and the others' are rescaled.

    Args:
        members: outputs of the same faces, of a validation split.
        name: of the fit.
        command: makes it again.
        origins: int64 (N,), the set that each face is of, where several were joined: then every emotion of
            every set counts alike, however many faces it has. None: every face counts alike.

    Raises:
        InputError: fewer than two members, not of the same faces, or no face is left.
    """
    require_two([member.about.model for member in members])
    require_same_faces(members)
    labels = members[0].labels
    right = np.stack([member.probabilities[np.arange(len(labels)), labels] for member in members], axis=1)
    answered = np.all([member.answered for member in members], axis=0)
    if not answered.any():
        raise InputError("No face was answered by all models: their shares cannot be fitted.")
    counts = np.ones(len(labels)) if origins is None else _alike(origins, labels)
    shares = _maximise(np.fmax(right[answered], LEAST), counts[answered])
    counted = np.where(shares > LEAST_SHARE, shares, 0.0)
    counted /= counted.sum()
    names = [member.about.model for member in members]
    setting = members[0].about.setting
    return Fit(
        name=name,
        shares={n: round(float(s), 4) for n, s in zip(names, counted, strict=True) if s > 0.0},
        data=f"{setting.data} {setting.split}",
        command=command,
        date=today(),
    )


def require_two(names: Sequence[str]) -> None:
    """Raise InputError unless there are at least two models."""
    if len(set(names)) < 2:
        here = f"only {names[0]}" if names else "none"
        raise InputError(f"An ensemble needs at least two backbones; here is {here}.")


def _alike(origins: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much each face counts, float64 (N,), so that all emotions of all sets count alike."""
    groups = origins * len(EMOTIONS) + labels
    return np.asarray(1.0 / np.bincount(groups)[groups])


def _maximise(likelihoods: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares (M,) of a mixture under which likelihoods (N, M) become largest; face i counts counts[i]."""
    shares = np.full(likelihoods.shape[1], 1.0 / likelihoods.shape[1])
    for _ in range(ROUNDS):
        owed = likelihoods * shares
        shares = np.average(owed / owed.sum(axis=1, keepdims=True), axis=0, weights=counts)
    return shares


def _together(members: Sequence[Outputs], shares: tuple[float, ...], name: str, rule: Rule) -> Outputs:
    require_same_faces(members)
    several = np.stack([member.probabilities for member in members])  # (M, N, 8)
    heads = [member.affect for member in members if member.affect is not None]
    sources = {member.affect_source for member in members}  # what is derived is on another scale
    alike = len(sources) == 1 and len(heads) == len(members)
    known = {emotion for member in members for emotion in member.about.model_classes}
    about = members[0].about.model_copy(
        update={
            "model": name,
            "rule": rule,
            "members": tuple(member.about.model for member in members),
            "model_classes": tuple(emotion for emotion in EMOTIONS if emotion in known),
            "affect_source": sources.pop() if alike else "circumplex",
        }
    )
    return replace(
        members[0],
        about=about,
        probabilities=mean_of(several, shares),
        affect=np.average(heads, axis=0, weights=shares or None) if alike else None,
        disagreement=divergence(several),
        embeddings=None,
    )
