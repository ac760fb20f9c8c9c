"""The handlers of the Compare tab with the toy engine: no server, no browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest

from fer_space.card import Card
from fer_space.detectors.specs import DETECTORS
from fer_space.explain.library import METHODS
from fer_space.render import Look, MapView
from fer_space.ui.intake import examples_html, load_examples
from fer_space.ui.page import build_page, look_of
from fer_space.ui.sitting import NO_BACKBONE, NO_FACE, NO_PICTURE, Asked, Sitting, read_picture
from fer_space.ui.views import Scene, results_view
from tests.toys import MISSING, ToyEngine
from tests.ui.conftest import EXAMPLES
from tests.ui.desk import TWO, Desk, click

SLOW = list(METHODS)[1]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Desk(tmp_path)


def _example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def _plain_png() -> bytes:
    return cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()


def test_upload_shows_photo_verdict_and_cards(desk: Desk) -> None:
    desk.upload(_example("astronaut.jpg"))
    assert "one face found" in desk.photo
    assert "Both models agree" in desk.verdict
    assert desk.results.count("<article") == 2


def test_camera_opened_but_nothing_taken_changes_nothing(desk: Desk) -> None:
    assert desk.do.upload({**desk.values, desk.form.left.picture: None}) == gr.skip()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_example_has_a_face(desk: Desk, index: int) -> None:
    assert desk.example(index).comparisons


def test_another_face_is_read_without_the_models(desk: Desk) -> None:
    desk.example(2)
    first, verdict = desk.results, desk.verdict
    desk.run(desk.do.choose, click(index=1))
    assert "Face 1 of 2" in verdict
    assert "Face 2 of 2" in desk.verdict
    assert first != desk.results
    assert desk.engine.calls == 1


@pytest.mark.parametrize("index", [2, -1, "1", None, 1.0])
def test_a_face_that_does_not_exist_changes_nothing(desk: Desk, index: object) -> None:
    sitting = desk.example(2)
    desk.run(desk.do.choose, click(index=index))
    assert desk.sitting is sitting


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "fear"},
        {"target": "consensus", "versus": "fear"},
        {"opacity": 0.2},
        {"contour": True},
        {"cells": 5},
    ],
    ids=["emotion", "difference", "opacity", "contour", "cells"],
)
def test_controls_of_the_maps_redraw_without_the_models(desk: Desk, changes: dict[str, Any]) -> None:
    desk.example(0)
    before = desk.results
    desk.set(desk.form.maps, **changes)
    desk.run(desk.do.redraw)
    assert desk.results != before
    assert desk.engine.calls == 1


def test_the_maps_of_one_backbone_come_on_the_whole_photo(desk: Desk) -> None:
    desk.example(2)
    plain = desk.photo
    desk.set(desk.form.maps, whole=TWO[1])
    desk.run(desk.do.redraw)
    mapped = desk.photo
    assert mapped != plain
    assert mapped.count('class="fer-box"') == 2
    desk.set(desk.form.maps, whole="a model that did not read it")
    desk.run(desk.do.redraw)
    assert desk.photo == plain


def test_a_slow_method_reads_model_by_model_and_only_once(desk: Desk) -> None:
    desk.example(2)
    desk.set(desk.form.maps, method=SLOW)
    desk.run(desk.do.settings)
    desk.run(desk.do.redraw)
    assert desk.engine.methods[1:] == [SLOW, SLOW]
    assert desk.sitting.method == SLOW
    assert [len(c.readings) for c in desk.sitting.comparisons] == [2, 2]


def test_rare_emotions_are_lifted_wherever_the_picture_is_read(desk: Desk) -> None:
    desk.example(0)
    desk.values[desk.form.left.lift] = True
    desk.run(desk.do.settings)
    desk.run(desk.hide.opened)
    assert desk.engine.lifts == [False, True, True]
    assert desk.sitting.lift
    assert desk.sitting.asked.lift


def test_settings_read_again_only_when_there_is_a_picture(desk: Desk) -> None:
    desk.run(desk.do.settings)
    assert desk.engine.calls == 0
    desk.example(0)
    desk.set(desk.form.left, backbones=TWO[:1])
    desk.run(desk.do.settings)
    assert desk.results.count("<article") == 1


def test_clear_forgets_everything(desk: Desk) -> None:
    desk.example(0)
    desk.run(desk.do.clear)
    assert desk.sitting == Sitting()
    assert desk.photo == ""
    assert "<article" not in desk.results


@pytest.mark.parametrize(("way", "keeps"), [("failed", True), ("lost", False)])
def test_an_unforeseen_error_leaves_no_results(desk: Desk, way: str, keeps: bool) -> None:
    desk.example(2)
    desk.run(desk.do.choose, click(index=1))
    desk.run(getattr(desk.do, way))
    assert 'role="alert"' in desk.verdict
    assert bool(desk.sitting.data) == keeps
    assert bool(desk.photo) == keeps
    assert "<article" not in desk.results


def test_without_a_face_a_box_can_be_placed_by_hand(desk: Desk) -> None:
    desk.upload(_plain_png())
    assert desk.values[desk.form.rescue.group] == gr.update(visible=True)
    desk.run(desk.do.point, click(across=0.25, down=0.75))
    assert (desk.values[desk.form.rescue.across], desk.values[desk.form.rescue.down]) == (25.0, 75.0)
    assert "fer-hand" in desk.photo
    desk.set(desk.form.rescue, size=50)
    desk.run(desk.do.place)
    (comparison,) = desk.sitting.comparisons
    assert comparison.face.box_xyxy == (0.0, 32.0, 32.0, 64.0)
    assert desk.values[desk.form.rescue.group] == gr.update(visible=False)
    desk.run(desk.do.again)
    assert desk.sitting.placed is not None
    desk.run(desk.do.detector)
    assert desk.sitting.problem == NO_FACE


@pytest.mark.parametrize("place", [(None, "x"), (-9.0, 9.0), ([], {})])
def test_a_strange_click_stays_on_the_picture(desk: Desk, place: tuple[object, object]) -> None:
    desk.upload(_plain_png())
    desk.run(desk.do.point, click(across=place[0], down=place[1]))
    assert 0 <= desk.values[desk.form.rescue.across] <= 100


def test_a_click_on_a_photo_with_faces_does_nothing(desk: Desk) -> None:
    desk.example(0)
    assert desk.do.point(desk.values, click(across=0.5, down=0.5)) == gr.skip()


def test_every_detector_says_what_it_finds(desk: Desk) -> None:
    assert desk.do.ask(desk.values) == ""
    desk.upload(_plain_png())
    said = desk.do.ask(desk.values)
    assert said.count("<li>") == len(DETECTORS)
    for sentence in ("no face.", MISSING, "broke on this picture"):
        assert sentence in said


@pytest.mark.parametrize(
    ("data", "backbones", "detector", "problem", "keeps_photo"),
    [
        (b"", TWO, "libfacedetection", NO_PICTURE, False),
        (_plain_png(), TWO, "libfacedetection", NO_FACE, True),
        (_plain_png(), [], "libfacedetection", NO_BACKBONE, True),
        (_plain_png(), TWO, "insightface", MISSING, True),
    ],
    ids=["no picture", "no face", "no backbone", "detector not installed"],
)
def test_problems_are_sentences(
    data: bytes, backbones: list[str], detector: str, problem: str, keeps_photo: bool
) -> None:
    sitting = read_picture(ToyEngine(TWO).compare, data, Asked(backbones, detector))
    assert sitting.problem == problem
    assert bool(sitting.photo_uri) == keeps_photo
    assert sitting.comparisons == ()


@pytest.mark.parametrize("data", [b"hello", _example("astronaut.jpg")[:900]], ids=["text", "truncated"])
def test_a_bad_file_is_a_sentence(desk: Desk, data: bytes) -> None:
    desk.upload(data)
    assert 'role="alert"' in desk.verdict
    assert desk.photo == ""
    assert "<article" not in desk.results


def test_examples_are_complete_and_named() -> None:
    examples = load_examples(EXAMPLES)
    pictures = {file.name for file in EXAMPLES.iterdir() if file.suffix == ".jpg"}
    assert {example.file.name for example in examples} == pictures
    for example in examples:
        assert all((example.title, example.alt, example.source, example.licence))
        assert example.file.stat().st_size < 300_000
    html = examples_html(examples)
    assert html.count('aria-label="Example: ') == len(examples)


def test_only_predict_is_public() -> None:
    page = build_page(ToyEngine(TWO), examples=EXAMPLES)
    public = [fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"]
    assert public == ["predict"]


@pytest.mark.parametrize("forged", [click(), click(index="2"), click(index=None), click(index=[1])])
def test_a_forged_event_breaks_nothing(desk: Desk, forged: object) -> None:
    desk.run(desk.do.example, forged)
    assert desk.sitting.comparisons
    desk.run(desk.do.choose, forged)


@pytest.mark.parametrize("method", ["grad-cam", SLOW])
def test_a_repeated_name_is_read_once_and_weights_stay(desk: Desk, method: str) -> None:
    desk.set(desk.form.left, backbones=[TWO[0]] * 50 + [TWO[1]])
    desk.set(desk.form.maps, method=method)
    sitting = desk.example(0)
    assert [p.backbone for p in sitting.shown.predictions] == TWO
    assert sitting.shown.weights == (0.75, 0.25)


def test_a_look_tells_the_operating_points_apart(tiny_weights: tuple[Path, Card]) -> None:
    _, card = tiny_weights
    bare = look_of("tiny", card)
    assert (bare.accuracy, bare.lifted) == (None, None)
    results = {"ferplus test": {"accuracy": 0.9}, "ferplus test, rare emotions lifted": {"accuracy": 0.8}}
    look = look_of("tiny", replace(card, results=results))
    assert (look.title, look.accuracy, look.lifted) == (card.title, 0.9, 0.8)


@pytest.mark.parametrize(
    ("accuracy", "lifted", "words"),
    [
        (None, None, "parameters</small>"),
        (0.863, None, "right on 86.3 % of FERPlus test</small>"),
        (0.863, 0.851, "86.3 % of FERPlus test (85.1 % with rare emotions lifted)</small>"),
    ],
    ids=["not measured", "one point", "two points"],
)
def test_a_waiting_model_says_how_often_it_is_right(
    accuracy: float | None, lifted: float | None, words: str
) -> None:
    looks = {"toy": Look("Toy", "#2563eb", 1_000_000, accuracy, lifted)}
    html = results_view(Sitting(), Scene(looks, {}), MapView())
    assert words in html.replace("\u202f", " ")
