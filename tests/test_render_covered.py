"""What is drawn and said of a covered face, of a sliding patch, and of covered test sets."""

import re

import numpy as np
import pytest

from fer_space import render
from fer_space.comparison import Comparison, Covered
from fer_space.explain.sensitivity import Sensitivity
from fer_space.render import Look, MapView
from fer_space.render.look import bits, fold, signed_points
from fer_space.render.words import movement_words
from fer_space.types import Face
from tests.toys import TOY_SPECS, first_cells, toy_prediction, toy_reading

LOOKS = {spec.name: Look(spec.title, spec.colour, 3_400_000) for spec in TOY_SPECS}
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
    assert _plain(render.covered_verdict_html(covered, LOOKS)) == sentence


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
        "&lt;0.01\u202fbits",
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
    html = render.covered_html(covered, LOOKS, MapView(), first_cells)
    assert html.count("<article") == 2
    assert html.count("<figcaption>Original") == html.count("<figcaption>Covered") == 2
    assert html.count("kept</span>") == html.count("changed</span>") == 1
    assert '<s style="left:90.0%"></s>' in html
    assert 'aria-valuetext="10\u202f%, was 90\u202f%"' in html
    assert html.count("fer-ramp") == 1


def test_arrows_lead_from_before_to_after() -> None:
    covered = Covered(
        _side(HAPPY, valence=0.5, arousal=0.0), _side(HAPPY, valence=-0.5, arousal=0.0), "scarf"
    )
    html = render.movement_html(covered, LOOKS, {})
    assert html.count('class="fer-arrow"') == 1
    assert "valence +0.50 to −0.50" in html
    assert "<td>+0.50 → −0.50</td>" in html
    still = Covered(covered.before, covered.before, "scarf")
    assert "fer-arrow" not in render.movement_html(still, LOOKS, {})


def test_robustness_shows_changes_against_the_free_face_and_dashes() -> None:
    rows = [
        ("toy_lite", {"Free face": {"accuracy": 0.86, "macro_f1": 0.7}, "Scarf": {"accuracy": 0.5}}),
        ("toy_dan", {"Free face": {"accuracy": 0.8, "macro_f1": 0.6}}),
    ]
    html = render.robustness_html(rows, LOOKS)
    assert re.findall(r'<th scope="col">([^<]+)', html) == ["Model", "Score", "Free face", "Scarf"]
    assert "<td>50.0\u202f%<small>−36.0</small></td>" in html
    assert html.count("not measured") == 3


def test_sensitivity_is_on_one_scale() -> None:
    weak, strong = (np.zeros((9, 9), np.float32) for _ in range(2))
    weak[0, 0], strong[8, 8] = 1.0, 3.0
    measured = [Sensitivity("toy_lite", "happiness", weak), Sensitivity("toy_dan", "sadness", strong)]
    crops = {name: np.full((60, 60, 3), 120, np.uint8) for name in ("toy_lite", "toy_dan")}
    html = render.sensitivity_html(measured, crops, LOOKS)
    assert html.count("<article") == 2
    assert "fall 8-fold" in html
    assert "Its odds fall up to 2-fold" in html
    assert html.count("fer-ramp") == 1


def test_nothing_matters_is_said() -> None:
    flat = [Sensitivity("toy_lite", "happiness", np.zeros((9, 9), np.float32))]
    html = render.sensitivity_html(flat, {"toy_lite": np.full((60, 60, 3), 120, np.uint8)}, LOOKS)
    assert "No covered part lowers its odds" in html
