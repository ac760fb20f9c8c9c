"""What is drawn and said of a face: numbers, the verdict, matrix, maps, circumplex and photo."""

import re
from base64 import b64decode
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.comparison import Comparison
from fer_space.emotions import EMOTIONS
from fer_space.render import html
from fer_space.render.circumplex import spot_of
from fer_space.render.colours import EMOTION_COLOURS, ink_on
from fer_space.render.html import Drawing
from fer_space.render.overlays import MapView, data_uri
from fer_space.render.texts import Look, count, duration, percent, signed, verdict_of
from fer_space.types import Explanation, Face, Reading
from tests.toys import TOY_SPECS, first_cells, toy_prediction, toy_reading

LOOKS = {spec.name: Look(spec.title, spec.colour, 3_400_000, 0.86) for spec in TOY_SPECS}
LOOKS["evil"] = Look("<script>&\"'", "#2563eb", 1, licence="<b>none</b>")
ANCHORS = {"happiness": (0.672, 0.081), "fear": (-0.117, 0.76)}
DRAWING = Drawing(LOOKS, ANCHORS, first_cells)
FACE = Face((10.0, 20.0, 60.0, 70.0), 0.9)
NAMES = tuple(spec.name for spec in TOY_SPECS)
THUMB = np.full((30, 30, 3), 90, np.uint8)
CARD, NIGHT = "#ffffff", "#172033"  # what words stand on


def _comparison(*answers: dict[str, float], weights: tuple[float, ...] = (), **changes: object) -> Comparison:
    readings = (toy_reading(toy_prediction(p, n, **changes)) for n, p in zip(NAMES, answers, strict=False))
    return Comparison(FACE, tuple(readings), weights)


def _answer(comparison: Comparison, **view: object) -> str:
    return html.answer_html(comparison, DRAWING, MapView(**view))


def _says(**probabilities: float) -> dict[str, float]:
    rest = round(1.0 - sum(probabilities.values()), 6)
    spare = next(e for e in EMOTIONS if e not in probabilities)
    shares = {**probabilities, **({spare: rest} if rest else {})}
    return {emotion: shares[emotion] for emotion in EMOTIONS if emotion in shares}


def _plain(drawn: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", drawn).replace("\u202f", " ").split())


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


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


def test_every_emotion_has_one_colour_that_can_be_read_on_light_and_dark() -> None:
    assert tuple(EMOTION_COLOURS) == EMOTIONS
    for light, dark in EMOTION_COLOURS.values():
        assert _contrast(light, CARD) >= 4.5
        assert _contrast(dark, NIGHT) >= 4.5


@pytest.mark.parametrize("spec", TOY_SPECS, ids=lambda spec: spec.colour)
def test_ink_can_be_read_on_its_colour(spec) -> None:
    assert _contrast(spec.colour, ink_on(spec.colour)) >= 4.5


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([_says(happiness=0.93)], "Happiness, 93 % sure. One model was asked."),
        (
            [_says(happiness=0.4, surprise=0.35, fear=0.25)],
            "The model does not know. It leans to Happiness, 40 %.",
        ),
        (
            [_says(happiness=0.4, fear=0.3, anger=0.3)] * 2,
            "The models do not know. All lean to Happiness, 40 %.",
        ),
        (
            [_says(fear=0.4, anger=0.3, sadness=0.3)] * 2 + [_says(anger=0.4, fear=0.3, sadness=0.3)],
            "The models do not know. 2 of 3 lean to Fear, 37 %.",
        ),
        ([_says(happiness=0.9)] * 2, "Happiness, 90 % sure. Both models agree."),
        ([_says(happiness=0.9)] * 4, "Happiness, 90 % sure. All four models agree."),
        (
            [_says(happiness=0.9)] * 3 + [_says(neutral=0.8)],
            "Happiness, 73 % sure. 3 of 4 models say so.",
        ),
        (
            [_says(happiness=0.9)] * 2 + [_says(sadness=0.8)] * 2 + [_says(anger=0.9)],
            "Happiness 2 · Sadness 2 · Anger 1. The models are split. Together they lean to Happiness, 33 %.",
        ),
        (
            [
                _says(neutral=0.45, happiness=0.53, fear=0.02),
                _says(neutral=0.45, happiness=0.02, fear=0.53),
            ],
            "Happiness 1 · Fear 1. The models are split. Together they lean to Neutral, 45 %.",
        ),
    ],
    ids=[
        "one",
        "one unsure",
        "two unsure",
        "most unsure",
        "two",
        "four",
        "one dissents",
        "a tie",
        "nobody's choice",
    ],
)
def test_the_verdict_says_ties_and_splits_as_such(answers: list[dict[str, float]], text: str) -> None:
    assert verdict_of(_comparison(*answers)).text.replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([_says(happiness=0.9)], "Happiness, 90 % sure. 1 of 8 models so far."),
        (
            [_says(happiness=0.4, surprise=0.35, fear=0.25)],
            "Not clear yet. 1 of 8 models so far: it leans to Happiness, 40 %.",
        ),
        (
            [_says(happiness=0.9)] * 2,
            "Happiness, 90 % sure. 2 of 8 models so far: both models agree.",
        ),
        (
            [_says(happiness=0.9)] * 3 + [_says(neutral=0.8)],
            "Happiness, 73 % sure. 4 of 8 models so far: 3 of 4 models say so.",
        ),
    ],
    ids=["one", "one unsure", "two", "one dissents"],
)
def test_what_holds_only_so_far_says_so(answers: list[dict[str, float]], text: str) -> None:
    comparison = replace(_comparison(*answers), asked=8)
    assert verdict_of(comparison).text.replace("\u202f", " ") == text
    assert "so far" in _plain(_answer(comparison))
    assert "so far" not in verdict_of(replace(comparison, asked=len(answers))).text


@pytest.mark.parametrize(("sure", "people"), [(0.95, ""), (0.85, "seven"), (0.45, "four")])
def test_it_says_where_people_disagree_too(sure: float, people: str) -> None:
    answer = _says(anger=sure, **dict.fromkeys(("fear", "disgust", "sadness", "neutral"), (1 - sure) / 4))
    said = verdict_of(_comparison(answer)).disputed
    assert said == (
        people and f"People disagree about faces like this, too: of ten, about {people} would say Anger."
    )


def test_headline_and_faces_and_matrix_follow_one_rule() -> None:
    """The fitted mean says sadness, most models happiness: nothing may call it happiness alone."""
    answers = [_says(happiness=0.9)] * 2 + [_says(sadness=0.95)]
    comparison = _comparison(*answers, weights=(0.0, 0.1, 0.9))
    verdict = verdict_of(comparison)
    assert (verdict.emotion, verdict.kind) == ("sadness", "split")
    drawn = _plain(_answer(comparison))
    assert "Happiness 2 · Sadness 1" in drawn
    assert "Together they lean to Sadness" in drawn
    photo = html.photo_html("data:,", (100, 100), [FACE] * 2, [comparison] * 2, 0, thumbs=[THUMB] * 2)
    assert "Sadness?" in photo
    assert "2 Sadness" in _plain(photo)


@given(st.lists(st.sampled_from(EMOTIONS), min_size=1, max_size=8))
def test_every_model_is_counted_once_and_most_come_first(labels: list[str]) -> None:
    verdict = verdict_of(_comparison(*({e: 0.93 if e == own else 0.01 for e in EMOTIONS} for own in labels)))
    named = [name for vote in verdict.votes for name in vote.backbones]
    assert sorted(named) == sorted(NAMES[: len(labels)])
    assert all(len(one.backbones) >= len(two.backbones) for one, two in pairwise(verdict.votes))


def test_data_uri_holds_the_picture() -> None:
    image = np.full((8, 8, 3), (250, 20, 20), np.uint8)
    kind, _, encoded = data_uri(image).partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - image).max() < 12


def test_the_matrix_has_a_row_a_model_and_a_dash_for_the_unknown() -> None:
    drawn = _answer(_comparison({"happiness": 0.9, "sadness": 0.1}, _says(happiness=0.9)))
    assert drawn.count("<tr data-model") == 2
    assert drawn.count('class="fer-together"') == 1
    matrix = drawn[drawn.index("<table") : drawn.index("</table>")]
    assert matrix.count("not known to this model") == 5 + 6 + 6  # together, then each model
    assert drawn.count('role="meter"') == 2 + 2


def test_a_card_shows_eight_bars_in_order() -> None:
    drawn = _answer(_comparison({"happiness": 0.9, "sadness": 0.1}))
    bars = drawn[drawn.index("data-card-of") :]
    assert re.findall(r"<li[^>]*><span>(\w+)", bars) == [e.capitalize() for e in EMOTIONS]
    assert 'aria-valuetext="90\u202f%"' in bars


def test_maps_say_whose_they_are() -> None:
    comparison = _comparison({"happiness": 0.9, "sadness": 0.1})
    assert "EfficientNet-Lite0: where it looks for Happiness" in _answer(comparison)
    assert "EfficientNet-Lite0: where it looks for Sadness" in _answer(comparison, target="sadness")
    assert "No map for contempt" in _answer(comparison, target="contempt")
    assert "looks for Happiness rather than for Sadness" in _answer(comparison, versus="sadness")
    assert "against itself" in _answer(comparison, versus="happiness")
    assert "the 3 patches where it looks for Happiness" in _answer(comparison, manner="cells", cells=3)
    assert "lines of equal heat" in _answer(comparison, manner="contours")
    both = _answer(comparison, versus="sadness", manner="cells")
    assert "rather than" in both
    assert "patches" not in both


@pytest.mark.parametrize("manner", ["heat", "cells", "contours"])
def test_an_empty_map_speaks_for_nothing(manner: str) -> None:
    reading = toy_reading(toy_prediction({"happiness": 1.0}))
    empty = {"happiness": Explanation(np.zeros((7, 7), np.float32), "happiness", "toy")}
    comparison = Comparison(FACE, (Reading(reading.prediction, empty, reading.crop),))
    assert "Nothing speaks for happiness" in _answer(comparison, manner=manner)


def test_the_answer_of_all_together_may_differ_from_the_own_one() -> None:
    comparison = _comparison({"happiness": 0.45, "sadness": 0.55}, _says(happiness=0.9, sadness=0.1))
    assert "EfficientNet-Lite0: where it looks for Sadness" in _answer(comparison)
    assert "EfficientNet-Lite0: where it looks for Happiness" in _answer(comparison, target="consensus")


def test_the_circumplex_is_one_dot_with_its_spread() -> None:
    comparison = _comparison(_says(happiness=0.9), _says(happiness=0.9), valence=0.6, arousal=-0.1)
    drawn = _answer(comparison)
    assert "The models place this face at valence +0.60, arousal −0.10." in drawn
    assert drawn.count("fer-dot") == drawn.count("fer-spread") == 1
    assert "Derived from the probabilities" in drawn
    assert drawn.count("fer-anchor") == len(ANCHORS)
    near, far = (toy_prediction({"happiness": 1.0}, valence=v) for v in (0.0, 0.8))
    assert spot_of([near, far]).spread_x > 2 * spot_of([near, near]).spread_x


def test_derived_and_predicted_are_told_apart() -> None:
    predicted = _comparison(_says(happiness=0.9), va_source="head")
    assert "Predicted by a head of their own" in _answer(predicted)


@pytest.mark.parametrize("faces", [0, 1, 3, 40])
def test_the_photo_has_a_box_for_every_face_and_a_strip_for_many(faces: int) -> None:
    comparisons = [_comparison(_says(happiness=0.9))] * faces
    thumbs = [THUMB] * faces if faces > 1 else []
    drawn = html.photo_html(
        "data:,", (100, 100), [FACE] * faces, comparisons, max(0, faces - 1), thumbs=thumbs, beyond=8
    )
    assert drawn.count('class="fer-box') == faces
    assert drawn.count('aria-pressed="true"') == (1 if faces > 1 else 0)
    assert f"These are the {faces} largest of {faces + 8} faces" in drawn
    if faces:
        assert "left:10.00%;top:20.00%;width:50.00%;height:50.00%" in drawn


def test_everything_is_escaped() -> None:
    reading = toy_reading(toy_prediction({"happiness": 1.0}, "evil"))
    drawn = _answer(Comparison(FACE, (reading,))) + html.problem_html("<script>")
    drawn += html.welcome_html(LOOKS)
    assert "<script>" not in drawn
    assert "<b>none</b>" not in drawn
    assert "&lt;script&gt;" in drawn
