"""The circumplex: valence to the right, arousal upwards, one numbered dot a backbone."""

from collections.abc import Mapping, Sequence
from html import escape

from fer_space.render.look import Look, signed
from fer_space.types import Prediction, VASource

_CENTRE, _RADIUS = 160.0, 132.0
_SOURCES: dict[VASource, str] = {
    "circumplex": "derived from the probabilities",
    "head": "predicted by a head",
}
# Where an emotion is written from its anchor: shift right and down, and which end of the word is there.
# Neighbours do not collide, a dot on the anchor covers no word, and every word stays inside the figure.
_RIGHT, _LEFT, _ABOVE = (12, 4, "start"), (-12, 4, "end"), (0, -14, "middle")
_SIDES = {"happiness": _ABOVE} | dict.fromkeys(("disgust", "contempt", "fear", "neutral"), _LEFT)


def circumplex_html(
    predictions: Sequence[Prediction],
    looks: Mapping[str, Look],
    anchors: Mapping[str, tuple[float, float]],
) -> str:
    """Build the figure with its legend.

    Args:
        predictions: one face's answers; their order numbers the dots.
        looks: how each backbone is shown.
        anchors: mean valence and arousal of each emotion, both in [-1, 1].
    """
    dots = [_dot(number, p, looks[p.backbone]) for number, p in enumerate(predictions, start=1)]
    alternative = escape(_alternative(predictions, looks))
    return (
        '<figure class="fer-circumplex"><figcaption><h3>Valence and arousal</h3>'
        f"<p>{_sources(predictions)}</p></figcaption>"
        f'<div class="fer-plane"><svg viewBox="0 0 320 320" role="img" aria-label="{alternative}">'
        f"{_axes()}{''.join(_anchor(name, *va) for name, va in anchors.items())}{''.join(reversed(dots))}"
        f"</svg>{_legend(predictions, looks)}</div></figure>"
    )


def _sources(predictions: Sequence[Prediction]) -> str:
    used = {_SOURCES[prediction.va_source] for prediction in predictions}
    sentence = " or ".join(sorted(used))
    return f"{sentence.capitalize()}; −1 to +1"


def _alternative(predictions: Sequence[Prediction], looks: Mapping[str, Look]) -> str:
    points = "; ".join(
        f"{looks[p.backbone].title} valence {signed(p.valence)}, arousal {signed(p.arousal)}"
        for p in predictions
    )
    return f"Plane of valence and arousal. {points}."


def _axes() -> str:
    low, high = _CENTRE - _RADIUS, _CENTRE + _RADIUS
    return (
        f'<circle class="fer-rim" cx="{_CENTRE}" cy="{_CENTRE}" r="{_RADIUS}"/>'
        f'<circle class="fer-ring" cx="{_CENTRE}" cy="{_CENTRE}" r="{_RADIUS / 2}"/>'
        f'<path class="fer-axis" d="M{low} {_CENTRE}H{high}M{_CENTRE} {low}V{high}"/>'
        f'<text class="fer-end" x="{high}" y="{_CENTRE + 15}" text-anchor="end">pleasant</text>'
        f'<text class="fer-end" x="{low}" y="{_CENTRE + 15}">unpleasant</text>'
        f'<text class="fer-end" x="{_CENTRE}" y="{low - 8}" text-anchor="middle">excited</text>'
        f'<text class="fer-end" x="{_CENTRE}" y="{high + 18}" text-anchor="middle">calm</text>'
    )


def _anchor(emotion: str, valence: float, arousal: float) -> str:
    x, y = _position(valence, arousal)
    right, down, end = _SIDES.get(emotion, _RIGHT)
    return (
        f'<circle class="fer-anchor" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
        f'<text class="fer-word" x="{x + right:.1f}" y="{y + down:.1f}" '
        f'text-anchor="{end}">{escape(emotion.capitalize())}</text>'
    )


def _dot(number: int, prediction: Prediction, look: Look) -> str:
    x, y = _position(prediction.valence, prediction.arousal)
    return (
        f'<g><circle class="fer-dot" cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{look.colour}"/>'
        f'<text class="fer-number" x="{x:.1f}" y="{y + 4:.1f}" fill="{look.ink}">{number}</text></g>'
    )


def _position(valence: float, arousal: float) -> tuple[float, float]:
    return _CENTRE + _RADIUS * valence, _CENTRE - _RADIUS * arousal


def _legend(predictions: Sequence[Prediction], looks: Mapping[str, Look]) -> str:
    mixed = len({prediction.va_source for prediction in predictions}) > 1
    rows = "".join(_row(number, p, looks[p.backbone], mixed) for number, p in enumerate(predictions, start=1))
    return (
        '<table class="fer-va"><thead><tr><th scope="col">Model</th><th scope="col">Valence</th>'
        f'<th scope="col">Arousal</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _row(number: int, prediction: Prediction, look: Look, mixed: bool) -> str:
    source = f" <small>{_SOURCES[prediction.va_source]}</small>" if mixed else ""
    return (
        f'<tr><th scope="row"><span class="fer-chip" style="background:{look.colour};color:{look.ink}">'
        f"{number}</span>{escape(look.title)}{source}</th>"
        f"<td>{signed(prediction.valence)}</td><td>{signed(prediction.arousal)}</td></tr>"
    )
