"""Types to pictures, HTML and sentences; no model code and no files."""

from fer_space.render.cards import PREDICTED, cards_html
from fer_space.render.circumplex import circumplex_html
from fer_space.render.look import Look, count
from fer_space.render.photo import photo_html
from fer_space.render.pictures import OPACITY, data_uri, overlay, shrink
from fer_space.render.words import verdict_html

__all__ = [
    "OPACITY",
    "PREDICTED",
    "Look",
    "cards_html",
    "circumplex_html",
    "count",
    "data_uri",
    "overlay",
    "photo_html",
    "shrink",
    "verdict_html",
]
