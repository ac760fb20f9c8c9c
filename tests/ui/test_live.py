"""The Live tab's events without a server: answers, smoothing, limits and places."""

from types import SimpleNamespace

import cv2
import gradio as gr
import numpy as np
import pytest

from fer_space.render.html import Drawing
from fer_space.ui.live import FACES, FULL, OVER, PLACES, SECONDS, SILENCE, Live, fast_ones, lay_out_live
from tests.toys import TOY_SPECS, first_cells
from tests.ui.conftest import EXAMPLES, panorama
from tests.ui.desk import LOOKS, Desk, click, data_url

ASTRONAUT = (EXAMPLES / "astronaut.jpg").read_bytes()
PAIR = (EXAMPLES / "two_faces.jpg").read_bytes()
NAMES = [spec.name for spec in TOY_SPECS]
DAN = "toy_dan"


class Camera:
    """A visitor's camera, with a clock that the test sets."""

    def __init__(self, desk: Desk | None = None) -> None:
        self.now = 100.0
        desk = desk or Desk(NAMES)
        with gr.Blocks():
            stage = lay_out_live(Drawing(LOOKS, {"neutral": (0.0, 0.0)}, first_cells))
        self.runs = desk.runs
        self.live = Live(stage, desk.sidebar, desk.frames, lambda: self.now)
        self.number = -1

    def look(
        self, data: bytes = ASTRONAUT, models: tuple[str, ...] = ("toy_lite",), page: str = "a", **how: object
    ) -> dict:
        self.number += 1
        request = SimpleNamespace(session_hash=page)
        event = click(number=how.pop("number", self.number), frame=data_url(data, "image/jpeg"))
        return self.live.look(request, event, models, how.pop("smoothing", 0.0), **how)


def test_a_frame_is_answered_with_faces_and_every_model():
    reading = Camera().look(PAIR, ("toy_lite", DAN, "toy_ran"))
    assert reading["number"] == 0
    assert [face["track"] for face in reading["faces"]] == [1, 2]
    face = reading["faces"][0]
    assert [model["name"] for model in face["models"]] == ["toy_lite", DAN, "toy_ran"]
    assert face["label"] == "happiness"
    assert not face["agree"]  # ToyRAN sees surprise
    assert face["models"][1]["p"][-1] is None
    assert sum(face["models"][0]["p"]) == pytest.approx(100, abs=0.5)
    assert all(0 <= edge <= 100 for edge in face["box"])


def test_of_many_faces_the_largest_are_read():
    assert len(Camera().look(panorama())["faces"]) == FACES == 4  # as docs/live.md says


def test_smoothing_moves_slowly_and_off_shows_every_answer_as_it_came():
    camera, shifted = Camera(), cv2.imdecode(np.frombuffer(ASTRONAUT, np.uint8), 1)
    other = cv2.imencode(".jpg", cv2.resize(shifted, None, fx=0.8, fy=0.8))[1].tobytes()
    raw = [camera.look(data)["faces"][0]["models"][0]["p"] for data in (ASTRONAUT, other)]
    assert raw[0] != raw[1]
    smooth = Camera()
    first = smooth.look(ASTRONAUT, smoothing=1.0)["faces"][0]["models"][0]["p"]
    smooth.now += 0.1
    second = smooth.look(other, smoothing=1.0)["faces"][0]["models"][0]["p"]
    assert first == raw[0]
    for was, now, to in zip(first, second, raw[1], strict=True):
        assert min(was, to) - 0.11 <= now <= max(was, to) + 0.11
        assert abs(now - was) <= abs(to - was) / 5 + 0.11


def test_a_picture_without_a_face_has_none():
    plain = cv2.imencode(".jpg", np.full((90, 120, 3), 128, np.uint8))[1].tobytes()
    assert Camera().look(plain)["faces"] == []


def test_the_camera_stops_at_its_limit_and_may_start_again():
    camera = Camera()
    camera.look()
    camera.now += SECONDS + 1
    assert camera.look()["stop"] == OVER
    assert "faces" in camera.look(number=0)


def test_more_visitors_than_places_are_told_and_get_one_when_it_is_free():
    camera = Camera()
    for visitor in range(PLACES):
        assert "faces" in camera.look(page=str(visitor))
    assert camera.look(page="late")["stop"] == FULL
    camera.live.leave(SimpleNamespace(session_hash="0"))
    assert "faces" in camera.look(page="late")
    assert camera.look(page="later")["stop"] == FULL
    camera.now += SILENCE + 1
    assert "faces" in camera.look(page="later")


def test_a_frame_that_comes_while_another_is_read_is_dropped():
    camera = Camera()
    camera.look()
    visitor = camera.live._visitors["a"]
    with visitor.busy:
        assert camera.look() == {"number": 1, "dropped": True}
    assert "faces" in camera.look()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no picture", "damaged or cut short"),
        (b"\0" * 700_000, "too large"),
        (b"", "empty"),
    ],
)
def test_what_is_no_frame_stops_with_a_sentence(data: bytes, words: str):
    assert words in Camera().look(data)["stop"]


def test_no_model_and_an_unknown_one_stop_with_a_sentence():
    assert "at least one model" in Camera().look(models=())["stop"]
    assert "There is no model" in Camera().look(models=("nobody",))["stop"]
    assert "stop" in Camera().live.look(SimpleNamespace(), click(number=0), ["toy_lite"], 0.0)


def test_the_lock_is_free_after_a_failure():
    camera = Camera()
    camera.look(models=())
    assert "faces" in camera.look()


def test_fast_models_are_chosen_at_first():
    assert fast_ones(dict.fromkeys(("vit", "mobilenet_v2", "efficientnet_lite0"))) == [
        "efficientnet_lite0",
        "mobilenet_v2",
    ]
    assert fast_ones(LOOKS) == NAMES[:3]
