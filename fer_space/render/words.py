"""The verdict: one sentence that says what the models see and how far to trust it."""

from collections.abc import Mapping
from html import escape

from fer_space.render.look import Look, percent
from fer_space.types import Comparison, Prediction

UNSURE_BELOW = 0.5
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def verdict_html(comparison: Comparison, looks: Mapping[str, Look]) -> str:
    """Sum up all backbones on one face in a sentence; the emotion stands out."""
    if len(comparison.readings) == 1:
        return _one(comparison.predictions[0], looks)
    return _many(comparison, looks)


def _one(prediction: Prediction, looks: Mapping[str, Look]) -> str:
    title, emotion = _title(prediction, looks), _strong(prediction.label)
    if prediction.confidence >= UNSURE_BELOW:
        return f"{title} reads {emotion}, {percent(prediction.confidence)} sure"
    ranked = sorted(prediction.probabilities, key=prediction.probabilities.__getitem__, reverse=True)
    runner_up = ranked[1].capitalize()
    return (
        f"{title} leans to {emotion} but is not sure: {percent(prediction.confidence)}, "
        f"then {runner_up} {percent(prediction.probabilities[ranked[1]])}"
    )


def _many(comparison: Comparison, looks: Mapping[str, Look]) -> str:
    emotion = _strong(comparison.consensus)
    others = [p for p in comparison.predictions if p.label != comparison.consensus]
    agreeing, total = len(comparison.predictions) - len(others), len(comparison.predictions)
    dissent = ", ".join(f"{_title(p, looks)} says {p.label.capitalize()}" for p in others)
    if not others:
        sentence = f"{_all(total)} models agree: {emotion}"
    elif agreeing == 0:
        sentence = f"No model's first choice, but their average is {emotion}; {dissent}"
    else:
        sentence = f"{agreeing} of {total} {'says' if agreeing == 1 else 'say'} {emotion}; {dissent}"
    if comparison.mean[comparison.consensus] < UNSURE_BELOW:
        sentence += f" (unsure: {percent(comparison.mean[comparison.consensus])} on average)"
    return sentence


def _all(total: int) -> str:
    if total == 2:
        return "Both"
    return f"All {_NUMBERS[total] if total < len(_NUMBERS) else total}"


def _title(prediction: Prediction, looks: Mapping[str, Look]) -> str:
    return escape(looks[prediction.backbone].title)


def _strong(emotion: str) -> str:
    return f"<strong>{escape(emotion.capitalize())}</strong>"
