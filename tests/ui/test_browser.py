"""The page as a visitor meets it, in headless Chromium, over the toy engine."""

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.toys import MISSING, TOY_SPECS
from tests.ui.conftest import EXAMPLES, Served
from tests.ui.visit import CHROMIUM, DESK, PALE_WORDS_JS, PHONE, fits, focused, tab_to

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]


def _picture(level: int) -> bytes:
    return cv2.imencode(".png", np.full((80, 80, 3), level, np.uint8))[1].tobytes()


def _example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def _columns(page: Page) -> int:
    return page.evaluate("new Set([...document.querySelectorAll('.fer-card')].map(c => c.offsetLeft)).size")


def test_an_example_becomes_cards_without_errors_or_strangers(visit) -> None:
    here = visit()
    here.example("Portrait of the astronaut")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    expect(here.verdict).to_contain_text("7 of 8 say Happiness; RAN says Surprise")
    expect(here.page.get_by_role("img", name="Plane of valence and arousal")).to_be_visible()
    assert here.errors == []
    assert here.strangers == []


def test_an_upload_becomes_cards_and_clear_forgets_it(visit) -> None:
    here = visit()
    here.upload("hopper.jpg", _example("hopper.jpg"))
    expect(here.cards).to_have_count(len(TOY_SPECS))
    here.page.get_by_role("button", name="Clear").click()
    expect(here.cards).to_have_count(0)
    expect(here.page.locator(".fer-photo")).to_have_count(0)
    expect(here.page.locator("#fer-picture")).to_be_visible()
    assert here.errors == []


def test_a_snapshot_from_the_camera_becomes_cards(visit) -> None:
    here = visit()
    here.page.get_by_label("Capture from camera").click()
    here.page.get_by_text("Click to Access Webcam").click()
    here.page.wait_for_function("document.querySelector('#fer-picture video')?.videoWidth > 0")
    here.page.get_by_label("capture photo").click()
    expect(here.cards).to_have_count(len(TOY_SPECS))


def test_no_face_is_said_and_the_old_cards_go(visit) -> None:
    here = visit()
    here.upload("face.jpg", _example("astronaut.jpg"))
    expect(here.cards).to_have_count(len(TOY_SPECS))
    here.page.get_by_role("button", name="Clear").click()
    here.upload("plain.png", _picture(70))
    expect(here.page.get_by_role("alert")).to_contain_text("No face found")
    expect(here.cards).to_have_count(0)
    expect(here.page.get_by_alt_text("The picture, no face marked")).to_be_visible()


@pytest.mark.parametrize("name", ["letter.jpg", "letter.svg"])
def test_a_bad_file_is_said_in_our_words(visit, name: str) -> None:
    here = visit()
    here.upload(name, b"this is no picture")
    alert = here.page.get_by_role("alert")
    expect(alert).to_have_count(1)
    expect(alert).to_contain_text("picture")
    expect(here.page.locator("#fer-picture")).to_be_visible()
    here.upload("face.jpg", _example("astronaut.jpg"))
    expect(here.cards).to_have_count(len(TOY_SPECS))


def test_compare_without_a_picture_asks_for_one(visit) -> None:
    here = visit()
    here.page.get_by_role("button", name="Compare").click()
    expect(here.page.get_by_role("alert")).to_contain_text("Choose a picture first")


def test_many_faces_can_be_clicked_in_the_photo(visit) -> None:
    here = visit()
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 1 of 2")
    here.page.locator(".fer-box").nth(1).click()
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.page.get_by_role("button", name="Face 2: Happiness")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_the_keyboard_reaches_everything(visit) -> None:
    here = visit()
    keyboard = here.page.keyboard
    tab_to(here.page, "Example: The two portraits")
    keyboard.press("Enter")
    expect(here.verdict).to_contain_text("Face 1 of 2")
    here.page.locator("body").evaluate("body => body.ownerDocument.activeElement.blur()")
    tab_to(here.page, "Face 2")
    keyboard.press("Enter")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    assert focused(here.page).startswith("Face 2")
    for name in ("Compare", "Clear", "Settings"):
        tab_to(here.page, name)


def test_every_button_has_a_name(visit) -> None:
    here = visit()
    here.example("The two portraits")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    nameless = here.page.evaluate(
        """[...document.querySelectorAll('button:not([aria-hidden])')]
        .filter(b => !(b.innerText.trim() || b.ariaLabel || b.title)).map(b => b.outerHTML)"""
    )
    assert nameless == []


def test_the_settings_redraw_without_the_models(visit, served: Served) -> None:
    here = visit()
    here.example("Portrait of the astronaut")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    calls = served.engine.calls
    here.open_maps()
    here.choose("What speaks for", "Sadness")
    expect(here.page.get_by_alt_text("looks for Sadness")).to_have_count(len(TOY_SPECS))
    assert served.engine.calls == calls
    here.open_settings()
    here.page.get_by_role("checkbox", name="DAN").uncheck()
    expect(here.cards).to_have_count(len(TOY_SPECS) - 1)


@pytest.mark.parametrize(
    ("detector", "sentence"),
    [("InsightFace", MISSING), ("dlib", "Something went wrong")],
    ids=["not installed", "unforeseen error"],
)
def test_an_error_clears_the_cards_and_can_be_undone(visit, detector: str, sentence: str) -> None:
    here = visit()
    here.example("Portrait of the astronaut")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    here.open_settings()
    here.page.get_by_label(detector).check()
    expect(here.verdict).to_contain_text(sentence)
    expect(here.cards).to_have_count(0)
    here.page.get_by_label("libfacedetection").check()
    expect(here.cards).to_have_count(len(TOY_SPECS))


@pytest.mark.parametrize(("size_wh", "columns"), [(DESK, 4), (PHONE, 2)], ids=["desk", "phone"])
def test_the_pagefits(visit, size_wh: tuple[int, int], columns: int) -> None:
    here = visit(size_wh)
    assert fits(here.page)
    here.open_settings()
    here.open_maps()
    here.example("The two portraits")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    assert fits(here.page)
    assert _columns(here.page) == columns


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(visit, scheme: str) -> None:
    here = visit(scheme=scheme)
    here.example("The two portraits")
    expect(here.cards).to_have_count(len(TOY_SPECS))
    assert here.page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    pale = here.page.evaluate(PALE_WORDS_JS)
    assert pale == []


def test_visitors_do_not_see_each_other(visit) -> None:
    first, second = visit(), visit()
    first.upload("mine.jpg", _example("astronaut.jpg"))
    expect(first.cards).to_have_count(len(TOY_SPECS))
    second.page.get_by_role("button", name="Compare").click()
    expect(second.page.get_by_role("alert")).to_contain_text("Choose a picture first")
    second.page.reload()
    second.page.locator(".fer-examples").wait_for()
    expect(second.cards).to_have_count(0)
    assert second.page.locator(".fer-photo").count() == 0


def test_nothing_of_ours_is_written_to_disk(visit, served: Served) -> None:
    here = visit()
    before = {file for file in served.uploads.rglob("*") if file.is_file()}
    here.upload("only_me.jpg", _example("two_faces.jpg"))
    expect(here.cards).to_have_count(len(TOY_SPECS))
    here.page.locator(".fer-box").nth(1).click()
    expect(here.verdict).to_contain_text("Face 2 of 2")
    written = {file for file in served.uploads.rglob("*") if file.is_file()} - before
    assert [file.name for file in written] == ["only_me.jpg"]


def test_the_choice_of_models_is_remembered(visit) -> None:
    here = visit()
    here.open_settings()
    box = here.page.get_by_label(TOY_SPECS[1].title, exact=True)
    box.uncheck()
    here.page.wait_for_function("localStorage.getItem('fer-space-models') !== null")
    here.page.reload()
    here.open_settings()
    expect(box).not_to_be_checked()
    expect(here.page.get_by_label(TOY_SPECS[0].title, exact=True)).to_be_checked()
    here.example("Portrait of the astronaut")
    expect(here.cards).to_have_count(len(TOY_SPECS) - 1)
