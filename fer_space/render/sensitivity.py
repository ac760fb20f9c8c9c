"""Sensitivity: what each part of the face is worth to each backbone's answer."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from fer_space.explain.sensitivity import Sensitivity
from fer_space.render.cards import figure_html
from fer_space.render.legends import difference_legend_html
from fer_space.render.look import Look, fold
from fer_space.render.overlays import difference_overlay
from fer_space.render.palettes import OPACITY

_LEAST_SCALE = 0.5  # bits: where nothing matters, noise is not blown up
_CAPTION = "Odds of each model’s answer while a part of the face is covered"


def sensitivity_html(
    sensitivities: Sequence[Sensitivity], crops: Mapping[str, NDArray[np.uint8]], looks: Mapping[str, Look]
) -> str:
    """Build one card a backbone, all on one scale, with its legend.

    Args:
        sensitivities: what was measured.
        crops: by backbone, the crop that it saw, uint8 RGB (S, S, 3).
        looks: how each backbone is shown.
    """
    scale = max([_LEAST_SCALE, *(float(np.abs(s.worth).max(initial=0.0)) for s in sensitivities)])
    cards = "".join(_card(s, crops[s.backbone], looks[s.backbone], scale) for s in sensitivities)
    low, high = f"rise {fold(scale)}", f"fall {fold(scale)}"
    return (
        f'<div class="fer-cards fer-sensitivity" data-count="{len(sensitivities)}">{cards}</div>'
        f"{difference_legend_html(_CAPTION, low, high)}"
    )


def _card(sensitivity: Sensitivity, crop_rgb: NDArray[np.uint8], look: Look, scale: float) -> str:
    target = escape(sensitivity.target.capitalize())
    drawn = difference_overlay(crop_rgb, (sensitivity.worth / scale).astype(np.float32), OPACITY)
    alternative = f"{look.title}: where covering the face lowers the odds of {sensitivity.target}"
    return (
        f'<article class="fer-card" style="--mark:{look.colour}" aria-label="{escape(look.title)}">'
        f'<div class="fer-card-body">{figure_html(drawn, alternative)}<div class="fer-answer">'
        f'<h3>{escape(look.title)}</h3><p class="fer-top"><strong>{target}</strong></p>'
        f'<p class="fer-facts">{_most(sensitivity)}</p></div></div></article>'
    )


def _most(sensitivity: Sensitivity) -> str:
    largest = float(sensitivity.worth.max(initial=0.0))
    if largest < _LEAST_SCALE / 5:
        return "No covered part lowers its odds"
    return f"Its odds fall up to {escape(fold(largest))}"
