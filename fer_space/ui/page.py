"""The page as a whole: header, tabs, the endpoint for programs, and how it is served."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from fer_space.distributions import CIRCUMPLEX
from fer_space.registry import look_up
from fer_space.render import Look
from fer_space.ui.endpoint import predict_endpoint
from fer_space.ui.hide_views import robustness_view
from fer_space.ui.hiding import Slide
from fer_space.ui.intake import load_examples
from fer_space.ui.sitting import Compare
from fer_space.ui.tabs import Runs, tabs
from fer_space.ui.views import Scene
from fer_space.vision.imaging import MAX_BYTES
from fer_space.weights import Card, setting_of

if TYPE_CHECKING:
    from fer_space.engine import Engine

# Uploads are looked at every minute and deleted when they are five minutes old; the page itself
# needs them only until they are read.
DELETE_CACHE_S = (60, 300)
WAITING_LINE = 32
SESSIONS = 40  # each remembers its picture for half an hour; the oldest goes first

_HEADER = """<header class="fer-header"><h1>FER Space</h1>
<p>One picture, every face, several expression models side by side. Pictures are not kept.</p></header>"""
_FOOTNOTE = """<p class="fer-footnote">A model reads what a face shows, not what a person feels. Do not use
this to judge people.</p>"""


def build_page(
    engine: "Engine",
    *,
    compare: Compare | None = None,
    sensitivity: Slide | None = None,
    examples: Path | None = None,
) -> gr.Blocks:
    """Build the page over an engine.

    Args:
        engine: what reads the faces.
        compare: stands in for `engine.compare`, for example with a GPU lent around each call.
        sensitivity: stands in for `engine.sensitivity` alike.
        examples: folder of example pictures with a manifest.json.
    """
    runs = Runs(compare or engine.compare, sensitivity or engine.sensitivity, engine.detect)
    page = gr.Blocks(title="FER Space", analytics_enabled=False, delete_cache=DELETE_CACHE_S)
    with page:
        gr.HTML(_HEADER, apply_default_css=False)
        tabs(page, runs, _scene(engine), load_examples(examples) if examples else ())
        predict_endpoint(runs.compare, engine.backbones)
        gr.HTML(_FOOTNOTE, apply_default_css=False)
    page.queue(max_size=WAITING_LINE, default_concurrency_limit=4)
    return page


def serving_options() -> dict[str, Any]:
    """Return what `launch` needs so that the page looks right and records nothing."""
    sheets = (files("fer_space.ui").joinpath(name) for name in ("style.css", "tools.css"))
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    return {
        "theme": _theme(),
        "head": f"<style>{style}</style>",
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": ["api", "settings"],
        "max_file_size": MAX_BYTES,
        "state_session_capacity": SESSIONS,
    }


def _scene(engine: "Engine") -> Scene:
    cards = {name: engine.card(name) for name in engine.backbones}
    looks = {name: look_of(name, card) for name, card in cards.items()}
    return Scene(looks, CIRCUMPLEX, robustness_view(cards, looks))


def look_of(name: str, card: Card) -> Look:
    """How a backbone is shown, and how often it is right at its two operating points."""
    settings = (setting_of("ferplus", "test", lift=lift) for lift in (False, True))
    plain, lifted = (card.results.get(setting, {}).get("accuracy") for setting in settings)
    return Look(
        title=card.title,
        colour=look_up(name).colour,
        parameters=card.parameters,
        accuracy=plain,
        lifted=lifted,
        licence=card.licence,
    )


def _theme() -> gr.themes.Base:
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )
    return theme.set(
        body_background_fill="#f6f8fb",
        body_background_fill_dark="#0b1120",
        block_background_fill_dark="#172033",
        block_info_text_color="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
