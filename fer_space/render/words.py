"""The verdict: one sentence that says what the models see and how far to trust it."""

from collections.abc import Mapping
from html import escape

from fer_space.comparison import Change, Comparison, Covered
from fer_space.render.look import Look, bits, percent, signed
from fer_space.types import Prediction

UNSURE_BELOW = 0.5
STILL_BELOW = 0.05  # a smaller movement on the circumplex is not worth a word
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


def covered_verdict_html(covered: Covered, looks: Mapping[str, Look]) -> str:
    """Sum up in a sentence how many backbones keep their answer, and which one moves most."""
    changes = covered.changes
    if len(changes) == 1:
        return _one_change(changes[0], looks)
    before = {change.before.prediction.label for change in changes}
    kept, total = len(covered.kept), len(changes)
    singular = kept == 1 or (kept == 0 and total == 2)
    what = before.pop().capitalize() if len(before) == 1 else ("its answer" if singular else "their answers")
    counted = f"<strong>{_how_many(kept, total)}</strong> {'keeps' if singular else 'keep'} {what}"
    return f"{counted}; {_moved(covered, looks)}"


def movement_words(valence: float, arousal: float) -> str:
    """Say a movement on the circumplex: (-0.23, 0.01) -> "less pleasant (−0.23)".

    Args:
        valence: by how much it changes, in [-2, 2].
        arousal: likewise.
    """
    parts = [
        f"{word} ({signed(change)})"
        for change, word in (
            (valence, "more pleasant" if valence > 0 else "less pleasant"),
            (arousal, "more excited" if arousal > 0 else "calmer"),
        )
        if abs(change) >= STILL_BELOW
    ]
    return " and ".join(parts) or "as pleasant and as excited as before"


def _one_change(change: Change, looks: Mapping[str, Look]) -> str:
    before, after = change.before.prediction, change.after.prediction
    title = _title(before, looks)
    sure = f"{escape(percent(before.confidence))} before, {escape(percent(after.confidence))} now"
    if change.kept:
        return f"{title} <strong>keeps</strong> {before.label.capitalize()} ({sure})"
    return (
        f"{title} <strong>changes</strong> from {before.label.capitalize()} to "
        f"{_strong(after.label)} ({bits(change.shift)})"
    )


def _how_many(kept: int, total: int) -> str:
    if kept == total:
        return _all(total)
    if kept == 0:
        return "Neither" if total == 2 else f"None of {total}"
    return f"{kept} of {total}"


def _moved(covered: Covered, looks: Mapping[str, Look]) -> str:
    most = covered.most_moved
    if most.shift < 0.005:
        return "no answer moves"
    title = _title(most.before.prediction, looks)
    return f"{title} moves {'more' if len(covered.changes) == 2 else 'most'} ({bits(most.shift)})"
