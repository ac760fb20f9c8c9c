"""Cards: one a backbone, with its map, its top emotion and eight bars in one fixed order."""

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray

from fer_space.labels import EMOTIONS
from fer_space.render.look import Look, count, duration, percent
from fer_space.render.pictures import OPACITY, data_uri, legend_html, overlay
from fer_space.types import Comparison, Prediction, Reading

PREDICTED = "predicted"


def cards_html(
    comparison: Comparison, looks: Mapping[str, Look], target: str = PREDICTED, opacity: float = OPACITY
) -> str:
    """Build the grid of cards for one face, with the legend that their maps share.

    Args:
        comparison: the face.
        looks: how each of its backbones is shown.
        target: the emotion whose map is drawn, or "predicted" for each card's own top emotion.
        opacity: opacity of the hottest part of a map.
    """
    cards = "".join(
        _card(reading, looks[reading.prediction.backbone], target, opacity) for reading in comparison.readings
    )
    shown = len(comparison.readings)
    return (
        f'<div class="fer-cards" data-count="{shown}">{cards}</div>{legend_html(_subject(target), opacity)}'
    )


def _card(reading: Reading, look: Look, target: str, opacity: float) -> str:
    prediction = reading.prediction
    return (
        f'<article class="fer-card" style="--mark:{look.colour}" aria-label="{escape(look.title)}">'
        f'<div class="fer-card-body">{_map(reading, look, target, opacity)}<div class="fer-answer">'
        f"<h3>{escape(look.title)}</h3>"
        f'<p class="fer-facts">{count(look.parameters)} parameters · {duration(prediction.ms)}</p>'
        f'<p class="fer-top"><strong>{prediction.label.capitalize()}</strong> '
        f"<span>{percent(prediction.confidence)}</span></p>"
        f'<ul class="fer-bars">{"".join(_bar(prediction, emotion) for emotion in EMOTIONS)}</ul>'
        "</div></div></article>"
    )


def _map(reading: Reading, look: Look, target: str, opacity: float) -> str:
    wanted = reading.prediction.label if target == PREDICTED else target
    explanation = reading.explanations.get(wanted)
    crop = reading.crop.image_rgb
    if explanation is None:
        return _figure(crop, look.title, f"no map for {wanted.capitalize()}")
    mapped = overlay(crop, explanation.heatmap, opacity)
    return _figure(mapped, f"Where {look.title} looks for {wanted.capitalize()}")


def _figure(image_rgb: NDArray[np.uint8], alternative: str, caption: str = "") -> str:
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    picture = f'<img src="{data_uri(image_rgb)}" alt="{escape(alternative)}">'
    return f'<figure class="fer-map">{picture}{below}</figure>'


def _subject(target: str) -> str:
    whose = "each model’s own answer" if target == PREDICTED else target.capitalize()
    return f"The maps show what speaks for {whose}"


def _bar(prediction: Prediction, emotion: str) -> str:
    name = emotion.capitalize()
    top = ' class="fer-first"' if emotion == prediction.label else ""
    if emotion not in prediction.probabilities:
        return (
            f'<li class="fer-absent"><span>{name}</span><i></i>'
            '<b role="img" aria-label="not known to this model">–</b></li>'
        )
    probability = prediction.probabilities[emotion]
    written = percent(probability)
    return (
        f'<li{top}><span>{name}</span><i role="meter" aria-label="{name}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{100 * probability:.0f}" aria-valuetext="{escape(written)}">'
        f'<em style="width:{100 * probability:.1f}%"></em></i><b>{escape(written)}</b></li>'
    )
