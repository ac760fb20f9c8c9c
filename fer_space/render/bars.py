"""Eight bars in the one fixed order, each with its number, and with the value it had before."""

from html import escape

from fer_space.emotions import EMOTIONS
from fer_space.render.look import percent
from fer_space.types import Prediction


def bars_html(prediction: Prediction, original: Prediction | None = None, tick: str = "was") -> str:
    """Build the bars of an answer; an emotion that the backbone does not have gets a dash.

    Args:
        prediction: the answer.
        original: the same backbone's answer before a change; its values are ticks on the bars.
        tick: the word for a tick, for people who do not see it.
    """
    bars = "".join(_bar(prediction, original, emotion, tick) for emotion in EMOTIONS)
    return f'<ul class="fer-bars{" fer-ticked" if original else ""}">{bars}</ul>'


def _bar(prediction: Prediction, original: Prediction | None, emotion: str, tick: str) -> str:
    name = emotion.capitalize()
    if emotion not in prediction.probabilities:
        return (
            f'<li class="fer-absent"><span>{name}</span><i></i>'
            '<b role="img" aria-label="not known to this model">–</b></li>'
        )
    top = ' class="fer-first"' if emotion == prediction.label else ""
    probability = prediction.probabilities[emotion]
    before = original.probabilities.get(emotion) if original else None
    written = escape(percent(probability))
    spoken = written if before is None else f"{written}, {tick} {escape(percent(before))}"
    line = "" if before is None else f'<s style="left:{100 * before:.1f}%"></s>'
    return (
        f'<li{top}><span>{name}</span><i role="meter" aria-label="{name}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * probability:.0f}" aria-valuetext="{spoken}">'
        f'<em style="width:{100 * probability:.1f}%"></em>{line}</i><b>{written}</b></li>'
    )
