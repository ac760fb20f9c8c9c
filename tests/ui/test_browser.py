"""The page as a visitor meets it, in headless Chromium, over the toy engine."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from fer_space.types import Prediction, Reading
from tests import toys
from tests.toys import TOY_SPECS
from tests.ui.conftest import EXAMPLES, Served, panorama
from tests.ui.visit import CHROMIUM, DESK, PALE_WORDS_JS, PHONE, clipped, fits, focused, tab_to, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]
ALL = len(TOY_SPECS)
WIDE = (1920, 1080)
TABLET = (768, 1024)


def _picture(level: int) -> bytes:
    return cv2.imencode(".png", np.full((80, 80, 3), level, np.uint8))[1].tobytes()


def _example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def _bottom(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    return box["y"] + box["height"]


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_opens_on_an_answer_that_needs_no_scrolling(visit, size_wh: tuple[int, int]) -> None:
    here = visit(size_wh)
    expect(here.rows).to_have_count(ALL)
    expect(here.verdict).to_contain_text("7 of 8 models say so")
    assert _bottom(here.page, ".fer-sentence") <= size_wh[1]
    expect(here.page.get_by_role("button", name="Use my camera")).to_be_in_viewport()
    expect(here.page.get_by_role("button", name="Upload")).to_be_in_viewport()
    assert here.errors == []
    assert here.strangers == []


def test_matrix_and_maps_fit_one_screen_of_a_desk(visit) -> None:
    here = visit(DESK)
    assert _bottom(here.page, ".fer-tiles") <= DESK[1]


def test_an_upload_is_read_by_itself_and_clear_forgets_it(visit) -> None:
    here = visit()
    here.upload("hopper.jpg", _example("hopper.jpg"))
    expect(here.page.get_by_alt_text("The picture, one face found")).to_be_visible()
    expect(here.rows).to_have_count(ALL)
    here.page.get_by_role("button", name="Clear").click()
    expect(here.rows).to_have_count(0)
    expect(here.page.locator(".fer-photo")).to_have_count(0)
    assert here.errors == []


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_can_be_pasted_and_dropped_anywhere(visit, way: str) -> None:
    here = visit()
    getattr(here, way)(_example("two_faces.jpg"))
    expect(here.verdict).to_contain_text("Face 2 of 2")


def test_a_snapshot_from_the_camera_is_read(visit) -> None:
    here = visit()
    before = here.page.locator(".fer-stage img").get_attribute("src")
    here.page.get_by_role("button", name="Use my camera").click()
    here.page.wait_for_function("document.querySelector('.fer-camera video')?.videoWidth > 0")
    here.page.get_by_role("button", name="Take the picture").click()
    here.page.wait_for_function("src => document.querySelector('.fer-stage img').src !== src", arg=before)
    expect(here.rows).to_have_count(ALL)
    expect(here.page.get_by_role("button", name="Retake")).to_be_visible()


def test_a_double_click_opens_one_camera(visit) -> None:
    here = visit()
    here.page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            window.opened = 0;
            navigator.mediaDevices.getUserMedia = async (wanted) => {
                window.opened += 1;
                await new Promise((done) => setTimeout(done, 300));
                return open(wanted);
            };
        }"""
    )
    here.page.get_by_role("button", name="Use my camera").dblclick()
    expect(here.page.get_by_role("dialog")).to_have_count(1)
    here.page.wait_for_timeout(700)  # a second one would be there by now
    expect(here.page.get_by_role("dialog")).to_have_count(1)
    assert here.page.evaluate("window.opened") == 1


def test_a_denied_camera_says_so(visit) -> None:
    here = visit()
    here.page.evaluate(
        """() => {
          const denied = new DOMException('', 'NotAllowedError');
          navigator.mediaDevices.getUserMedia = async () => { throw denied; };
        }"""
    )
    here.page.get_by_role("button", name="Use my camera").click()
    expect(here.alert).to_contain_text("The camera was not allowed")


def test_a_choice_by_mouse_is_read_once(visit, served: Served) -> None:
    here = visit()
    calls = served.at_rest()
    here.open_settings()
    here.choose("How maps are made", "HiResCAM")
    until(lambda: served.engine.calls >= calls + ALL)
    assert served.at_rest() == calls + ALL
    expect(here.page.locator(".fer-progress")).to_have_count(0)


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
def test_a_group_keeps_its_faces_and_a_way_to_the_rest(visit, size_wh: tuple[int, int]) -> None:
    here = visit(size_wh)
    here.upload("crowd.png", panorama())
    expect(here.page.get_by_text("These are the 32 largest of 40 faces")).to_be_visible()
    expect(here.page.locator(".fer-counted")).to_contain_text("32 faces")
    here.page.get_by_role("button", name="Read the other 8 too").click()
    expect(here.page.locator(".fer-face")).to_have_count(40)
    sizes = here.page.evaluate(
        "[...document.querySelectorAll('.fer-face')].map(face => [face.offsetWidth, face.offsetHeight])"
    )
    assert min(min(size) for size in sizes) >= 60
    hidden = here.page.evaluate(
        """[...document.querySelectorAll('.fer-box')].filter(box => {
          const face = box.getBoundingClientRect(), badge = box.querySelector('span').getBoundingClientRect();
          return badge.bottom > face.top + 2 && badge.top < face.bottom - 2;
        }).length"""
    )
    assert hidden == 0
    assert fits(here.page)


def test_no_face_is_said_and_the_old_answer_goes(visit) -> None:
    here = visit()
    here.upload("plain.png", _picture(70))
    expect(here.alert).to_contain_text("No face found")
    expect(here.rows).to_have_count(0)
    expect(here.page.get_by_alt_text("The picture, no face marked")).to_be_visible()


@pytest.mark.parametrize(("name", "data"), [("letter.jpg", b"no picture"), ("empty.jpg", b"")])
def test_a_bad_file_is_said_in_our_words(visit, name: str, data: bytes) -> None:
    here = visit()
    here.upload(name, data)
    expect(here.alert).to_have_count(1)
    expect(here.alert).to_contain_text("picture" if data else "The file is empty")
    here.upload("face.jpg", _example("astronaut.jpg"))
    expect(here.rows).to_have_count(ALL)
    expect(here.alert).to_have_count(0)


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF", "JPEG2000", "MPO"])
def test_pictures_of_phones_and_cameras_are_read(visit, file_format: str) -> None:
    here = visit()
    buffer = BytesIO()
    Image.open(EXAMPLES / "two_faces.jpg").save(buffer, file_format)
    here.upload("photo", buffer.getvalue())
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.alert).to_have_count(0)


def test_a_format_that_cannot_be_read_is_named(visit) -> None:
    here = visit()
    here.upload("photo.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30))
    expect(here.alert).to_contain_text("JPEG XL files are not read")


def test_a_photo_that_is_too_large_for_the_server_is_reduced_in_the_browser(visit) -> None:
    here = visit()
    large = cv2.resize(cv2.imread(str(EXAMPLES / "two_faces.jpg")), (8400, 5000))  # 42 MP of 40 that are read
    here.upload("large.jpg", cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes())
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.alert).to_have_count(0)


def test_headline_faces_and_what_is_taken_away_tell_a_split_alike(visit, served: Served) -> None:
    here = visit()
    here.page.goto(f"{served.url}?backbones=toy_lite,toy_ran")
    expect(here.rows).to_have_count(2)
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    votes = here.verdict.locator(".fer-votes li")
    expect(votes.filter(has_text="Happiness 1")).to_contain_text("EfficientNet-Lite0")
    expect(votes.filter(has_text="Surprise 1")).to_contain_text("RAN")
    faces = here.page.locator(".fer-face b")
    expect(faces).to_have_count(2)
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="(JSON)").click()
    record = json.loads(Path(download.value.path()).read_text())
    labels = [face["consensus"]["label"].capitalize() for face in record["faces"]]
    assert faces.all_inner_texts() == [f"{label}?" for label in labels]
    other = "Surprise" if labels[1] == "Happiness" else "Happiness"
    expect(here.verdict.locator(".fer-headline")).to_have_text(f"{labels[1]} 1 · {other} 1")
    expect(here.verdict.locator(".fer-sentence")).to_contain_text(f"they lean to {labels[1]}")


def test_a_detector_that_cannot_work_is_named_with_the_reason_and_no_path(visit, served: Served) -> None:
    here = visit()
    here.open_settings()
    expect(here.page.get_by_text("Not usable: InsightFace SCRFD.")).to_be_visible()
    expect(here.page.get_by_label("InsightFace SCRFD")).to_have_count(0)
    assert str(served.uploads) not in here.page.content()


def test_a_box_is_placed_by_hand_where_no_face_was_found(visit) -> None:
    here = visit()
    here.upload("plain.png", _picture(70))
    here.page.get_by_role("button", name="Which detector finds it?").click()
    expect(here.page.locator(".fer-finds li")).to_have_count(3)
    stage = here.page.locator(".fer-stage").bounding_box()
    here.page.locator(".fer-stage").click(position={"x": stage["width"] * 0.3, "y": stage["height"] * 0.4})
    expect(here.page.locator(".fer-hand")).to_be_visible()
    here.page.get_by_role("button", name="Read this box").click()
    expect(here.rows).to_have_count(ALL)
    expect(here.page.get_by_role("button", name="Read this box")).to_be_hidden()


def test_many_faces_can_be_clicked_in_the_photo(visit) -> None:
    here = visit()
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    places = [box.bounding_box()["x"] for box in here.page.locator(".fer-box").all()]
    assert places == sorted(places)
    here.page.locator(".fer-box").first.click()
    expect(here.verdict).to_contain_text("Face 1 of 2")
    face = here.page.get_by_role("button", name="Face 1: Happiness")
    expect(face).to_have_attribute("aria-pressed", "true")


def test_the_keyboard_does_everything(visit) -> None:
    here = visit()
    keyboard = here.page.keyboard
    for name in ("Use my camera", "Upload", "Clear"):
        tab_to(here.page, name)
    tab_to(here.page, "Example: The two portraits")
    keyboard.press("Enter")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.rows).to_have_count(ALL)
    here.page.locator("body").evaluate("body => body.ownerDocument.activeElement.blur()")
    tab_to(here.page, "Face 1")
    keyboard.press("Enter")
    expect(here.verdict).to_contain_text("Face 1 of 2")
    assert focused(here.page).startswith("Face 1")
    tab_to(here.page, "EfficientNet-Lite0")
    keyboard.press("Enter")
    expect(here.page.get_by_role("dialog")).to_be_visible()
    keyboard.press("Escape")
    expect(here.page.get_by_role("dialog")).to_have_count(0)


def test_a_card_opens_and_a_second_one_beside_it(visit) -> None:
    here = visit()
    here.page.locator(".fer-tile").first.click()
    expect(here.page.get_by_role("dialog").locator(".fer-card")).to_have_count(1)
    here.page.get_by_label("Beside it:").select_option("toy_dan")
    expect(here.page.get_by_role("dialog").locator(".fer-card")).to_have_count(2)
    expect(here.page.get_by_role("dialog").get_by_role("meter")).to_have_count(15)  # DAN knows no contempt
    here.page.get_by_role("button", name="Close").click()
    expect(here.page.get_by_role("dialog")).to_have_count(0)


def test_a_card_is_of_the_face_that_is_shown(visit) -> None:
    here = visit()
    here.example("The two portraits")
    card = here.page.get_by_role("dialog").locator(".fer-card")
    for face in (1, 2, 1):
        here.page.locator(".fer-box").nth(face - 1).click()
        expect(here.verdict).to_contain_text(f"Face {face} of 2")
        row = here.page.locator(".fer-matrix tbody tr[data-model]").first
        wanted = row.locator("td").all_inner_texts()
        here.page.locator(".fer-tile").first.click()
        shown = [bar.get_attribute("aria-valuenow") for bar in card.get_by_role("meter").all()]
        assert shown == wanted
        here.page.keyboard.press("Escape")


def test_the_matrix_can_be_sorted_and_stays_so(visit) -> None:
    here = visit()
    here.page.get_by_label("Sort by").select_option("ms")
    times = "[...document.querySelectorAll('.fer-matrix tr[data-model]')].map(row => Number(row.dataset.ms))"
    shown = here.page.evaluate(times)
    assert shown == sorted(shown)
    here.example("Portrait of Commodore")
    here.page.wait_for_function(f"JSON.stringify({times}) !== '{str(shown).replace(' ', '')}'")
    expect(here.rows).to_have_count(ALL)
    shown = here.page.evaluate(times)
    assert shown == sorted(shown)


def test_maps_give_way_to_faces(visit) -> None:
    here = visit()
    picture = here.page.locator(".fer-tile img").first
    before = picture.get_attribute("src")
    here.page.get_by_role("button", name="Show the faces").click()
    assert picture.get_attribute("src") != before
    here.page.get_by_role("button", name="Show the maps").click()
    assert picture.get_attribute("src") == before


def test_the_settings_of_the_maps_redraw_without_the_models(visit, served: Served) -> None:
    here = visit()
    calls = served.at_rest()
    here.open_maps()
    here.choose("What speaks for", "Sadness")
    expect(here.page.locator(".fer-tile img[alt*='looks for Sadness']")).to_have_count(ALL)
    here.choose("Rather than", "Fear")
    expect(here.page.locator(".fer-tile img[alt*='Sadness rather than for Fear']")).to_have_count(ALL)
    expect(here.page.get_by_role("radio", name="contours")).to_be_disabled()
    assert served.engine.calls == calls


def test_an_empty_map_says_that_nothing_speaks_for_the_emotion(
    visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = toys.toy_reading

    def empty(prediction: Prediction) -> Reading:
        reading = drawn(prediction)
        maps = {e: replace(m, heatmap=np.zeros_like(m.heatmap)) for e, m in reading.explanations.items()}
        return replace(reading, explanations=maps)

    monkeypatch.setattr(toys, "toy_reading", empty)
    here = visit()
    here.example("Portrait of Commodore")
    here.open_maps()
    here.choose("What speaks for", "Sadness")
    for manner in ("colour", "contours", "patches"):
        here.page.get_by_role("radio", name=manner).check()
        expect(here.page.locator(".fer-tile b", has_text="Nothing speaks for Sadness")).to_have_count(ALL)
        expect(here.page.locator(".fer-answer .fer-legend")).to_have_count(0)
    assert here.errors == []


def test_no_map_is_left_alone_in_its_row(visit, served: Served) -> None:
    here = visit()
    names = ",".join(spec.name for spec in TOY_SPECS[:5])
    here.page.goto(f"{served.url}?backbones={names}")
    expect(here.rows).to_have_count(5)
    tops = [tile.bounding_box()["y"] for tile in here.page.locator(".fer-tile").all()]
    assert min(tops.count(top) for top in tops) > 1


def test_boosting_shows_in_the_verdict_and_is_remembered(visit, served: Served) -> None:
    here = visit()
    served.at_rest()
    kept = "localStorage.getItem('fer-space-options') || ''"
    start = here.page.evaluate(kept)
    here.open_settings()
    expect(here.verdict).not_to_contain_text("boosted")  # as the page starts
    here.page.get_by_role("checkbox", name="Boost rare emotions").uncheck()
    expect(here.verdict).to_contain_text("rare emotions not boosted")
    here.page.wait_for_function(f"start => ({kept}) !== start", arg=start)
    served.at_rest()
    first = here.page.evaluate(kept)
    here.page.get_by_role("checkbox", name=TOY_SPECS[1].title, exact=True).uncheck()
    expect(here.rows).to_have_count(ALL - 1)
    here.page.wait_for_function(f"first => ({kept}) !== first", arg=first)
    here.page.reload()
    expect(here.rows).to_have_count(ALL - 1)
    expect(here.verdict).to_contain_text("rare emotions not boosted")


def test_every_button_has_a_name(visit) -> None:
    here = visit()
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    nameless = here.page.evaluate(
        """[...document.querySelectorAll('button:not([aria-hidden])')]
        .filter(b => !(b.innerText.trim() || b.ariaLabel || b.title)).map(b => b.outerHTML)"""
    )
    assert nameless == []


def test_a_phone_offers_the_examples_at_once_where_there_is_no_photo(visit) -> None:
    here = visit(PHONE)
    examples, welcome = (here.page.locator(name) for name in (".fer-examples", ".fer-welcome"))
    assert examples.bounding_box()["y"] > here.page.locator(".fer-hero").bounding_box()["y"]
    here.page.get_by_role("button", name="Clear").click()
    expect(welcome).to_be_visible()
    assert examples.bounding_box()["y"] < welcome.bounding_box()["y"]
    expect(examples).to_be_in_viewport()


@pytest.mark.parametrize("size_wh", [DESK, WIDE, TABLET, PHONE], ids=["desk", "wide", "tablet", "phone"])
def test_the_page_fits(visit, size_wh: tuple[int, int]) -> None:
    here = visit(size_wh)
    here.open_settings()
    here.open_maps()
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    assert fits(here.page)
    assert clipped(here.page) == []
    sides = here.page.evaluate(
        """(() => { const box = document.querySelector('.fer-page').getBoundingClientRect();
        return [box.left, window.innerWidth - box.right]; })()"""
    )
    assert abs(sides[0] - sides[1]) < 20  # in the middle of a wide window


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(visit, scheme: str) -> None:
    here = visit(scheme=scheme)
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    assert here.page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    assert here.page.evaluate(PALE_WORDS_JS) == []


def test_visitors_do_not_see_each_other(visit) -> None:
    first, second = visit(), visit()
    first.upload("mine.jpg", _example("two_faces.jpg"))
    expect(first.verdict).to_contain_text("Face 2 of 2")
    expect(second.page.get_by_alt_text("The picture, one face found")).to_be_visible()
    second.page.reload()
    expect(second.page.get_by_alt_text("The picture, one face found")).to_be_visible()


def test_nothing_of_a_visitor_is_written_to_disk(visit, served: Served) -> None:
    here = visit()
    before = {file for file in served.uploads.rglob("*") if file.is_file()}
    here.upload("only_me.jpg", _example("two_faces.jpg"))
    expect(here.verdict).to_contain_text("Face 2 of 2")
    here.page.locator(".fer-box").first.click()
    expect(here.verdict).to_contain_text("Face 1 of 2")
    assert {file for file in served.uploads.rglob("*") if file.is_file()} == before


def test_the_language_is_english_and_links_have_a_preview(visit) -> None:
    here = visit()
    assert here.page.evaluate("document.documentElement.lang") == "en"
    titles = here.page.evaluate(
        "[...document.querySelectorAll('meta[property=\"og:title\"]')].map(m => m.content)"
    )
    assert set(titles) == {"FER Space"}
