"""All backbones together: their weighted mean, the plain mean beside it, and how far they disagree."""

from fer_space.comparison import Comparison
from fer_space.render.bars import bars_html
from fer_space.render.look import bits, percent
from fer_space.types import Prediction


def average_html(comparison: Comparison) -> str:
    """Build the card of the mean of several backbones; "" for a single one.

    The bars are the mean weighted by the cards' weights, their ticks the plain mean.
    """
    count = len(comparison.readings)
    if count < 2:
        return ""
    weighted, plain = (_as_answer(mean) for mean in (comparison.weighted, comparison.mean))
    agreeing, fitted = round(comparison.agreement * count), sum(comparison.weights) > 0.0
    what = f"Mean weighted by validation; ticks: the plain mean, {plain.label.capitalize()} "
    kind = f"{what}{percent(plain.confidence)}" if fitted else "Plain mean"
    return (
        '<section class="fer-average" aria-label="All models together"><div><h3>All models together</h3>'
        f'<p class="fer-top"><strong>{weighted.label.capitalize()}</strong> '
        f"<span>{percent(weighted.confidence)}</span></p>"
        f'<p class="fer-facts">{kind}.<br>{agreeing} of {count} answer the same as the plain mean; '
        f"disagreement {bits(comparison.disagreement)}</p></div>"
        f"{bars_html(weighted, plain if fitted else None, 'plain mean')}</section>"
    )


def _as_answer(mean: dict[str, float]) -> Prediction:
    return Prediction("mean", mean, 0.0, 0.0, "circumplex", 0.0)
