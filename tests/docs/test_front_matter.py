"""The README is the Space's configuration too."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from tests.docs.reading import README, ROOT, text_of

TEXT = text_of(README)
KEYS = {
    "title",
    "emoji",
    "colorFrom",
    "colorTo",
    "sdk",
    "sdk_version",
    "python_version",
    "app_file",
    "license",
    "short_description",
    "tags",
    "startup_duration_timeout",
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def front() -> dict[str, object]:
    return RepoCard(TEXT, ignore_metadata_errors=False).data.to_dict()


@pytest.fixture(scope="module")
def requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines]


def test_front_matter_has_every_key_and_no_other(front: dict[str, object]):
    assert set(front) == KEYS
    assert set(yaml.safe_load(TEXT.split("---")[1])) == KEYS


def test_front_matter_holds_what_a_space_accepts(front: dict[str, object]):
    assert front["sdk"] == "gradio"
    assert (ROOT / str(front["app_file"])).is_file()
    assert {front["colorFrom"], front["colorTo"]} <= COLOURS
    assert len(str(front["short_description"])) <= 60
    assert front["python_version"] == "3.12"
    assert front["license"] == "mit"
    assert Path(ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT")


def test_sdk_version_is_in_the_range_of_the_requirements(
    front: dict[str, object], requirements: list[Requirement]
):
    (gradio,) = [r for r in requirements if r.name == "gradio"]
    assert gradio.specifier.contains(str(front["sdk_version"]))


def test_every_dependency_is_bounded(requirements: list[Requirement]):
    for requirement in requirements:
        assert {s.operator for s in requirement.specifier} & {"<", "==", "~="}, requirement
