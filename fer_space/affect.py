"""Valence and arousal derived from emotion probabilities: the circumplex readout.

Russell 1980, "A circumplex model of affect". Each emotion stands at the mean valence and arousal that
annotators gave its faces; a face stands at the probability-weighted mean. That is honest only when it is
labelled as derived ("circumplex"): it holds nothing that the probabilities do not.
"""

from collections.abc import Mapping

# (valence, arousal): means over the labels of the AffectNet validation set, 500 faces an emotion
# (Mollahosseini et al. 2017, arXiv 1708.03985).
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (-0.025, -0.019),
    "happiness": (0.672, 0.081),
    "surprise": (0.183, 0.701),
    "sadness": (-0.628, -0.267),
    "anger": (-0.426, 0.554),
    "disgust": (-0.684, 0.446),
    "fear": (-0.117, 0.760),
    "contempt": (-0.510, 0.576),
}


def circumplex(probabilities: Mapping[str, float]) -> tuple[float, float]:
    """Valence and arousal, both in [-1, 1], of probabilities by emotion that sum to 1."""
    valence = sum(p * CIRCUMPLEX[emotion][0] for emotion, p in probabilities.items())
    arousal = sum(p * CIRCUMPLEX[emotion][1] for emotion, p in probabilities.items())
    return valence, arousal
