"""A sitting as the page shows it: the photo, the verdict line, and the cards with the circumplex."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from fer_space.render import Look, cards_html, circumplex_html, count, photo_html, verdict_html
from fer_space.ui.sitting import Sitting

_GUIDE = {
    "Maps": "colour the parts of the face that speak for an emotion, model by model.",
    "Bars": "are probabilities, calibrated on the faces of FERPlus: of a hundred of those read with 80 %, "
    "about eighty are right; on other photos fewer.",
    "Valence and arousal": "place the same answer between unpleasant and pleasant, calm and excited.",
}
_WELCOME = "Upload a picture, take one, paste one, or start with an example."


@dataclass(frozen=True)
class Scene:
    """What all drawings share.

    Attributes:
        looks: how each backbone is written and coloured.
        anchors: mean valence and arousal of each emotion.
    """

    looks: Mapping[str, Look]
    anchors: Mapping[str, tuple[float, float]]


def photo_view(sitting: Sitting) -> str:
    """Show the picture with its faces, or nothing before there is one."""
    if not sitting.photo_uri:
        return ""
    return photo_html(sitting.photo_uri, sitting.size_wh, sitting.comparisons, sitting.selected)


def verdict_view(sitting: Sitting, scene: Scene) -> str:
    """Say in one line what was read, or why nothing was."""
    if sitting.problem:
        return f'<p class="fer-verdict fer-problem" role="alert">{escape(sitting.problem)}</p>'
    if not sitting.comparisons:
        return f'<p class="fer-verdict fer-quiet">{_WELCOME}</p>'
    sentence = verdict_html(sitting.comparisons[sitting.selected], scene.looks)
    return f'<p class="fer-verdict">{_which(sitting)}{sentence}</p>'


def results_view(sitting: Sitting, scene: Scene, target: str, opacity: float) -> str:
    """Show the cards and the circumplex of the selected face, or the models that wait for one."""
    if not sitting.comparisons:
        return _models(scene)
    comparison = sitting.comparisons[sitting.selected]
    cards = cards_html(comparison, scene.looks, target, opacity)
    circumplex = circumplex_html(comparison.predictions, scene.looks, scene.anchors)
    shown = len(comparison.readings)
    return f'<div class="fer-results" data-count="{shown}"><div>{cards}</div>{circumplex}</div>'


def _which(sitting: Sitting) -> str:
    faces = len(sitting.comparisons)
    return f'<span class="fer-which">Face {sitting.selected + 1} of {faces}</span> ' if faces > 1 else ""


def _models(scene: Scene) -> str:
    chips = "".join(
        f'<li style="--mark:{look.colour}">{escape(look.title)} '
        f"<small>{count(look.parameters)} parameters</small></li>"
        for look in scene.looks.values()
    )
    explained = "".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in _GUIDE.items())
    return f'<div class="fer-waiting"><dl>{explained}</dl><ul aria-label="Models">{chips}</ul></div>'
