"""What is drawn and said of a covered face, of a sliding patch, and of covered test sets."""

import re

import numpy as np
import pytest

from fer_space.comparison import Comparison, Covered
from fer_space.explain.sensitivity import Sensitivity
from fer_space.render import html
from fer_space.render.html import Drawing
from fer_space.render.overlays import MapView
from fer_space.render.texts import Look, bits, covered_sentence, fold, movement_words, signed_points
from fer_space.types import Face
from tests.toys import TOY_SPECS, first_cells, toy_prediction, toy_reading

LOOKS = {spec.name: Look(spec.title, spec.colour, 3_400_000) for spec in TOY_SPECS}
DRAWING = Drawing(LOOKS, {}, first_cells)
FACE = Face((10.0, 20.0, 60.0, 70.0), 0.9)
NAMES = ("toy_lite", "toy_resnet", "toy_vit", "toy_dan")
HAPPY, SAD = {"happiness": 0.9, "sadness": 0.1}, {"happiness": 0.1, "sadness": 0.9}


def _side(*answers: dict[str, float], **changes: float) -> Comparison:
    readings = (toy_reading(toy_prediction(p, n, **changes)) for n, p in zip(NAMES, answers, strict=False))
    return Comparison(FACE, tuple(readings))


def _plain(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html).replace("\u202f", " ")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ([HAPPY], [HAPPY], "EfficientNet-Lite0 keeps Happiness (90 % before, 90 % now)"),
        ([HAPPY], [SAD], "EfficientNet-Lite0 changes from Happiness to Sadness (0.53 bits)"),
        ([HAPPY] * 2, [HAPPY, SAD], "1 of 2 keeps Happiness; ResNet-18 moves more (0.53 bits)"),
        ([HAPPY] * 2, [SAD] * 2, "Neither keeps Happiness; EfficientNet-Lite0 moves more (0.53 bits)"),
        ([HAPPY] * 3, [HAPPY, HAPPY, SAD], "2 of 3 keep Happiness; ViT-B/16 moves most (0.53 bits)"),
        ([HAPPY, HAPPY, SAD], [HAPPY, HAPPY, SAD], "All three keep their answers; no answer moves"),
        (
            [HAPPY, SAD, SAD],
            [SAD, HAPPY, HAPPY],
            "None of 3 keep their answers; EfficientNet-Lite0 moves most (0.53 bits)",
        ),
    ],
    ids=["one keeps", "one changes", "one of two", "neither", "most", "all", "none"],
)
def test_the_sentence_about_a_cover(before, after, sentence: str) -> None:
    covered = Covered(_side(*before), _side(*after), "scarf")
    assert " ".join(covered_sentence(covered, LOOKS)).replace("\u202f", " ") == sentence


@pytest.mark.parametrize(
    ("movement", "words"),
    [
        ((-0.23, 0.01), "less pleasant (−0.23)"),
        ((0.3, -0.2), "more pleasant (+0.30) and calmer (−0.20)"),
        ((0.0, 0.5), "more excited (+0.50)"),
        ((0.01, -0.04), "as pleasant and as excited as before"),
    ],
)
def test_a_movement_in_words(movement: tuple[float, float], words: str) -> None:
    assert movement_words(*movement) == words


def test_numbers_of_changes_are_short() -> None:
    assert [bits(b) for b in (0.0, 0.004, 0.413)] == [
        "0.00\u202fbits",
        "<0.01\u202fbits",
        "0.41\u202fbits",
    ]
    assert [fold(b) for b in (0.0, 0.5, 1.0, 3.5, 12.0)] == [
        "1-fold",
        "1.4-fold",
        "2-fold",
        "11-fold",
        ">1000-fold",
    ]
    assert [signed_points(p) for p in (-0.123, 0.05, 0.0001)] == ["−12.3", "+5.0", "±0.0"]


def test_covered_cards_show_both_maps_and_where_the_bars_were() -> None:
    covered = Covered(_side(HAPPY, HAPPY), _side(HAPPY, SAD), "scarf")
    drawn = html.covered_html(covered, DRAWING, MapView())
    assert drawn.count("<article") == 2
    assert drawn.count("<figcaption>Original") == drawn.count("<figcaption>Covered") == 2
    assert drawn.count("kept</span>") == drawn.count("changed</span>") == 1
    assert '<s style="left:90.0%"></s>' in drawn
    assert 'aria-valuetext="10\u202f%, was 90\u202f%"' in drawn
    assert drawn.count("fer-ramp") == 1


def test_an_arrow_leads_from_before_to_after() -> None:
    covered = Covered(
        _side(HAPPY, valence=0.5, arousal=0.0), _side(HAPPY, valence=-0.5, arousal=0.0), "scarf"
    )
    drawn = html.covered_html(covered, DRAWING, MapView())
    assert drawn.count('class="fer-arrow"') == 1
    assert "Valence +0.50 to −0.50" in drawn
    still = Covered(covered.before, covered.before, "scarf")
    assert "fer-arrow" not in html.covered_html(still, DRAWING, MapView())


def test_robustness_shows_changes_against_the_free_face_and_dashes() -> None:
    rows = [("toy_lite", {"Free face": 0.86, "Scarf": 0.5}), ("toy_dan", {"Free face": 0.8})]
    drawn = html.robustness_html(rows, LOOKS)
    assert re.findall(r'<th scope="col">([^<]+)', drawn) == ["Model", "Free face", "Scarf"]
    assert "<td>50.0<small>−36.0</small></td>" in drawn
    assert drawn.count("not measured") == 1
    assert html.robustness_html([], LOOKS) == ""


def test_sensitivity_is_on_one_scale() -> None:
    weak, strong, flat = (np.zeros((9, 9), np.float32) for _ in range(3))
    weak[0, 0], strong[8, 8] = 1.0, 3.0
    measured = [
        Sensitivity(name, "happiness", worth)
        for name, worth in (("toy_lite", weak), ("toy_dan", strong), ("toy_vit", flat))
    ]
    crops = {s.backbone: np.full((60, 60, 3), 120, np.uint8) for s in measured}
    drawn = html.sensitivity_html(measured, crops, DRAWING)
    assert drawn.count("<article") == 3
    assert "fall 8-fold" in drawn
    assert "Its odds fall up to 2-fold" in drawn
    assert "No covered part lowers its odds" in drawn
    assert drawn.count("fer-ramp") == 1
