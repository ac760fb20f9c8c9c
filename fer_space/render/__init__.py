"""Types to pictures, HTML and sentences; no model code and no files."""

from fer_space.render.average import average_html
from fer_space.render.cards import cards_html
from fer_space.render.circumplex import circumplex_html
from fer_space.render.covered import covered_html
from fer_space.render.legends import difference_legend_html, legend_html
from fer_space.render.look import Look, count, percent_exact
from fer_space.render.movement import movement_html
from fer_space.render.overlays import cells_overlay, contour_overlay, difference_overlay, overlay
from fer_space.render.palettes import OPACITY
from fer_space.render.photo import photo_html
from fer_space.render.pictures import data_uri, shrink
from fer_space.render.robustness import robustness_html
from fer_space.render.sensitivity import sensitivity_html
from fer_space.render.view import MapView, draw_map
from fer_space.render.words import covered_verdict_html, verdict_html

__all__ = [
    "OPACITY",
    "Look",
    "MapView",
    "average_html",
    "cards_html",
    "cells_overlay",
    "circumplex_html",
    "contour_overlay",
    "count",
    "covered_html",
    "covered_verdict_html",
    "data_uri",
    "difference_legend_html",
    "difference_overlay",
    "draw_map",
    "legend_html",
    "movement_html",
    "overlay",
    "percent_exact",
    "photo_html",
    "robustness_html",
    "sensitivity_html",
    "shrink",
    "verdict_html",
]
