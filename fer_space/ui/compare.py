"""The Compare tab: how the maps are drawn, the verdict, and every backbone side by side."""

import gradio as gr

from fer_space.comparison import CONSENSUS, PREDICTED
from fer_space.emotions import EMOTIONS
from fer_space.explain.gradcam import METHOD
from fer_space.explain.library import METHODS
from fer_space.render import OPACITY, MapView
from fer_space.ui.forms import Maps
from fer_space.ui.shared import LIVE_JS
from fer_space.ui.sitting import Sitting
from fer_space.ui.views import Scene, results_view, verdict_view

_CELLS = 20


def compare_tab(scene: Scene) -> Maps:
    """Lay the tab out inside the current Tabs."""
    with gr.Tab("Compare", id="compare", elem_classes="fer-tab") as tab:
        verdict = gr.HTML(verdict_view(Sitting(), scene), js_on_load=LIVE_JS, apply_default_css=False)
        with gr.Accordion("Maps", open=False, elem_id="fer-maps"):
            with gr.Row(elem_classes="fer-controls"):
                target, versus, method, whole = _choices(scene)
            with gr.Row(elem_classes="fer-controls"):
                opacity, cells, contour = _manner()
        results = gr.HTML(results_view(Sitting(), scene, MapView()), apply_default_css=False)
    return Maps(tab, target, versus, method, whole, opacity, cells, contour, verdict, results)


def _choices(scene: Scene) -> tuple[gr.Dropdown, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
    emotions = [(emotion.capitalize(), emotion) for emotion in EMOTIONS]
    targets = [("its own answer", PREDICTED), ("the consensus", CONSENSUS), *emotions]
    models = [(look.title, name) for name, look in scene.looks.items()]
    methods = [(method.title, name) for name, method in METHODS.items()]
    return (
        gr.Dropdown(targets, value=PREDICTED, label="What speaks for", min_width=150),
        gr.Dropdown([("nothing else", ""), *emotions], value="", label="Rather than", min_width=130),
        gr.Dropdown(methods, value=METHOD, label="Method", min_width=130),
        gr.Dropdown([("no model", ""), *models], value="", label="On the whole photo", min_width=150),
    )


def _manner() -> tuple[gr.Slider, gr.Slider, gr.Checkbox]:
    return (
        gr.Slider(0.0, 1.0, value=OPACITY, step=0.05, label="Opacity", min_width=150),
        gr.Slider(0, _CELLS, value=0, step=1, label="Attentive patches (0: off)", min_width=150),
        gr.Checkbox(label="Contours instead of colour", min_width=150),
    )
