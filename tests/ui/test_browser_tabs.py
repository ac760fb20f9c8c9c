"""The other tabs, what is taken away, and forgotten pages, in headless Chromium over the toy engine."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from fer_space.ui.session import FORGOTTEN
from tests.toys import TOY_SPECS
from tests.ui.conftest import EXAMPLES, Served, zipped
from tests.ui.visit import CHROMIUM, DESK, PALE_WORDS_JS, PHONE, Visit, clipped, fits, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]
ALL = len(TOY_SPECS)
TABS = ("Compare", "Occlude", "Live", "Video", "Laboratory", "Leaderboard")


def _covered(here: Visit) -> Visit:
    here.open_tab("Occlude")
    expect(here.page.locator(".fer-slider")).to_be_visible()
    return here


def _pair(here: Visit) -> Visit:
    """The page after another example was read: nothing of its opening is on its way any more."""
    here.example("The two portraits")
    expect(here.verdict).to_contain_text("Face 2 of 2")
    expect(here.rows).to_have_count(ALL)
    expect(here.page.locator(".fer-progress")).to_have_count(0)
    return here


def _break_connections(served: Served) -> None:
    """Let the server take every page for closed."""
    for name in list(served.sessions._sessions):
        served.sessions.close(SimpleNamespace(session_hash=name))


def _paint(here: Visit) -> None:
    expect(here.page.locator(".fer-progress")).to_have_count(0)  # nothing moves the sheet under the mouse
    sheet = here.page.locator(".fer-sheet canvas")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
    here.page.mouse.move(x - 40, y)
    here.page.mouse.down()
    here.page.mouse.move(x + 40, y, steps=4)
    here.page.mouse.up()


def test_the_tab_covers_and_equal_choices_run_once(visit, served: Served) -> None:
    here = _covered(visit())
    expect(here.outcome).to_contain_text("ViT-B/16 moves most")
    expect(here.cards).to_have_count(ALL)
    before = here.page.locator(".fer-over img").get_attribute("src")
    here.page.get_by_role("button", name="Scarf").click()
    here.page.wait_for_function("src => document.querySelector('.fer-over img').src !== src", arg=before)
    expect(here.page.get_by_role("button", name="Scarf")).to_have_attribute("aria-pressed", "true")
    before = here.page.locator(".fer-over img").get_attribute("src")
    here.choose("Colour", "pink")
    here.page.wait_for_function("src => document.querySelector('.fer-over img').src !== src", arg=before)
    expect(here.page.locator(".fer-progress")).to_have_count(0)
    calls = served.at_rest()
    here.open_tab("Compare")
    here.open_tab("Occlude")
    here.page.get_by_role("button", name="Scarf").click()
    assert served.at_rest() == calls
    assert here.errors == []
    assert here.strangers == []


def test_the_slider_moves_the_border(visit) -> None:
    here = _covered(visit())
    here.page.get_by_label("Border between original and covered").focus()
    here.page.keyboard.press("Home")
    expect(here.page.locator(".fer-slider")).to_have_attribute("style", re.compile(r"--cut: ?0%"))


def test_what_is_painted_is_read_stays_and_leaves_no_file(visit, served: Served) -> None:
    here = _covered(visit())
    before = {file for file in served.uploads.rglob("*") if file.is_file()}
    here.page.locator("#fer-paint > button").click()
    read = here.page.get_by_role("button", name="Read what I painted")
    read.click()
    expect(here.alert).to_contain_text("Nothing is painted yet")
    expect(here.cards).to_have_count(ALL)  # what was shown stays
    _paint(here)
    read.click()
    expect(here.alert).to_have_count(0)
    expect(here.page.get_by_text("Shown: what you painted")).to_be_visible()
    expect(here.page.locator(".fer-palette [aria-pressed=true]")).to_have_count(0)
    strokes = "document.querySelector('.fer-sheet canvas').toDataURL().length"
    painted = here.page.evaluate(strokes)
    here.open_tab("Compare")
    here.open_tab("Occlude")
    expect(here.page.get_by_text("Shown: what you painted")).to_be_visible()
    assert here.page.evaluate(strokes) == painted
    here.page.get_by_role("button", name="Wipe").click()
    read.click()
    expect(here.alert).to_contain_text("Nothing is painted yet")
    expect(here.cards).to_have_count(ALL)
    assert {file for file in served.uploads.rglob("*") if file.is_file()} == before
    assert here.errors == []


def test_what_was_painted_on_one_face_is_not_on_another(visit) -> None:
    here = visit()
    here.example("The two portraits")
    _covered(here)
    expect(here.outcome).to_contain_text("Face 2 of 2")  # the sheet of the picture before it is gone
    here.page.locator("#fer-paint > button").click()
    _paint(here)
    empty = (
        "![...document.querySelector('.fer-sheet canvas').getContext('2d')"
        ".getImageData(0, 0, 640, 640).data].some(Boolean)"
    )
    assert not here.page.evaluate(empty)
    here.page.locator(".fer-box").first.click()
    here.page.wait_for_function(empty)


def test_a_patch_slides_over_the_face(visit) -> None:
    here = _covered(visit())
    here.page.get_by_role("button", name="Slide a patch").click()
    expect(here.page.locator(".fer-sensitivity .fer-tile")).to_have_count(ALL)


def test_a_new_picture_is_covered_while_the_tab_is_open(visit) -> None:
    here = _covered(visit())
    here.example("The two portraits")
    expect(here.outcome).to_contain_text("Face 2 of 2")
    expect(here.page.locator(".fer-note:visible").first).to_contain_text("average face")
    here.page.get_by_role("button", name="Clear").click()
    expect(here.cards).to_have_count(0)
    expect(here.page.locator(".fer-slider")).to_have_count(0)
    expect(here.outcome).to_contain_text("Show a face first")


@pytest.mark.parametrize("tab", ["Live", "Video", "Leaderboard"])
def test_a_photo_dropped_where_none_is_shown_opens_compare(visit, tab: str) -> None:
    here = visit()
    here.open_tab(tab)
    here.drop((EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(here.verdict).to_contain_text("Face 2 of 2")


@pytest.mark.parametrize("tab", ["Live", "Video"])
def test_an_example_opens_compare_from_where_none_is_shown(visit, tab: str) -> None:
    here = visit()
    here.open_tab(tab)
    here.example("The two portraits")
    expect(here.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(here.verdict).to_contain_text("Face 2 of 2")


def test_several_photos_dropped_on_another_tab_open_compare_with_their_table(visit) -> None:
    here = visit()
    here.open_tab("Occlude")
    here.drop((EXAMPLES / "two_faces.jpg").read_bytes(), (EXAMPLES / "hopper.jpg").read_bytes())
    expect(here.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(here.page.locator(".fer-photos:visible")).to_be_visible()


@pytest.mark.parametrize("tab", ["Occlude", "Laboratory"])
def test_a_photo_dropped_where_it_is_shown_leaves_the_tab(visit, tab: str) -> None:
    here = visit()
    here.open_tab(tab)
    here.drop((EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.page.get_by_alt_text("The picture, 2 faces found")).to_be_visible()
    expect(here.page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("tab", ["Live", "Video"])
def test_on_narrow_screens_a_camera_or_video_has_the_page_for_itself(visit, tab: str) -> None:
    here = visit(PHONE)
    photo, upload = here.page.locator("#fer-photo"), here.page.get_by_role("button", name="Upload")
    expect(photo).to_be_visible()
    here.open_tab(tab)
    expect(photo).to_be_hidden()
    expect(upload).to_be_hidden()
    expect(here.page.locator("#fer-settings")).to_be_visible()
    here.open_tab("Compare")
    expect(photo).to_be_visible()
    expect(upload).to_be_visible()


def test_controls_of_covers_stay_in_view(visit) -> None:
    here = _covered(visit())
    here.page.locator(".fer-covered .fer-card").last.scroll_into_view_if_needed()
    expect(here.page.get_by_role("button", name="Scarf")).to_be_in_viewport()


def test_the_laboratory_mixes_and_tries_again(visit) -> None:
    here = visit()
    here.open_tab("Laboratory")
    rows = here.page.locator("#fer-lab tr[data-model]")
    expect(rows).to_have_count(ALL)
    picture = here.page.get_by_alt_text("Mixed")
    before = picture.get_attribute("src")
    here.page.get_by_role("button", name="Another try").click()
    here.page.wait_for_function("src => document.querySelector('[alt=Mixed]').src !== src", arg=before)
    for kind in ("Mixup", "SnapMix", "Attentive CutMix"):
        here.page.get_by_role("radio", name=kind, exact=True).check()
        expect(here.page.locator("#fer-lab .fer-sentence")).to_contain_text("et al.")
    expect(rows).to_have_count(ALL)
    assert here.errors == []


def test_the_laboratory_follows_what_is_shown(visit) -> None:
    here = visit()
    here.open_tab("Laboratory")
    rows = here.page.locator("#fer-lab tr[data-model]")
    expect(rows).to_have_count(ALL)
    own = "document.querySelector('#fer-lab [alt=\"Your face\"]')?.src"
    for step in (
        lambda: here.example("The two portraits"),
        lambda: here.page.locator(".fer-box").first.click(),
    ):
        before = here.page.evaluate(own)
        step()
        here.page.wait_for_function(f"src => {own} && {own} !== src", arg=before)
        expect(rows).to_have_count(ALL)
    here.page.get_by_role("button", name="Clear").click()
    expect(here.page.locator("#fer-lab")).to_contain_text("Show a face first")
    assert here.errors == []


def test_the_leaderboard_has_every_model_and_can_be_sorted(visit) -> None:
    here = visit()
    here.open_tab("Leaderboard")
    rows = here.page.locator("#fer-board tr[data-model]")
    expect(rows).to_have_count(ALL)
    expect(here.page.get_by_role("tab")).to_have_count(len(TABS))
    here.page.locator("#fer-board").get_by_label("Sort by").select_option("parameters")
    sizes = [int(rows.nth(number).get_attribute("data-parameters")) for number in range(ALL)]
    assert sizes == sorted(sizes)


# By tab, what stands in it when it is filled.
PARTS = {
    "Compare": ".fer-hero",
    "Occlude": ".fer-covered article",
    "Live": "[data-live=start]",
    "Video": "[data-video=choose]",
    "Laboratory": "#fer-lab tr[data-model]",
    "Leaderboard": "#fer-board tr[data-model]",
}


def _filled(here: Visit, tab: str) -> None:
    """Open a tab and wait until all of it is there."""
    here.open_tab(tab)
    expect(here.page.locator(PARTS[tab]).first).to_be_visible()
    expect(here.page.locator(".fer-progress")).to_have_count(0)


@pytest.mark.parametrize("size_wh", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("tab", TABS[1:])
def test_every_tab_fits(visit, tab: str, size_wh: tuple[int, int]) -> None:
    here = visit(size_wh)
    _filled(here, tab)
    assert fits(here.page)
    assert clipped(here.page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", TABS[1:])
def test_words_can_be_read_on_every_tab(visit, tab: str, scheme: str) -> None:
    here = visit(scheme=scheme)
    _filled(here, tab)
    assert here.page.evaluate(PALE_WORDS_JS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_any_tab(visit, scheme: str) -> None:
    here = visit(scheme=scheme)
    here.open_settings()
    here.open_maps()
    for tab in TABS:
        _filled(here, tab)
        faults = Axe().run(here.page).response["violations"]
        assert [(tab, fault["id"], fault["nodes"][0]["html"]) for fault in faults] == []


@pytest.mark.parametrize(("name", "start"), [("PNG", b"\x89PNG"), ("CSV", b"source,face"), ("JSON", b"{")])
def test_an_answer_can_be_taken_away(visit, name: str, start: bytes, tmp_path: Path) -> None:
    here = visit()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name=f"({name})").click()
    download.value.save_as(tmp_path / "taken")
    assert (tmp_path / "taken").read_bytes().startswith(start)
    if name == "JSON":
        record = json.loads((tmp_path / "taken").read_text())
        assert record["faces"][0]["consensus"]["rule"] == "fitted mean"


def test_a_link_brings_its_settings(visit, served: Served) -> None:
    here = visit()
    here.page.goto(f"{served.url}?backbones=toy_dan,toy_vit&boost_rare=0")
    expect(here.rows).to_have_count(2)
    expect(here.verdict).to_contain_text("rare emotions not boosted")


def test_a_forgotten_page_is_told_and_read_again(visit, served: Served) -> None:
    here = visit()
    here.upload("pair.jpg", (EXAMPLES / "two_faces.jpg").read_bytes())
    expect(here.rows).to_have_count(ALL)
    expect(here.verdict).to_contain_text("Face 2 of 2")
    sessions = served.sessions
    limit, sessions.limit = sessions.limit, 0
    other = visit()
    other.example("The two portraits")
    expect(other.rows).to_have_count(ALL)
    sessions.limit = limit
    assert FORGOTTEN in [session.answer.problem for session in sessions._sessions.values()]
    here.page.locator(".fer-box").first.click()
    expect(here.page.locator(".fer-box")).to_have_count(2)
    expect(here.verdict).to_contain_text("of 2")
    expect(here.rows).to_have_count(ALL)


@pytest.mark.parametrize("tab", ["Compare", "Occlude", "Laboratory"])
def test_a_page_whose_connection_broke_reads_its_example_again(visit, served: Served, tab: str) -> None:
    here = _pair(visit())
    _break_connections(served)
    if tab == "Compare":
        here.page.locator(".fer-box").first.click()
    else:
        here.open_tab(tab)
    results = {"Compare": here.rows, "Occlude": here.cards}
    expect(results.get(tab, here.page.locator("#fer-lab tr[data-model]"))).to_have_count(ALL)
    here.open_tab("Compare")
    expect(here.rows).to_have_count(ALL)
    expect(here.alert).to_have_count(0)


def test_a_tab_that_was_told_before_it_was_drawn_reads_the_picture_again(visit, served: Served) -> None:
    here = _pair(visit())
    _break_connections(served)
    here.page.evaluate(
        """() => {
            const told = document.createElement('div');
            told.innerHTML = '<p data-forgotten></p>';
            fer.live(told, () => {});
        }"""
    )
    until(lambda: [len(session.answer.faces) for session in served.sessions._sessions.values()] == [2])


def test_a_table_keeps_its_own_order(visit) -> None:
    here = visit()
    here.open_tab("Leaderboard")
    here.page.locator("#fer-board [data-sort]").select_option("parameters")
    here.open_tab("Compare")
    here.example("The two portraits")
    expect(here.outcome.or_(here.verdict).first).to_contain_text("Face 2 of 2")
    expect(here.page.locator("#fer-answer [data-sort]")).to_have_value("")


def test_a_link_is_copied_each_time_and_its_note_goes_with_the_picture(visit) -> None:
    here = _pair(visit())
    note = here.page.locator("[data-link]")
    copy = here.page.get_by_role("button", name="Link with these settings")
    copy.click()
    expect(note).to_have_count(1)
    first = note.get_attribute("data-number")
    copy.click()
    expect(note).not_to_have_attribute("data-number", first)
    here.page.get_by_role("button", name="Clear").click()
    expect(note).to_have_count(0)


def test_many_photos_become_a_table_to_take_away(visit) -> None:
    here = visit()
    pair = (EXAMPLES / "two_faces.jpg").read_bytes()
    files = [
        {"name": "alone.png", "mimeType": "image/png", "buffer": (EXAMPLES / "hopper.jpg").read_bytes()},
        {
            "name": "all.zip",
            "mimeType": "application/zip",
            "buffer": zipped({"pair.jpg": pair, "no.png": b"no"}),
        },
    ]
    here.page.locator("#fer-file").set_input_files(files)
    rows = here.page.locator(".fer-photos tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("pair.jpg")
    expect(rows.nth(2)).to_contain_text("damaged")
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="Table (CSV)").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert {line.split(",")[0] for line in lines} == {"source", "alone.png", "pair.jpg"}
    here.upload("pair.jpg", pair)
    expect(rows).to_have_count(0)
    expect(here.verdict).to_contain_text("Face")
