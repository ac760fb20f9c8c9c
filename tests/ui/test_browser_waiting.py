"""What a visitor meets while pictures are read and the page loads, in headless Chromium over toys."""

import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from fer_space.ui.session import Session
from tests import toys
from tests.toys import TOY_SPECS
from tests.ui.conftest import EXAMPLES, Pause, Served, panorama
from tests.ui.visit import CHROMIUM, PHONE, Visit, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]
ALL = len(TOY_SPECS)

# Presses a tab as soon as it can be seen.
PRESS_JS = """(() => {
  const looking = setInterval(() => {
    const tab = [...document.querySelectorAll('[role=tab]')].find((one) => one.textContent.trim() === 'NAME');
    if (!tab?.offsetParent) return;
    clearInterval(looking);
    tab.click();
    window.pressed = true;
  }, 5);
})()"""


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Keeps whoever looks for faces until it is set."""
    gate, boxes = Event(), toys._boxes

    def kept(image_rgb: np.ndarray) -> list[tuple[float, float, float, float]]:
        assert gate.wait(60)
        return boxes(image_rgb)

    monkeypatch.setattr(toys, "_boxes", kept)
    yield gate
    gate.set()


def _progress(here: Visit):
    return here.page.locator(".fer-progress")


def test_the_last_of_quick_clicks_wins(visit, slow: Pause) -> None:
    slow(0.08)
    here = visit()
    for name in (
        "Portrait of Commodore",
        "The two portraits",
        "Portrait of the astronaut",
        "The two portraits",
    ):
        here.example(name)
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.rows).to_have_count(ALL)
    expect(_progress(here)).to_have_count(0)
    expect(here.page.get_by_alt_text("The picture, 2 faces found")).to_be_visible()


def test_of_two_quick_clicks_on_faces_the_second_counts(visit, monkeypatch: pytest.MonkeyPatch) -> None:
    here = visit()
    here.example("The two portraits")
    expect(here.rows).to_have_count(ALL)
    expect(here.verdict).to_contain_text("Face 2 of 2")
    select = Session.select

    def slow_select(session: Session, *words: object) -> bool:
        newest = select(session, *words)
        time.sleep(0.5)
        return newest

    monkeypatch.setattr(Session, "select", slow_select)
    faces = here.page.locator(".fer-face")
    faces.nth(0).click()
    faces.nth(1).click()
    here.page.wait_for_timeout(1500)
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(faces.nth(1)).to_have_attribute("aria-pressed", "true")


def test_the_page_stays_where_it_was_scrolled_to_while_faces_are_read(visit, slow: Pause) -> None:
    slow(0.1)
    here = visit(PHONE)
    here.upload("pair.jpg", (EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.page.locator(".fer-face")).to_have_count(2)
    here.page.evaluate("scrollTo(0, 900)")
    above = "document.querySelector('.fer-strip').getBoundingClientRect().bottom < 0"
    assert here.page.evaluate(above)
    expect(_progress(here)).to_have_count(0)
    assert here.page.evaluate(above)


def test_until_a_photo_has_arrived_the_old_answer_is_faint(visit) -> None:
    here = visit()
    held: list[Any] = []
    arrives = Event()
    here.page.route(
        "**/queue/join*", lambda route: route.continue_() if arrives.is_set() else held.append(route)
    )
    here.upload("pair.jpg", (EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.page.get_by_text("Sending the photo…")).to_be_visible()
    expect(here.page.locator("#fer-answer")).to_have_css("opacity", "0.3")
    arrives.set()
    for route in held:
        route.continue_()
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.page.locator("#fer-answer")).to_have_css("opacity", "1")
    expect(here.page.get_by_text("Sending the photo…")).to_have_count(0)


def test_photo_boxes_and_progress_come_before_the_answer(visit, slow: Pause) -> None:
    slow(0.4)
    here = visit()
    here.upload("pair.jpg", (EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.page.locator(".fer-box")).to_have_count(2)
    expect(_progress(here)).to_contain_text("Reading 2 faces")
    assert here.page.locator("[aria-live]:has(.fer-progress)").count() == 1
    here.page.wait_for_function("document.querySelectorAll('.fer-matrix tr[data-model]').length > 0")
    assert here.rows.count() < ALL
    expect(here.verdict).to_contain_text(f"of {ALL} models so far")
    expect(here.rows).to_have_count(ALL)
    expect(here.verdict).not_to_contain_text("so far")


def test_who_waits_is_told_how_many_are_before(visit, served: Served, gate: Event) -> None:
    visitors = visit(), visit(), visit()
    waits = "", " There is one before you.", " There are 2 before you."
    for number, (here, wait) in enumerate(zip(visitors, waits, strict=True), start=1):
        here.example("Portrait of Commodore")
        expect(_progress(here)).to_have_text(f"Looking for faces…{wait}")
        until(lambda expected=number: served.turns.line == expected)
    gate.set()
    for here in visitors:
        expect(here.rows).to_have_count(ALL)
        expect(_progress(here)).to_have_count(0)


def test_a_cleared_photo_never_comes_back_and_its_work_stops(visit, served: Served, slow: Pause) -> None:
    slow(1.0)
    here = visit()
    before = served.at_rest()
    here.example("The two portraits")
    expect(here.rows.first).to_be_visible()
    here.page.get_by_role("button", name="Clear").click()
    expect(here.page.locator(".fer-photo")).to_have_count(0)
    assert served.at_rest() < before + ALL
    assert here.page.locator(".fer-photo").count() == 0
    assert here.rows.count() == 0


@pytest.mark.parametrize("leave", ["close", "reload"])
def test_a_page_that_is_left_stops_its_work(visit, served: Served, leave: str, slow: Pause) -> None:
    slow(1.0)
    here = visit()
    before = served.at_rest()
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("so far")
    getattr(here.page, leave)()
    assert served.at_rest() < before + ALL


def test_a_new_picture_ends_the_work_on_the_old_one(visit, served: Served, slow: Pause) -> None:
    slow(0.2)
    here = visit()
    calls = served.at_rest()
    here.upload("crowd.png", panorama())  # 32 faces, in four slices
    expect(here.verdict).to_contain_text("of 32")
    here.example("Portrait of Commodore")
    expect(_progress(here)).to_contain_text("Reading the face")
    expect(_progress(here)).to_have_count(0)
    expect(here.rows).to_have_count(ALL)
    assert served.at_rest() < calls + 4 * ALL


def test_a_short_job_does_not_wait_for_a_group(visit, slow: Pause) -> None:
    slow(0.25)
    crowd, one = visit(), visit()
    crowd.upload("crowd.png", panorama())
    expect(_progress(crowd)).to_contain_text("32 faces")
    one.example("Portrait of Commodore")
    expect(one.rows).to_have_count(ALL)
    expect(_progress(one)).to_have_count(0)
    assert _progress(crowd).count() == 1


@pytest.mark.parametrize("tab", ["Occlude", "Laboratory"])
def test_a_tab_that_is_opened_while_a_picture_is_read_is_filled_then(visit, tab: str, slow: Pause) -> None:
    slow(0.1)
    here = visit()
    here.example("The two portraits")
    expect(_progress(here)).to_contain_text("Reading")
    here.open_tab(tab)
    results = here.cards if tab == "Occlude" else here.page.locator("#fer-lab tr[data-model]")
    expect(results).to_have_count(ALL)
    expect(_progress(here)).to_have_count(0)
    assert here.errors == []


@pytest.mark.parametrize(
    ("tab", "part"),
    [
        ("Occlude", ".fer-slider"),
        ("Live", "[data-live=start]"),
        ("Laboratory", "#fer-lab tr[data-model]"),
        ("Leaderboard", "#fer-board tr[data-model]"),
    ],
)
def test_a_tab_that_is_opened_while_the_page_loads_is_filled(visit, tab: str, part: str) -> None:
    here = visit()
    machine = here.page.context.new_cdp_session(here.page)
    machine.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    machine.send("Network.enable")
    line = {"offline": False, "latency": 100, "downloadThroughput": 1e6, "uploadThroughput": 1e6}
    machine.send("Network.emulateNetworkConditions", line)
    here.page.add_init_script(PRESS_JS.replace("NAME", tab))
    here.page.reload(wait_until="commit")
    here.page.wait_for_function("window.pressed")
    here.errors.clear()  # of the page that was left
    expect(here.page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    expect(here.page.locator(part).first).to_be_visible()
    assert here.errors == []
