"""The events of the column and the Compare tab with the toy engine: no server, no browser."""

import json
from base64 import b64decode
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import cv2
import gradio as gr
import numpy as np
import pytest

from fer_space.detectors.specs import DETECTORS
from fer_space.errors import InputError, MissingDependencyError
from fer_space.ui.compare import query_of
from fer_space.ui.events import per_cent, sentence_of
from fer_space.ui.page import build_page, look_of, offered, serving_options
from fer_space.ui.session import BOX, NO_MODEL, UNFORESEEN, Options
from fer_space.ui.sidebar import load_examples
from tests.toys import MISSING, ToyEngine
from tests.ui.conftest import EXAMPLES
from tests.ui.desk import LOOKS, REQUEST, TWO, Desk, click


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def _plain_png() -> bytes:
    return cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()


def test_the_page_opens_on_a_finished_example(desk: Desk) -> None:
    assert "one face found" in desk.photo
    assert "Both models agree" in desk.answer
    assert desk.answer.count("<tr data-model") == 2
    assert desk.session.answer.done


def test_an_upload_shows_photo_and_then_answer(desk: Desk) -> None:
    desk.upload(_example("two_faces.jpg"))
    assert "2 faces found" in desk.photo
    assert "Face 2 of 2" in desk.answer  # the larger one
    assert desk.photo.count('class="fer-face"') == 2


@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_example_has_a_face(desk: Desk, index: int) -> None:
    desk.example(index)
    assert desk.session.answer.read


def test_another_face_is_shown_without_the_models(desk: Desk) -> None:
    desk.example(2)
    calls, shown = desk.engine.calls, desk.answer
    desk.choose(0)
    assert "Face 1 of 2" in desk.answer
    assert desk.answer != shown
    assert desk.engine.calls == calls


@pytest.mark.parametrize("index", [2, -1, "1", None, 1.0])
def test_a_face_that_does_not_exist_changes_nothing(desk: Desk, index: object) -> None:
    desk.example(2)
    shown = desk.answer
    desk.choose(index)
    assert desk.answer == shown


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "fear"},
        {"target": "consensus", "versus": "fear"},
        {"opacity": 0.2},
        {"manner": "contours"},
        {"manner": "cells", "cells": 5},
    ],
    ids=["emotion", "difference", "opacity", "contours", "patches"],
)
def test_controls_of_the_maps_redraw_without_the_models(desk: Desk, changes: dict[str, Any]) -> None:
    before = desk.answer
    desk.set(desk.tab.view, **changes)
    desk.run(desk.do.redraw, *desk.view())
    assert desk.answer != before
    assert desk.engine.calls == 0


def test_a_difference_greys_what_says_nothing_about_it(desk: Desk) -> None:
    assert [update["interactive"] for update in desk.do.grey("fear")] == [False, False]
    assert [update["interactive"] for update in desk.do.grey("")] == [True, True]


def test_the_maps_of_one_model_come_on_the_whole_photo(desk: Desk) -> None:
    plain = desk.photo
    desk.set(desk.tab.view, whole=TWO[1])
    desk.run(desk.do.redraw, *desk.view())
    assert desk.photo != plain
    desk.set(desk.tab.view, whole="a model that did not read it")
    desk.run(desk.do.redraw, *desk.view())
    assert desk.photo == plain


def test_settings_read_again_and_say_so(desk: Desk) -> None:
    assert "boosted" not in desk.answer, "as the page starts"
    assert desk.engine.boosts[-1] is True
    desk.set(desk.sidebar.options, backbones=TWO[:1], boost_rare=False)
    desk.read()
    assert desk.answer.count("<tr data-model") == 1
    assert "rare emotions not boosted" in desk.answer
    assert desk.engine.boosts[-1] is False
    calls = desk.engine.calls
    desk.read()
    assert desk.engine.calls == calls


def test_clear_forgets_everything_and_nothing_comes_back(desk: Desk) -> None:
    steps = desk.steps(desk.do.read, *[*desk.options()[:3], False, ""], *desk.view())
    next(steps)
    desk.run(desk.do.clear, click(stamp=5), *desk.view())
    for _ in steps:
        pass
    assert desk.photo == ""
    assert "<tr data-model" not in desk.answer
    assert desk.session.answer.picture is None


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"backbones": []}, NO_MODEL),
        ({"detector": "insightface"}, MISSING),
        ({"detector": "dlib"}, UNFORESEEN),
    ],
    ids=["no model", "detector not installed", "unforeseen"],
)
def test_problems_are_sentences_and_can_be_undone(desk: Desk, options: dict[str, Any], problem: str) -> None:
    before = {name: desk.values[part] for name, part in desk.sidebar.options.items()}
    desk.set(desk.sidebar.options, **options)
    desk.read()
    assert problem in desk.answer
    assert 'role="alert"' in desk.answer
    assert "<tr data-model" not in desk.answer
    desk.set(desk.sidebar.options, **before)
    desk.read()
    assert desk.answer.count("<tr data-model") == 2


@pytest.mark.parametrize(
    "data", [b"hello", _example("astronaut.jpg")[:900], b""], ids=["text", "cut", "empty"]
)
def test_a_bad_file_is_a_sentence(desk: Desk, data: bytes) -> None:
    desk.upload(data)
    assert 'role="alert"' in desk.answer
    assert desk.photo == ""


def test_words_of_errors_are_escaped_and_tell_no_path() -> None:
    error = MissingDependencyError("No <model> under /home/me/.insightface/models/buffalo_l: get it & see.")
    assert sentence_of(error) == "No <model> under …: get it & see."
    from fer_space.render.html import problem_html

    assert "&lt;model&gt;" in problem_html(sentence_of(error))
    assert sentence_of(InputError("A picture: image/png or 1/2")) == "A picture: image/png or 1/2"
    assert sentence_of(ValueError("secret")) == UNFORESEEN


def test_without_a_face_a_box_can_be_placed_by_hand(desk: Desk) -> None:
    desk.upload(_plain_png())
    rescue = desk.sidebar.rescue
    assert desk.values[rescue.group] == gr.update(visible=True)
    assert "fer-hand" in desk.photo  # the box is seen before it is moved
    desk.do.aim(REQUEST, 50, 50, 50)
    across, down, size, photo = desk.do.point(REQUEST, click(across=0.25, down=0.75))
    assert (across, down, size) == (25.0, 75.0, 50)
    assert "fer-hand" in photo
    assert photo != desk.photo
    desk.run(desk.do.place, across, down, size, *desk.options(), *desk.view())
    desk.read()
    (comparison,) = desk.session.answer.read
    assert comparison.face.box_xyxy == (0.0, 32.0, 32.0, 64.0)
    assert desk.values[rescue.group] == gr.update(visible=False)
    desk.upload(_plain_png())  # the next box starts in the middle
    assert [desk.values[slider] for slider in rescue.sliders] == list(BOX)


@pytest.mark.parametrize("share", [None, "x", -9.0, 9.0, [], {}, float("nan")])
def test_a_strange_click_stays_on_the_picture(share: object) -> None:
    assert 0 <= per_cent(share) <= 100


def test_a_click_on_a_photo_with_faces_does_nothing(desk: Desk) -> None:
    assert desk.do.point(REQUEST, click(across=0.5, down=0.5)) == gr.skip()


def test_every_detector_says_what_it_finds(desk: Desk) -> None:
    desk.upload(_plain_png())
    said = desk.do.ask(REQUEST)
    assert said.count("<li>") == len(DETECTORS)
    for sentence in ("no face.", "not available here", "broke on this picture"):
        assert sentence in said


def test_what_detectors_find_is_not_said_under_another_picture(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.upload(_plain_png())
    find = type(desk.runs).find

    def slow(runs: Any, *words: Any) -> Any:
        desk.run(desk.do.example, click(index=0, stamp=9), *desk.view())
        return find(runs, *words)

    monkeypatch.setattr(type(desk.runs), "find", slow)
    assert desk.do.ask(REQUEST) == gr.skip()


def test_a_map_that_is_drawn_otherwise_while_a_face_is_read_stays_so(desk: Desk) -> None:
    desk.run(desk.do.example, click(index=0, stamp=1), *desk.view())
    steps = desk.steps(desk.do.read, *desk.options(), *desk.view())
    for _ in range(3):
        next(steps)
    desk.set(desk.tab.view, manner="contours")
    desk.run(desk.do.redraw, *desk.view())
    list(steps)
    assert "The lines show" in desk.answer


def test_of_two_quick_clicks_on_faces_the_newer_is_shown(desk: Desk) -> None:
    desk.example(2)
    desk.run(desk.do.choose, click(index=0, stamp=2), *desk.view())
    assert desk.do.choose(REQUEST, click(index=1, stamp=1), *desk.view()) == gr.skip()
    assert "Face 1 of 2" in desk.answer


def test_a_click_that_is_overtaken_while_it_is_drawn_shows_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.example(2)
    show = desk.do._show

    def overtaken(session: Any) -> Any:
        session.select(1, 3)
        return show(session)

    monkeypatch.setattr(desk.do, "_show", overtaken)
    assert desk.do.choose(REQUEST, click(index=0, stamp=2), *desk.view()) == gr.skip()


def test_the_chosen_face_stays_when_a_setting_reads_it_again(desk: Desk) -> None:
    desk.example(2)
    assert desk.session.selected == 1
    desk.choose(0)
    desk.set(desk.sidebar.options, backbones=TWO[:1])
    desk.read()
    assert "Face 1 of 2" in desk.answer
    desk.example(2)  # of a picture that is handed in again, the largest
    assert desk.session.selected == 1


def test_old_work_that_breaks_leaves_the_newer_picture_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run(desk.do.example, click(index=0, stamp=1), *desk.view())
    stream = desk.engine.stream

    def broken(*words: Any, **more: Any) -> Any:
        yield next(stream(*words, **more))
        desk.run(desk.do.example, click(index=2, stamp=2), *desk.view())
        raise RuntimeError

    monkeypatch.setattr(
        type(desk.runs), "steps", lambda runs, *words, **more: broken(*words[:1], words[2], backbones=TWO)
    )
    desk.read()
    assert desk.session.answer.problem == ""


@pytest.mark.parametrize("forged", [click(), click(index="2"), click(index=None), click(index=[1])])
def test_a_forged_event_breaks_nothing(desk: Desk, forged: object) -> None:
    desk.run(desk.do.example, forged, *desk.view())
    desk.run(desk.do.upload, forged, *desk.view())
    desk.run(desk.do.choose, forged, *desk.view())
    assert 'role="alert"' in desk.answer


def test_a_repeated_name_is_read_once(desk: Desk) -> None:
    desk.set(desk.sidebar.options, backbones=[TWO[0]] * 50 + [TWO[1]])
    desk.read()
    assert [p.backbone for p in desk.session.answer.read[0].predictions] == TWO


@pytest.mark.parametrize("kept", [None, "x", [], [["gone"], "dlib", "x", 1, "y"], [5, 5, 5, 5, 5]])
def test_what_the_browser_remembers_is_not_trusted(desk: Desk, kept: object) -> None:
    recalled = desk.do.recall(REQUEST, kept)
    assert recalled == gr.skip() or recalled[0] == gr.skip()


def test_options_are_recalled_where_they_still_exist(desk: Desk) -> None:
    kept = [[TWO[1], "gone"], "dlib", "grad-cam", False, "gone"]
    backbones, *_, boost, ensemble = desk.do.recall(REQUEST, kept)
    assert backbones == [TWO[1]]
    assert boost is False
    assert ensemble == gr.skip()


def test_a_model_that_was_fetched_since_is_offered(desk: Desk) -> None:
    looks = {TWO[0]: LOOKS[TWO[0]]}
    update = offered(desk.engine, looks)
    assert [name for _, name in update.choices] == TWO
    assert looks[TWO[1]].title == LOOKS[TWO[1]].title


def test_examples_are_complete_and_named() -> None:
    examples = load_examples(EXAMPLES)
    pictures = {file.name for file in EXAMPLES.iterdir() if file.suffix == ".jpg"}
    assert {example.file.name for example in examples} == pictures
    for example in examples:
        assert all((example.title, example.alt, example.source, example.licence))
        assert example.file.stat().st_size < 300_000


def test_only_predict_is_public() -> None:
    page = build_page(ToyEngine(TWO), examples=EXAMPLES)
    public = [fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"]
    assert public == ["predict"]


def test_a_look_tells_the_operating_points_apart() -> None:
    look = look_of(ToyEngine(TWO).registry.source(TWO[0]))
    assert (look.title, look.accuracy, look.boosted) == ("EfficientNet-Lite0", 0.8, None)


def test_a_link_brings_its_settings_along(desk: Desk) -> None:
    options = Options((TWO[1],), "dlib", "hirescam", boost_rare=False, ensemble="posed")
    request = SimpleNamespace(session_hash="b", query_params=dict(parse_qsl(query_of(options))))
    assert desk.do.recall(request, None) == [[TWO[1]], "dlib", "hirescam", False, "posed"]


@pytest.mark.parametrize("kind", ["png", "csv", "json", "link"])
def test_what_is_shown_can_be_taken_away(desk: Desk, kind: str) -> None:
    taken = desk.do.take(REQUEST, click(kind=kind))
    if kind == "link":
        assert "?backbones=toy_lite%2Ctoy_resnet&amp;detector=" in taken
        return
    data = b64decode(taken.partition("base64,")[2].partition('"')[0])
    if kind == "png":
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[1] == 1200
    elif kind == "json":
        assert json.loads(data)["faces"][0]["consensus"]["label"] == "happiness"
    else:
        assert data.decode().count("toy_lite") == 1


@pytest.mark.parametrize("kind", [None, 3, "exe"])
def test_nothing_else_can_be_taken_away(desk: Desk, kind: object) -> None:
    assert desk.do.take(REQUEST, click(kind=kind)) == gr.skip()


def test_models_that_cannot_be_used_are_named_in_grey() -> None:
    engine = ToyEngine(TWO)
    engine.broken = {"resnet29_faces": "/srv/secret/weights/resnet29_faces.json is cut short."}
    config = build_page(engine).get_config_file()
    infos = [
        part["props"].get("info") for part in config["components"] if part["props"].get("label") == "Models"
    ]
    assert infos.count("Not usable: resnet29_faces. … is cut short.") == 1


def test_a_page_that_is_slow_to_answer_is_served(monkeypatch: pytest.MonkeyPatch):
    """On a busy machine Gradio's own question to it takes longer than Gradio waits."""
    monkeypatch.setattr(gr.networking, "url_ok", lambda url: False)
    with gr.Blocks() as page:
        gr.HTML("faces")
    try:
        page.launch(prevent_thread_lock=True, quiet=True, **serving_options())
    finally:
        page.close(verbose=False)
