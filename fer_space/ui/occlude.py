"""The Occlude tab: cover the faces, paint on one, or slide a patch over it, and see which answers stay."""

import gradio as gr

from fer_space.occlusion import OCCLUSIONS
from fer_space.render import MapView
from fer_space.ui.easel import EASEL_JS, SLIDER_JS
from fer_space.ui.forms import COLOURS, OWN, Hide
from fer_space.ui.hide_handlers import FACE, WHOLE
from fer_space.ui.hide_views import covered_view, outcome_view
from fer_space.ui.hiding import Hiding
from fer_space.ui.shared import LIVE_JS, REMEMBER_S
from fer_space.ui.sitting import Sitting
from fer_space.ui.views import Scene


def occlude_tab(scene: Scene) -> Hide:
    """Lay the tab out inside the current Tabs."""
    none = Sitting(), Hiding()
    with gr.Tab("Occlude", id="occlude", elem_classes="fer-tab") as tab:
        outcome = gr.HTML(outcome_view(*none, scene), js_on_load=LIVE_JS, apply_default_css=False)
        with gr.Row(elem_classes="fer-hide"):
            with gr.Column(scale=2, min_width=270):
                kind, colour, opacity = _covers()
                pair = gr.HTML("", js_on_load=SLIDER_JS, apply_default_css=False, elem_id="fer-pair")
                where, easel = _painting()
                slide = gr.Button("Slide a patch", elem_id="fer-slide")
            with gr.Column(scale=5, min_width=320, elem_classes="fer-outcome"):
                slid = gr.HTML("", apply_default_css=False, elem_id="fer-slid")
                covered = gr.HTML(covered_view(*none, scene, MapView()), apply_default_css=False)
    is_open = gr.State(False)
    hiding = gr.State(Hiding(), time_to_live=REMEMBER_S)
    return Hide(
        tab, is_open, hiding, kind, colour, opacity, pair, where, easel, slide, outcome, covered, slid
    )


def _covers() -> tuple[gr.Dropdown, gr.Dropdown, gr.Slider]:
    kinds = [(spec.title, name) for name, spec in OCCLUSIONS.items()]
    with gr.Group():
        with gr.Row():
            colours = [(name, value) for value, name in COLOURS.items()]
            kind = gr.Dropdown(kinds, value=kinds[0][1], label="Cover", min_width=200)
            colour = gr.Dropdown(colours, value=OWN, label="Colour", min_width=200)
        opacity = gr.Slider(0.0, 1.0, value=1.0, step=0.05, label="Cover opacity")
    return kind, colour, opacity


def _painting() -> tuple[gr.Radio, gr.HTML]:
    with gr.Accordion("Paint your own", open=False, elem_id="fer-paint"):
        where = gr.Radio([FACE, WHOLE], value=FACE, show_label=False, container=False, label="Paint on")
        easel = gr.HTML("", js_on_load=EASEL_JS, apply_default_css=False)
    return where, easel
