"""The Video tab in headless Chromium, with films that the tests make."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Pause, Served
from tests.ui.visit import CHROMIUM, DESK, PALE_WORDS_JS, PHONE, Visit, fits
from tests.vision.films import film

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds in which the toy finds two faces, in a codec that Chromium plays."""
    return film(tmp_path_factory.mktemp("films") / "clip.webm", 36, size_wh=(128, 72), codec="libvpx-vp9")


def _read(here: Visit, clip: Path) -> None:
    here.open_tab("Video")
    here.page.locator("[data-video=file]").set_input_files(clip)
    expect(here.page.locator(".fer-timeline")).to_be_visible()
    expect(here.page.locator(".fer-filming")).to_have_count(0)
    expect(here.page.get_by_role("button", name="Stop reading")).to_be_hidden()


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_video_becomes_a_timeline_with_a_cursor_tied_to_the_player(
    visit, served: Served, clip: Path, size_wh: tuple[int, int], scheme: str
) -> None:
    here = visit(size_wh, scheme)
    page = here.page
    _read(here, clip)
    expect(page.locator(".fer-lane[data-labels]")).to_have_count(3)
    at = "Number(getComputedStyle(document.querySelector('.fer-timeline')).getPropertyValue('--at'))"
    page.locator(".fer-at").fill("1.5")
    page.wait_for_function(f"Math.abs({at} - 0.5) < 0.03")
    page.wait_for_function("Math.abs(document.querySelector('.fer-video video').currentTime - 1.5) < 0.1")
    expect(page.locator(".fer-lane .fer-now").first).to_have_text("Happiness")
    page.evaluate("document.querySelector('.fer-video video').play()")
    page.wait_for_function(f"{at} > 0.6")
    page.locator(".fer-lane svg").first.click(position={"x": 5, "y": 5})
    page.wait_for_function(f"{at} < 0.4")
    assert fits(page)
    assert page.evaluate(PALE_WORDS_JS) == []
    assert here.errors == []
    assert here.strangers == []
    assert not [file for file in served.uploads.rglob("*") if file.is_file()]


@pytest.mark.parametrize("kind", ["video/webm", ""], ids=["typed", "untyped"])
@pytest.mark.parametrize("tab", ["Compare", "Video"])
def test_a_video_can_be_dropped_anywhere(visit, clip: Path, tab: str, kind: str) -> None:
    here = visit()
    here.open_tab(tab)
    here.drop(clip.read_bytes(), name="clip.webm", kind=kind)
    expect(here.page.get_by_role("tab", name="Video")).to_have_attribute("aria-selected", "true")
    expect(here.page.locator(".fer-timeline")).to_be_visible()
    assert here.errors == []


def test_faces_are_chosen_and_the_table_is_taken_away(visit, clip: Path, tmp_path: Path) -> None:
    here = visit()
    _read(here, clip)
    here.page.get_by_role("button", name="Face 2").click()
    expect(here.page.get_by_role("heading", name="Face 2 over time")).to_be_visible()
    with here.page.expect_download() as download:
        here.page.locator(".fer-timeline").get_by_role("button", name="Everything (JSON)").click()
    download.value.save_as(tmp_path / "rows.json")
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert {row["track"] for row in rows} == {1, 2}
    with here.page.expect_download() as download:
        here.page.locator(".fer-timeline").get_by_role("button", name="Table (Parquet)").click()
    assert download.value.suggested_filename == "expressions.parquet"


def test_reading_can_be_stopped_and_what_was_read_stays(
    visit, served: Served, tmp_path: Path, slow: Pause
) -> None:
    slow(0.15)
    here = visit()
    here.open_tab("Video")
    long = film(tmp_path / "long.mp4", 240, size_wh=(128, 72))
    here.page.locator("[data-video=file]").set_input_files(long)
    expect(here.page.locator(".fer-filming")).to_contain_text("of 20 seconds, about")
    here.page.get_by_role("button", name="Stop reading").click()
    expect(here.page.get_by_text("Reading was stopped.")).to_be_visible()
    expect(here.page.locator(".fer-lane[data-labels]")).to_have_count(3)
    served.at_rest()


def test_a_file_that_is_no_video_gets_one_sentence(visit, tmp_path: Path) -> None:
    here = visit()
    here.open_tab("Video")
    (tmp_path / "notes.mp4").write_text("no video")
    here.page.locator("[data-video=file]").set_input_files(tmp_path / "notes.mp4")
    expect(here.page.locator(".fer-problem", has_text="The video is damaged")).to_be_visible()
