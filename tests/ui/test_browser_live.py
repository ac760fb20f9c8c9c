"""The Live tab in headless Chromium, whose camera is a film that the test makes of an example."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from fer_space.ui import live
from tests import toys
from tests.ui.conftest import EXAMPLES, Served
from tests.ui.visit import CHROMIUM, DESK, FLAGS, PALE_WORDS_JS, PHONE, Visit, fits, focused, tab_to, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]


def moving(photo_bgr: np.ndarray, file: Path, frames: int = 30) -> None:
    """Write a film in which a photo sways from side to side, as Motion JPEG of 640 x 480."""
    height, width = photo_bgr.shape[:2]
    scale = min(640 / width, 480 / height)
    place = np.float32([[scale, 0, (640 - scale * width) / 2], [0, scale, 0]])
    with file.open("wb") as out:
        for number in range(frames):
            place[0, 2] += 8 * np.cos(2 * np.pi * number / frames)
            picture = cv2.warpAffine(photo_bgr, place, (640, 480), borderMode=cv2.BORDER_REPLICATE)
            out.write(cv2.imencode(".jpg", picture)[1].tobytes())


@pytest.fixture(autouse=True)
def _swaying_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the toy's face move with the light in the picture; what it reads depends on where that is."""
    still = toys._boxes

    def boxes(image_rgb: np.ndarray) -> list[tuple[float, float, float, float]]:
        light = image_rgb.mean(axis=(0, 2))  # (W,)
        shift = (light * np.arange(len(light))).sum() / light.sum() - len(light) / 2
        return [(left + shift, top, right + shift, bottom) for left, top, right, bottom in still(image_rgb)]

    monkeypatch.setattr(toys, "_boxes", boxes)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    camera = tmp_path_factory.mktemp("camera") / "astronaut.mjpeg"
    moving(cv2.imread(str(EXAMPLES / "astronaut.jpg")), camera)
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


def _started(here: Visit) -> Page:
    here.open_tab("Live")
    here.page.get_by_role("button", name="Start the camera").click()
    expect(here.page.locator(".fer-live-box")).to_have_count(1)
    return here.page


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_frames_come_and_answers_move(visit, served: Served, size_wh: tuple[int, int], scheme: str) -> None:
    here = visit(size_wh, scheme)
    page = _started(here)
    expect(page.locator(".fer-live-model")).to_have_count(3)
    expect(page.locator("[data-live=rate]")).to_contain_text("frames a second")
    fps = float(page.locator("[data-live=rate]").get_attribute("data-fps"))
    assert fps > 1.0  # busy machines are slow; docs/live.md has the figure of a quiet one
    before = page.locator(".fer-live-model em").first.get_attribute("style")
    box = page.locator(".fer-live-box").get_attribute("style")
    page.wait_for_function(
        "([bar, box]) => document.querySelector('.fer-live-model em').getAttribute('style') !== bar"
        " && document.querySelector('.fer-live-box').getAttribute('style') !== box",
        arg=[before, box],
    )
    expect(page.locator(".fer-lanes p")).to_have_count(4)
    assert page.locator("[data-live=trail]").get_attribute("points").count(",") > 2
    assert page.locator(".fer-lanes canvas").first.get_attribute("aria-label").count("happiness")
    assert fits(page)
    assert page.evaluate(PALE_WORDS_JS) == []
    assert here.errors == []
    assert here.strangers == []
    assert not [file for file in served.uploads.rglob("*") if file.is_file()]


def test_pause_stops_frames_and_stop_turns_the_camera_off(visit, served: Served) -> None:
    page = _started(visit())
    page.get_by_role("button", name="Pause").click()
    calls = served.at_rest()
    page.get_by_role("button", name="Go on").click()
    until(lambda: served.engine.calls > calls, seconds=10)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".fer-live-box")).to_have_count(0)
    assert page.evaluate("document.querySelector('.fer-film video').srcObject") is None
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".fer-live-box")).to_have_count(1)


def test_a_snapshot_is_read_in_compare_and_the_camera_stops(visit, served: Served) -> None:
    here = visit()
    example = here.page.get_by_alt_text("The picture, one face found").get_attribute("src")
    page = _started(here)
    page.get_by_role("button", name="Snapshot to Compare").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    snapshot = page.get_by_alt_text("The picture, one face found")
    expect(snapshot).to_be_visible()
    expect(snapshot).not_to_have_attribute("src", example)
    page.wait_for_function("document.querySelector('.fer-film video').srcObject === null")
    served.at_rest()
    expect(page.locator(".fer-progress")).to_have_count(0)


def test_a_double_click_opens_one_camera_that_stops(visit) -> None:
    here = visit()
    page = here.page
    page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            window.tracks = [];
            navigator.mediaDevices.getUserMedia = async (wanted) => {
                await new Promise((done) => setTimeout(done, 300));
                const stream = await open(wanted);
                window.tracks.push(...stream.getTracks());
                return stream;
            };
        }"""
    )
    here.open_tab("Live")
    page.get_by_role("button", name="Start the camera").dblclick()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function("window.tracks.every((track) => track.readyState === 'ended')")
    page.wait_for_timeout(700)  # a second camera would be open by now
    assert page.evaluate("window.tracks.map((track) => track.readyState)") == ["ended"]


def test_a_hidden_page_stops_its_camera(visit) -> None:
    page = _started(visit())
    page.evaluate(
        """() => {
            Object.defineProperty(document, 'hidden', {value: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }"""
    )
    page.wait_for_function("document.querySelector('.fer-film video').srcObject === null")


def test_a_camera_that_cannot_be_shown_is_closed_and_that_is_said(visit) -> None:
    here = visit()
    here.page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await open(wanted));
            HTMLVideoElement.prototype.play = () => Promise.reject(new Error('no'));
        }"""
    )
    here.open_tab("Live")
    here.page.get_by_role("button", name="Start the camera").click()
    expect(here.alert).to_contain_text("could not be shown")
    assert here.page.evaluate("window.stream.getTracks().map((track) => track.readyState)") == ["ended"]
    assert here.errors == []


def test_a_paused_camera_stops_at_the_limit(visit) -> None:
    here = visit()
    here.open_tab("Live")
    here.page.evaluate("document.querySelector('.fer-live').dataset.minutes = 0.05")
    page = _started(here)
    page.get_by_role("button", name="Pause").click()
    expect(here.alert).to_contain_text("The camera stops after")


def test_a_closed_page_stops_its_camera(visit, served: Served) -> None:
    page = _started(visit())
    page.close()
    served.at_rest()


def test_the_limit_is_said_and_kept(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SECONDS", 2)
    here = visit()
    here.open_tab("Live")
    expect(here.page.locator(".fer-live-note")).to_contain_text("stops by itself after 5 minutes")
    here.page.get_by_role("button", name="Start the camera").click()
    expect(here.alert).to_contain_text("The camera stops after")
    expect(here.page.get_by_role("button", name="Start the camera")).to_be_visible()


def test_a_denied_camera_says_so(visit) -> None:
    here = visit()
    here.page.evaluate(
        """() => {
          const denied = new DOMException('', 'NotAllowedError');
          navigator.mediaDevices.getUserMedia = async () => { throw denied; };
        }"""
    )
    here.open_tab("Live")
    here.page.get_by_role("button", name="Start the camera").click()
    expect(here.alert).to_contain_text("The camera was not allowed")


def test_the_tab_is_used_by_keyboard_and_calm_where_motion_is_unwanted(visit) -> None:
    here = visit()
    here.page.emulate_media(reduced_motion="reduce")
    here.open_tab("Live")
    tab_to(here.page, "Start the camera")
    here.page.keyboard.press("Enter")
    expect(here.page.locator(".fer-live-box")).to_have_count(1)
    tab_to(here.page, "Pause")
    assert focused(here.page) == "Pause"
    changes = here.page.evaluate(
        """() => new Promise((done) => {
          let changes = 0;
          const watching = new MutationObserver(() => { changes += 1; });
          watching.observe(document.querySelector('[data-live=trail]'), {attributes: true});
          setTimeout(() => { watching.disconnect(); done(changes); }, 2000);
        })"""
    )
    assert changes <= 5
    assert re.search("^Happiness", here.page.locator("[data-live=spoken]").inner_text())
