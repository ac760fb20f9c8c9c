"""What is drawn and said: numbers, sentences, maps, cards, circumplex and photo."""

import re
from base64 import b64decode
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fer_space import render
from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.render import Look, MapView
from fer_space.render.look import count, duration, percent, signed
from fer_space.types import Face
from tests.toys import TOY_SPECS, first_cells, toy_prediction, toy_reading

LOOKS = {spec.name: Look(spec.title, spec.colour, 3_400_000) for spec in TOY_SPECS}
LOOKS["evil"] = Look("<script>&\"'", "#2563eb", 1)
ANCHORS = {"happiness": (0.672, 0.081), "fear": (-0.117, 0.76)}
FACE = Face((10.0, 20.0, 60.0, 70.0), 0.9)
NAMES = ("toy_lite", "toy_resnet", "toy_vit", "toy_dan")


def _comparison(*answers: tuple[str, dict[str, float]], **changes: object) -> Comparison:
    readings = tuple(toy_reading(toy_prediction(p, name, **changes)) for name, p in answers)
    return Comparison(FACE, readings)


def _cards(comparison: Comparison, **view: object) -> str:
    return render.cards_html(comparison, LOOKS, MapView(**view), first_cells)


def _says(**probabilities: float) -> dict[str, float]:
    rest = round(1.0 - sum(probabilities.values()), 6)
    spare = next(e for e in EMOTIONS if e not in probabilities)
    shares = {**probabilities, **({spare: rest} if rest else {})}
    return {emotion: shares[emotion] for emotion in EMOTIONS if emotion in shares}


def _plain(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html).replace("\u202f", " ")


@pytest.mark.parametrize(
    ("probability", "written"),
    [(0.934, "93"), (0.0, "0"), (0.001, "<1"), (0.005, "<1"), (0.006, "1"), (0.998, ">99"), (1.0, "100")],
    ids=["usual", "none", "traces", "at the edge", "just above", "nearly all", "all"],
)
def test_percent(probability: float, written: str) -> None:
    assert percent(probability) == f"{written}\u202f%"


def test_numbers_are_short() -> None:
    assert signed(-0.5) == "−0.50"
    assert signed(0.618) == "+0.62"
    assert count(3_413_000) == "3.4\u202fM"
    assert [duration(ms) for ms in (4.23, 9.99, 41.7)] == ["4.2\u202fms", "10\u202fms", "42\u202fms"]


@pytest.mark.parametrize("spec", TOY_SPECS, ids=lambda spec: spec.colour)
def test_ink_can_be_read_on_its_colour(spec) -> None:
    def luminance(colour: str) -> float:
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(spec.colour), luminance(Look("", spec.colour, 0).ink)))
    assert (high + 0.05) / (low + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([_says(happiness=0.93)], "EfficientNet-Lite0 reads Happiness, 93 % sure"),
        (
            [_says(happiness=0.4, surprise=0.35, fear=0.25)],
            "EfficientNet-Lite0 leans to Happiness but is not sure: 40 %, then Surprise 35 %",
        ),
        ([_says(happiness=0.9)] * 2, "Both models agree: Happiness"),
        ([_says(happiness=0.9)] * 4, "All four models agree: Happiness"),
        ([_says(happiness=0.9)] * 3 + [_says(neutral=0.8)], "3 of 4 say Happiness; DAN says Neutral"),
        (
            [_says(neutral=0.4, happiness=0.6), _says(neutral=0.45, happiness=0.35, fear=0.2)],
            "1 of 2 says Happiness; ResNet-18 says Neutral (unsure: 43 % on average)",
        ),
        (
            [
                _says(neutral=0.45, happiness=0.53, fear=0.02),
                _says(neutral=0.45, happiness=0.02, fear=0.53),
            ],
            "No model's first choice, but their average is Neutral; EfficientNet-Lite0 says Happiness, "
            "ResNet-18 says Fear (unsure: 45 % on average)",
        ),
    ],
    ids=["one", "one unsure", "two", "four", "one dissents", "unsure", "nobody's choice"],
)
def test_verdict(answers: list[dict[str, float]], sentence: str) -> None:
    comparison = _comparison(*zip(NAMES, answers, strict=False))
    assert _plain(render.verdict_html(comparison, LOOKS)) == sentence


@pytest.mark.parametrize(
    ("shape_hw", "shrunk_hw"),
    [((100, 50), (100, 50)), ((2560, 1280), (1280, 640)), ((1, 4000), (1, 1280))],
    ids=["small", "large", "a line"],
)
def test_shrink(shape_hw: tuple[int, int], shrunk_hw: tuple[int, int]) -> None:
    assert render.shrink(np.zeros((*shape_hw, 3), np.uint8)).shape == (*shrunk_hw, 3)


def test_data_uri_holds_the_picture() -> None:
    image = np.full((8, 8, 3), (250, 20, 20), np.uint8)
    kind, _, encoded = render.data_uri(image).partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - image).max() < 12


def test_card_shows_eight_bars_in_order_and_a_dash_for_the_unknown() -> None:
    html = _cards(_comparison(("toy_dan", _says(happiness=0.9, sadness=0.1))))
    assert re.findall(r"<li[^>]*><span>(\w+)", html) == [e.capitalize() for e in EMOTIONS]
    assert html.count('role="meter"') == 2
    assert html.count("not known to this model") == 6
    assert 'aria-valuetext="90\u202f%"' in html


def test_cards_say_whose_map_they_show() -> None:
    comparison = _comparison(("toy_dan", _says(happiness=0.9, sadness=0.1)))
    assert "DAN: where it looks for Happiness" in _cards(comparison)
    assert "DAN: where it looks for Sadness" in _cards(comparison, target="sadness")
    assert "no map for Contempt" in _cards(comparison, target="contempt")
    assert "looks for Happiness rather than for Sadness" in _cards(comparison, versus="sadness")
    assert "against itself" in _cards(comparison, versus="happiness")
    assert "the 3 cells where it looks for Happiness" in _cards(comparison, cells=3)
    assert "lines of equal heat" in _cards(comparison, contour=True)


def test_the_consensus_may_differ_from_the_own_answer() -> None:
    sad = {"happiness": 0.45, "sadness": 0.55}
    comparison = _comparison(("toy_dan", sad), ("toy_lite", _says(happiness=0.9, sadness=0.1)))
    assert comparison.consensus == "happiness"
    assert "DAN: where it looks for Sadness" in _cards(comparison)
    assert "DAN: where it looks for Happiness" in _cards(comparison, target="consensus")


def test_all_together_are_the_weighted_mean_beside_the_plain_one() -> None:
    comparison = _comparison(
        ("toy_lite", _says(happiness=0.9, sadness=0.1)), ("toy_dan", _says(happiness=0.2, sadness=0.8))
    )
    html = render.average_html(replace(comparison, weights=(3.0, 1.0)))
    assert "<strong>Happiness</strong> <span>73\u202f%" in html
    assert "Happiness 55" in _plain(html)
    assert "1 of 2 answer the same" in _plain(html)
    assert "bits" in html
    assert "73\u202f%, plain mean 55" in html
    unfitted = render.average_html(replace(comparison, weights=(0.0, 0.0)))
    assert "Plain mean." in unfitted
    assert "weighted" not in unfitted
    assert render.average_html(_comparison(("toy_lite", _says(happiness=1.0)))) == ""


@pytest.mark.parametrize("number", [1, 3, 8])
def test_one_card_a_backbone_and_one_legend(number: int) -> None:
    names = [spec.name for spec in TOY_SPECS[:number]]
    html = _cards(_comparison(*((n, _says(happiness=0.9)) for n in names)))
    assert html.count("<article") == number
    assert html.count("fer-legend") == 1


def test_circumplex_tells_the_same_in_words() -> None:
    comparison = _comparison(("toy_lite", _says(happiness=0.9)), valence=0.6, arousal=-0.1)
    html = render.circumplex_html(comparison.predictions, LOOKS, ANCHORS)
    assert 'role="img" aria-label="Plane of valence and arousal. EfficientNet-Lite0 valence +0.60' in html
    assert "Derived from the probabilities" in html
    assert "predicted by a head" not in html
    assert html.count("fer-anchor") == len(ANCHORS)


def test_circumplex_keeps_derived_and_predicted_apart() -> None:
    derived = _comparison(("toy_lite", _says(happiness=0.9))).predictions
    predicted = _comparison(("toy_vit", _says(happiness=0.9)), va_source="head").predictions
    html = render.circumplex_html(derived + predicted, LOOKS, ANCHORS)
    assert html.count("<small>derived</small>") == 1
    assert html.count("<small>predicted</small>") == 1


@pytest.mark.parametrize("faces", [0, 1, 3])
def test_photo_has_a_box_for_every_face_and_a_strip_for_many(faces: int) -> None:
    comparisons = [_comparison(("toy_lite", _says(happiness=0.9)))] * faces
    html = render.photo_html("data:,", (100, 100), comparisons, selected=faces - 1)
    assert html.count('class="fer-box"') == faces
    assert html.count('aria-pressed="true"') == (1 if faces > 1 else 0)
    if faces:
        assert "left:10.00%;top:20.00%;width:50.00%;height:50.00%" in html


def test_titles_are_escaped_everywhere() -> None:
    comparison = _comparison(("evil", _says(happiness=0.9)))
    drawn = (
        _cards(comparison)
        + render.verdict_html(comparison, LOOKS)
        + render.circumplex_html(comparison.predictions, LOOKS, ANCHORS)
    )
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
