"""The circumplex: valence to the right, arousal upwards, one numbered dot a backbone."""

from collections.abc import Mapping, Sequence
from html import escape

from fer_space.render.look import Look, signed
from fer_space.render.plane import chip_html, dot_svg, plane_svg, position
from fer_space.types import Prediction, VASource

_SOURCES: dict[VASource, tuple[str, str]] = {
    "circumplex": ("derived", "from the probabilities"),
    "head": ("predicted", "by a head"),
}


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
    dots = [
        dot_svg(number, *position(p.valence, p.arousal), looks[p.backbone])
        for number, p in enumerate(predictions, start=1)
    ]
    plane = plane_svg(anchors, "".join(reversed(dots)), _alternative(predictions, looks))
    return (
        '<figure class="fer-circumplex"><figcaption><h3>Valence and arousal</h3>'
        f"<p>{sources(predictions)}</p></figcaption>"
        f'<div class="fer-plane">{plane}{_legend(predictions, looks)}</div></figure>'
    )


def sources(predictions: Sequence[Prediction]) -> str:
    """Say where valence and arousal come from, and their scale."""
    used = {" ".join(_SOURCES[prediction.va_source]) for prediction in predictions}
    sentence = " or ".join(sorted(used))
    return f"{sentence.capitalize()}; −1 to +1"


def model_html(number: int, prediction: Prediction, look: Look, mixed: bool) -> str:
    """Build the head of a table's row: dot, title, and if models differ "derived" or "predicted"."""
    source = f" <small>{_SOURCES[prediction.va_source][0]}</small>" if mixed else ""
    return f'<th scope="row">{chip_html(number, look)}{escape(look.title)}{source}</th>'


def is_mixed(predictions: Sequence[Prediction]) -> bool:
    """Whether some models predict valence and arousal and others derive them."""
    return len({prediction.va_source for prediction in predictions}) > 1


def _alternative(predictions: Sequence[Prediction], looks: Mapping[str, Look]) -> str:
    points = "; ".join(
        f"{looks[p.backbone].title} valence {signed(p.valence)}, arousal {signed(p.arousal)}"
        for p in predictions
    )
    return f"Plane of valence and arousal. {points}."


def _legend(predictions: Sequence[Prediction], looks: Mapping[str, Look]) -> str:
    mixed = is_mixed(predictions)
    rows = "".join(
        f"<tr>{model_html(number, p, looks[p.backbone], mixed)}"
        f"<td>{signed(p.valence)}</td><td>{signed(p.arousal)}</td></tr>"
        for number, p in enumerate(predictions, start=1)
    )
    return (
        '<table class="fer-va"><thead><tr><th scope="col">Model</th><th scope="col">Valence</th>'
        f'<th scope="col">Arousal</th></tr></thead><tbody>{rows}</tbody></table>'
    )
