"""The Occlude tab, and the help without a face, in headless Chromium over the toy engine."""

import re

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.toys import TOY_SPECS
from tests.ui.conftest import Served
from tests.ui.visit import CHROMIUM, DESK, PALE_WORDS_JS, PHONE, Visit, fits

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]
ALL = len(TOY_SPECS)


def _covered(here: Visit, name: str = "Portrait of the astronaut") -> Visit:
    here.example(name)
    expect(here.cards).to_have_count(ALL)
    here.open_tab("Occlude")
    expect(here.page.locator(".fer-slider")).to_be_visible()
    return here


def _paint(here: Visit) -> None:
    box = here.page.locator(".fer-sheet canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
    here.page.mouse.move(x - 40, y)
    here.page.mouse.down()
    here.page.mouse.move(x + 40, y, steps=4)
    here.page.mouse.up()


def _plain() -> bytes:
    return cv2.imencode(".png", np.full((80, 80, 3), 70, np.uint8))[1].tobytes()


def test_the_tab_covers_and_another_kind_covers_again(visit, served: Served) -> None:
    here = _covered(visit())
    expect(here.verdict).to_contain_text("ViT-B/16")
    expect(here.cards).to_have_count(ALL)
    before = here.page.locator(".fer-over img").get_attribute("src")
    here.choose("Colour", "pink")
    here.page.wait_for_function("src => document.querySelector('.fer-over img').src !== src", arg=before)
    calls = served.engine.calls
    here.open_tab("Compare")
    here.open_tab("Occlude")
    expect(here.verdict).to_contain_text("ViT-B/16")
    assert served.engine.calls == calls
    assert here.errors == []
    assert here.strangers == []


def test_the_slider_moves_the_border(visit) -> None:
    here = _covered(visit())
    slider = here.page.get_by_label("Border between original and covered")
    slider.focus()
    here.page.keyboard.press("Home")
    expect(here.page.locator(".fer-slider")).to_have_attribute("style", re.compile(r"--cut: ?0%"))


def test_what_the_brush_paints_is_read_and_leaves_no_file(visit, served: Served) -> None:
    here = _covered(visit())
    before = {file for file in served.uploads.rglob("*") if file.is_file()}
    here.page.locator("#fer-paint > button").click()
    read = here.page.get_by_role("button", name="Read what I painted")
    read.click()
    expect(here.page.get_by_role("alert")).to_contain_text("Paint over")
    _paint(here)
    read.click()
    expect(here.page.get_by_role("alert")).to_have_count(0)
    expect(here.cards).to_have_count(ALL)
    here.page.get_by_role("button", name="Wipe").click()
    read.click()
    expect(here.page.get_by_role("alert")).to_contain_text("Paint over")
    assert {file for file in served.uploads.rglob("*") if file.is_file()} == before
    assert here.errors == []


def test_a_patch_slides_over_the_face(visit) -> None:
    here = _covered(visit())
    here.page.get_by_role("button", name="Slide a patch").click()
    expect(here.page.locator(".fer-sensitivity .fer-card")).to_have_count(ALL)


def test_a_new_picture_is_covered_while_the_tab_is_open(visit) -> None:
    here = _covered(visit())
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 1 of 2")
    expect(here.page.locator(".fer-note:visible")).to_contain_text("average face")
    here.page.get_by_role("button", name="Clear").click()
    expect(here.cards).to_have_count(0)
    expect(here.page.locator(".fer-slider")).to_have_count(0)


def test_a_box_is_placed_by_hand_where_no_face_was_found(visit) -> None:
    here = visit()
    here.upload("plain.png", _plain())
    here.page.get_by_role("button", name="Which detector finds it?").click()
    expect(here.page.locator(".fer-finds li")).to_have_count(3)
    stage = here.page.locator(".fer-stage").bounding_box()
    here.page.locator(".fer-stage").click(position={"x": stage["width"] * 0.3, "y": stage["height"] * 0.4})
    expect(here.page.locator(".fer-hand")).to_be_visible()
    here.page.get_by_role("button", name="Read this box").click()
    expect(here.cards).to_have_count(ALL)
    expect(here.page.get_by_role("button", name="Read this box")).to_be_hidden()


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
def test_the_tab_fits(visit, size_wh: tuple[int, int]) -> None:
    here = _covered(visit(size_wh), "The two portraits")
    here.page.locator("#fer-paint > button").click()
    here.page.get_by_role("button", name="Slide a patch").click()
    expect(here.page.locator(".fer-sensitivity")).to_be_visible()
    assert fits(here.page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(visit, scheme: str) -> None:
    here = _covered(visit(scheme=scheme), "The two portraits")
    assert here.page.evaluate(PALE_WORDS_JS) == []


def test_every_button_has_a_name(visit) -> None:
    here = _covered(visit())
    nameless = here.page.evaluate(
        """[...document.querySelectorAll('button:not([aria-hidden])')]
        .filter(b => !(b.innerText.trim() || b.ariaLabel || b.title)).map(b => b.outerHTML)"""
    )
    assert nameless == []
