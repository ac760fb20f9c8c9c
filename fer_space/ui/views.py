"""A sitting as the Compare tab shows it: the photo, the verdict line, and the cards with the circumplex."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

from fer_space.explain.library import attentive_cells
from fer_space.render import (
    Look,
    MapView,
    average_html,
    cards_html,
    circumplex_html,
    contour_overlay,
    count,
    data_uri,
    overlay,
    percent_exact,
    photo_html,
    shrink,
    verdict_html,
)
from fer_space.types import Face, FaceCrop
from fer_space.ui.sitting import Sitting
from fer_space.vision.alignment import maps_to_photo
from fer_space.vision.imaging import scaling

_GUIDE = {
    "Maps": "colour the parts of the face that speak for an emotion, model by model.",
    "Bars": "are probabilities, calibrated on the faces of FERPlus: of a hundred of those read with "
    "80\u00a0%, about eighty are right; on other photos fewer.",
    "Valence and arousal": "place the same answer between unpleasant and pleasant, calm and excited.",
}
_WELCOME = "Upload a picture, take one, paste one, or start with an example."


@dataclass(frozen=True)
class Scene:
    """What all drawings share.

    Attributes:
        looks: how each backbone is written and coloured.
        anchors: mean valence and arousal of each emotion.
        robustness: the table of scores on covered test faces, or "" where none was measured.
    """

    looks: Mapping[str, Look]
    anchors: Mapping[str, tuple[float, float]]
    robustness: str = ""


def photo_view(sitting: Sitting, view: MapView | None = None, whole: str = "") -> str:
    """Show the picture with its faces, or nothing before there is one.

    Args:
        sitting: the picture.
        view: how maps are drawn on it.
        whole: the backbone whose maps of all faces are drawn on it, or "".
    """
    if not sitting.photo_uri:
        return ""
    uri = sitting.photo_uri
    if view is not None and whole and sitting.comparisons:
        uri = _mapped_uri(sitting, view, whole) or uri
    return photo_html(uri, sitting.size_wh, sitting.comparisons, sitting.selected)


def placing_view(sitting: Sitting, face: Face) -> str:
    """Show the picture with a box that is being placed by hand."""
    width, height = sitting.size_wh
    left, top, right, bottom = face.box_xyxy
    box = (
        f"left:{100 * left / width:.2f}%;top:{100 * top / height:.2f}%;"
        f"width:{100 * (right - left) / width:.2f}%;height:{100 * (bottom - top) / height:.2f}%"
    )
    return (
        f'<figure class="fer-photo"><div class="fer-stage" style="aspect-ratio:{width}/{height};'
        f'--ratio:{width / height:.4f}">'
        f'<img src="{sitting.photo_uri}" alt="The picture, a box placed by hand">'
        f'<span class="fer-hand" style="{box}"></span></div></figure>'
    )


def verdict_view(sitting: Sitting, scene: Scene) -> str:
    """Say in one line what was read, or why nothing was."""
    if sitting.problem:
        return problem_html(sitting.problem)
    if not sitting.comparisons:
        return f'<p class="fer-verdict fer-quiet">{_WELCOME}</p>'
    return f'<p class="fer-verdict">{which_html(sitting)}{verdict_html(sitting.shown, scene.looks)}</p>'


def results_view(sitting: Sitting, scene: Scene, view: MapView) -> str:
    """Show the cards and the circumplex of the selected face, or the models that wait for one."""
    if not sitting.comparisons:
        return _models(scene)
    comparison = sitting.shown
    cards = cards_html(comparison, scene.looks, view, attentive_cells)
    circumplex = circumplex_html(comparison.predictions, scene.looks, scene.anchors)
    shown = len(comparison.readings)
    average = average_html(comparison)
    return f'<div class="fer-results" data-count="{shown}"><div>{cards}</div>{average}{circumplex}</div>'


def problem_html(sentence: str) -> str:
    """A sentence that says what went wrong."""
    return f'<p class="fer-verdict fer-problem" role="alert">{escape(sentence)}</p>'


def which_html(sitting: Sitting) -> str:
    """Which of several faces is shown."""
    faces = len(sitting.comparisons)
    return f'<span class="fer-which">Face {sitting.selected + 1} of {faces}</span> ' if faces > 1 else ""


def _mapped_uri(sitting: Sitting, view: MapView, whole: str) -> str:
    """The photo with the maps of one backbone on all faces; "" where it did not read them."""
    photo = shrink(sitting.image)
    factor = photo.shape[1] / sitting.size_wh[0]
    chosen = [
        (explanation.heatmap, _scaled(reading.crop, factor))
        for comparison in sitting.comparisons
        for reading in comparison.readings
        if reading.prediction.backbone == whole
        and (explanation := reading.explanations.get(comparison.explained(reading, view.target)))
    ]
    if not chosen:
        return ""
    heat = maps_to_photo(chosen, (photo.shape[0], photo.shape[1]))
    return data_uri(contour_overlay(photo, heat) if view.contour else overlay(photo, heat, view.opacity))


def _scaled(crop: FaceCrop, factor: float) -> FaceCrop:
    """The crop as cut from the photo at another scale."""
    return replace(crop, photo_to_crop=crop.photo_to_crop @ scaling(1 / factor, 1 / factor))


def _models(scene: Scene) -> str:
    chips = "".join(
        f'<li style="--mark:{look.colour}" title="{escape(look.licence)}">{escape(look.title)} '
        f"<small>{count(look.parameters)} parameters{_measured(look)}</small></li>"
        for look in scene.looks.values()
    )
    explained = "".join(f"<div><dt>{term}</dt><dd>{text}</dd></div>" for term, text in _GUIDE.items())
    return f'<div class="fer-waiting"><dl>{explained}</dl><ul aria-label="Models">{chips}</ul></div>'


def _measured(look: Look) -> str:
    if look.accuracy is None:
        return ""
    lifted = "" if look.lifted is None else f" ({percent_exact(look.lifted)} with rare emotions lifted)"
    return f" · right on {percent_exact(look.accuracy)} of FERPlus test{lifted}"
