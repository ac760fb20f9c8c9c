"""What README and docs name exists, and the figures in them are the stored ones."""

import json
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from benchmarks import study
from docs import tables
from fer_space.card import FERPLUS_TEST
from fer_space.data import KINDS
from fer_space.detectors.specs import DETECTORS
from fer_space.explain.library import METHODS
from fer_space.occlusion import OCCLUSIONS
from tests.docs.reading import PAGES, README, ROOT, spans, text_of
from tests.test_imports import ALLOWED

MOST_LINES, MOST_WORDS = 250, 1_800
PACKAGE = ROOT / "fer_space"
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def stored(name: str) -> dict[str, object]:
    return json.loads((ROOT / "docs" / name).read_text(encoding="utf-8"))


def test_the_readme_is_a_door():
    text = text_of(README)
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS


@by_page
def test_tables_hold_the_stored_figures(page: Path):
    assert tables.written(text_of(page)) == text_of(page), "stale: make tables"


def test_every_table_stands_somewhere():
    marks = [mark["name"] for page in PAGES for mark in tables.TABLE.finditer(text_of(page))]
    assert set(marks) == set(tables.TABLES)


@by_page
def test_links_lead_somewhere(page: Path):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text_of(page)):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors_of(file), f"{target}#{anchor}"


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in headings}


def test_every_page_can_be_reached_from_the_readme_and_from_the_index():
    def linked(page: Path) -> set[Path]:
        targets = re.findall(r"\]\(([^)#:]+\.md)", text_of(page))
        return {(page.parent / target).resolve() for target in targets}

    for start in (README, ROOT / "docs" / "index.md"):
        reached, new = set[Path](), {start}
        while new:
            reached |= new
            new = set[Path]().union(*map(linked, new)) - reached
        assert set(PAGES) - {README} <= reached, start.name


def test_the_site_has_every_page():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"- ([\w-]+\.md)", nav)) == {page.name for page in PAGES if page != README}


@by_page
def test_pages_name_no_place_of_the_workshop(page: Path):
    assert not re.search(r"/work/|/tmp/|\.\./shared|/home/|/root/", text_of(page))


@by_page
def test_files_and_names_of_the_package_exist(page: Path):
    for span in spans(page):
        if re.fullmatch(r"\w+(/\w+)*\.py|(fer_space|benchmarks|tests|docs)/[\w/]*", span):
            assert any((base / span).exists() for base in (ROOT, PACKAGE)), span
        for name in re.findall(r"fer_space(?:\.\w+)+(?::\w+)?", span):
            if name.endswith((".json", ".safetensors")):  # files of a published folder
                continue
            resolve_name(name)


def test_all_that_can_be_chosen_is_described():
    def said(page: str) -> str:
        return text_of(ROOT / "docs" / page)

    assert all(f"`{kind}`" in said("data.md") for kind in KINDS)
    assert all(f"`{kind}`" in said("occlusion.md") for kind in OCCLUSIONS)
    assert all(method.title in said("maps.md") for method in METHODS.values())
    assert all(name.lower().replace(" ", "") in said("cropping.md").lower() for name in DETECTORS)


def test_every_part_of_the_package_has_a_place_in_the_architecture():
    page = text_of(ROOT / "docs" / "architecture.md")
    assert not [part for part in ALLOWED if not re.search(rf"\b{part}\b", page)]


def test_what_was_summed_up_is_what_the_cards_say():
    measured = stored("results.json")["models"]
    cards = {card.name: card for card in tables.shipped_cards()}
    for name, model in measured.items():
        if "members" not in model:
            scores = cards[name].measured(FERPLUS_TEST).scores
            assert (scores.n, scores.accuracy, scores.ece) == (model["n"], model["accuracy"], model["ece"])
    assert {"ensemble", "weighted"} <= set(measured)


def test_what_is_said_of_the_maps_was_measured_on_shipped_models():
    record = stored("faithfulness.json")
    assert set(record["backbones"]) <= {card.name for card in tables.shipped_cards()}
    assert record["n"] >= 150


@pytest.mark.parametrize("name", study.STUDIES)
def test_a_study_was_tested_on_every_face(name: str):
    record = stored(study.STUDIES[name].file)
    assert record["results"]["test"].keys() == record["changes"].keys()
    assert {scores["n"] for scores in record["results"]["test"].values()} == {3_137}
