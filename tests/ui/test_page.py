"""The tab's handlers with the toy engine: no server, no browser."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import gradio as gr
import numpy as np
import pytest

from fer_space.errors import FerSpaceError
from fer_space.render import Look
from fer_space.ui.handlers import Handlers
from fer_space.ui.intake import examples_html, load_examples, uploaded_bytes
from fer_space.ui.page import build_page
from fer_space.ui.sitting import NO_BACKBONE, NO_FACE, NO_PICTURE, Sitting, read_picture
from fer_space.ui.views import Scene
from tests.toys import MISSING, TOY_SPECS, ToyEngine
from tests.ui.conftest import EXAMPLES

LOOKS = {spec.name: Look(spec.title, spec.colour, 1_000_000) for spec in TOY_SPECS}
TWO = [spec.name for spec in TOY_SPECS[:2]]
SETTINGS = (TWO, "libfacedetection", "predicted", 0.7)


@dataclass
class Shown:
    sitting: Sitting
    picture: Any
    photo: str
    verdict: str
    results: str


@pytest.fixture
def engine() -> ToyEngine:
    return ToyEngine(TWO)


@pytest.fixture
def handlers(engine: ToyEngine) -> Handlers:
    return Handlers(engine.compare, Scene(LOOKS, {}), load_examples(EXAMPLES))


@pytest.fixture
def upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], dict[str, str]]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def write(data: bytes) -> dict[str, str]:
        (tmp_path / "upload").write_bytes(data)
        return {"path": str(tmp_path / "upload")}

    return write


def _click(index: object) -> Any:
    return SimpleNamespace(index=index)


def _example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def _plain_png() -> bytes:
    return cv2.imencode(".png", np.full((64, 64, 3), 90, np.uint8))[1].tobytes()


def test_upload_shows_photo_verdict_and_cards(handlers: Handlers, upload) -> None:
    shown = Shown(*handlers.upload(upload(_example("astronaut.jpg")), *SETTINGS))
    assert "one face found" in shown.photo
    assert "Both models agree" in shown.verdict
    assert shown.results.count("<article") == 2


def test_camera_opened_but_nothing_taken_changes_nothing(handlers: Handlers) -> None:
    assert handlers.upload(None, *SETTINGS) == gr.skip()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_example_has_a_face(handlers: Handlers, index: int) -> None:
    assert Shown(*handlers.example(*SETTINGS, _click(index))).sitting.comparisons


def test_another_face_is_read_without_the_models(handlers: Handlers, engine: ToyEngine) -> None:
    first = Shown(*handlers.example(*SETTINGS, _click(2)))
    second = Shown(*handlers.choose(first.sitting, "predicted", 0.7, _click(1)))
    assert "Face 1 of 2" in first.verdict
    assert "Face 2 of 2" in second.verdict
    assert first.results != second.results
    assert engine.calls == 1


@pytest.mark.parametrize("index", [2, -1, "1", None, 1.0])
def test_a_face_that_does_not_exist_changes_nothing(handlers: Handlers, index: object) -> None:
    first = Shown(*handlers.example(*SETTINGS, _click(2)))
    assert Shown(*handlers.choose(first.sitting, "predicted", 0.7, _click(index))) == first


def test_redraw_follows_its_controls_without_the_models(handlers: Handlers, engine: ToyEngine) -> None:
    sitting = Shown(*handlers.example(*SETTINGS, _click(0))).sitting
    drawn = {handlers.redraw(sitting, t, o) for t, o in (("predicted", 0.7), ("fear", 0.7), ("fear", 0.2))}
    assert len(drawn) == 3
    assert engine.calls == 1


def test_settings_read_again_only_when_there_is_a_picture(handlers: Handlers, engine: ToyEngine) -> None:
    handlers.settings(Sitting(), *SETTINGS)
    assert engine.calls == 0
    sitting = Shown(*handlers.example(*SETTINGS, _click(0))).sitting
    one = Shown(*handlers.settings(sitting, TWO[:1], *SETTINGS[1:]))
    assert one.results.count("<article") == 1


def test_clear_forgets_everything(handlers: Handlers) -> None:
    handlers.example(*SETTINGS, _click(0))
    shown = Shown(*handlers.clear("predicted", 0.7))
    assert shown.sitting == Sitting()
    assert shown.photo == ""
    assert "<article" not in shown.results


def test_an_unforeseen_error_keeps_the_picture_only(handlers: Handlers) -> None:
    sitting = Shown(*handlers.example(*SETTINGS, _click(0))).sitting
    shown = Shown(*handlers.failed(sitting, "predicted", 0.7))
    assert 'role="alert"' in shown.verdict
    assert shown.sitting.data == sitting.data
    assert "<article" not in shown.results


def test_an_unforeseen_error_with_a_new_picture_leaves_nothing_old(handlers: Handlers) -> None:
    shown = Shown(*handlers.lost("predicted", 0.7))
    assert shown.photo == ""
    assert "<article" not in shown.results


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
    sitting = read_picture(ToyEngine(TWO).compare, data, backbones, detector)
    assert sitting.problem == problem
    assert bool(sitting.photo_uri) == keeps_photo
    assert sitting.comparisons == ()


@pytest.mark.parametrize("data", [b"hello", _example("astronaut.jpg")[:900]], ids=["text", "truncated"])
def test_a_bad_file_is_a_sentence(handlers: Handlers, upload, data: bytes) -> None:
    shown = Shown(*handlers.upload(upload(data), *SETTINGS))
    assert 'role="alert"' in shown.verdict
    assert shown.photo == ""
    assert "<article" not in shown.results


@pytest.mark.parametrize(
    "payload",
    [{"path": __file__}, {"path": "../../etc/hostname"}, {"path": ""}, {"path": None}, {}],
    ids=["server file", "relative", "empty", "none", "nothing"],
)
@pytest.mark.usefixtures("upload")
def test_only_uploads_can_be_read(payload: dict[str, Any]) -> None:
    with pytest.raises(FerSpaceError):
        uploaded_bytes(payload)


@pytest.mark.parametrize(
    "payload",
    [5, "text", ["a"], {"path": "\0"}, {"path": "x" * 5000}, {"url": "data:image/png;base64,é"}],
    ids=["number", "text", "list", "NUL", "long path", "no ASCII"],
)
def test_malformed_payloads_are_sentences(payload: object) -> None:
    with pytest.raises(FerSpaceError):
        uploaded_bytes(payload)


def test_data_uris_are_read() -> None:
    assert uploaded_bytes({"path": None, "url": "data:image/png;base64,aGVsbG8="}) == b"hello"
    with pytest.raises(FerSpaceError):
        uploaded_bytes({"url": "data:image/png;base64,***"})


def test_examples_are_complete_and_named() -> None:
    examples = load_examples(EXAMPLES)
    pictures = {file.name for file in EXAMPLES.iterdir() if file.suffix == ".jpg"}
    assert {example.file.name for example in examples} == pictures
    for example in examples:
        assert all((example.title, example.alt, example.source, example.licence))
        assert example.file.stat().st_size < 300_000
    html = examples_html(examples)
    assert html.count('aria-label="Example: ') == len(examples)


def test_only_predict_is_public(engine: ToyEngine) -> None:
    page = build_page(engine, examples=EXAMPLES)
    public = [fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"]
    assert public == ["predict"]
