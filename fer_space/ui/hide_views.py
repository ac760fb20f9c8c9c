"""What the Occlude tab shows: the line that sums up, the slider, the cards, the easel, the sliding patch."""

from collections.abc import Mapping

from fer_space.explain.library import attentive_cells
from fer_space.occlusion import OCCLUSIONS
from fer_space.render import (
    Look,
    MapView,
    covered_html,
    covered_verdict_html,
    data_uri,
    movement_html,
    robustness_html,
    sensitivity_html,
)
from fer_space.ui.easel import easel_html, slider_html
from fer_space.ui.hiding import PAINTED, Hiding, window_of
from fer_space.ui.sitting import Sitting
from fer_space.ui.views import Scene, problem_html, which_html
from fer_space.weights import Card, robustness_of

_WAITING = "Compare a picture first; then cover its faces here and see which models keep their answer."
_FREE = "Free face"
_AVERAGE = (
    "No landmarks are known for this face, so the cover is drawn on its crop as on an average face, "
    "and may not fit."
)


def outcome_view(sitting: Sitting, hiding: Hiding, scene: Scene) -> str:
    """Say in one line what the cover changed, or why nothing can be said."""
    if hiding.problem:
        return problem_html(hiding.problem)
    if not sitting.comparisons:
        return f'<p class="fer-verdict fer-quiet">{_WAITING}</p>'
    if not hiding.covered:
        return ""
    covered = hiding.covered[sitting.selected]
    drawn_by_average = covered.kind != PAINTED and covered.before.face.all_68 is None
    note = f'<p class="fer-note">{_AVERAGE}</p>' if drawn_by_average else ""
    sentence = covered_verdict_html(covered, scene.looks)
    return f'<p class="fer-verdict">{which_html(sitting)}{sentence}</p>{note}'


def pair_view(sitting: Sitting, hiding: Hiding) -> str:
    """Show the picture around the face, free and covered, or the crop where only that was covered."""
    if not hiding.covered:
        return ""
    covered = hiding.covered[sitting.selected]
    if hiding.photo_uri and (covered.kind == PAINTED or covered.before.face.all_68 is not None):
        window = window_of(sitting, whole=False)
        return slider_html(sitting.photo_uri, hiding.photo_uri, sitting.size_wh, window, "photo")
    before, after = (side.readings[0].crop.image_rgb for side in (covered.before, covered.after))
    side = before.shape[0]
    return slider_html(data_uri(before), data_uri(after), (side, side), (0, 0, side, side), "face")


def covered_view(sitting: Sitting, hiding: Hiding, scene: Scene, view: MapView) -> str:
    """Show the cards of the covered face, how its answers move, and what was measured on test sets."""
    if not hiding.covered:
        return scene.robustness
    covered = hiding.covered[sitting.selected]
    cards = covered_html(covered, scene.looks, view, attentive_cells)
    movement = movement_html(covered, scene.looks, scene.anchors)
    return f'<div class="fer-results"><div>{cards}</div>{movement}{scene.robustness}</div>'


def easel_view(sitting: Sitting, whole: bool) -> str:
    """Show the selected face, or the whole picture, to paint on."""
    if not sitting.comparisons:
        return ""
    return easel_html(sitting.photo_uri, sitting.size_wh, window_of(sitting, whole))


def slid_view(sitting: Sitting, hiding: Hiding, scene: Scene) -> str:
    """Show what each region of the selected face is worth, where it was measured."""
    if not hiding.slid or hiding.slid_face != sitting.selected:
        return ""
    crops = {r.prediction.backbone: r.crop.image_rgb for r in sitting.shown.readings}
    return sensitivity_html(hiding.slid, crops, scene.looks)


def robustness_view(cards: Mapping[str, Card], looks: Mapping[str, Look]) -> str:
    """Show what the cards say of covered test faces; "" where no covered set was measured."""
    rows = [(name, _measured(card)) for name, card in cards.items()]
    rows = [(name, measured) for name, measured in rows if len(measured) > 1]
    return f'<section class="fer-measured">{robustness_html(rows, looks)}</section>' if rows else ""


def _measured(card: Card) -> dict[str, dict[str, float]]:
    """By condition, the free face first, the scores on FERPlus test faces; no free face, nothing."""
    measured = robustness_of(card.results, OCCLUSIONS)
    if None not in measured:
        return {}
    titles = {None: _FREE} | {name: occlusion.title for name, occlusion in OCCLUSIONS.items()}
    return {
        titles[cover]: {metric: scores[metric] for metric in ("accuracy", "macro_f1")}
        for cover, scores in measured.items()
    }
