"""What the packages ask for: a Space's list is the core and the page; extras have one name everywhere."""

import tomllib
from pathlib import Path

import pytest

from fer_space.cli import BASE, EXTRAS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WEIGHTS = tomllib.loads((ROOT / "packages" / "weights" / "pyproject.toml").read_text(encoding="utf-8"))
SPACE = ("app", "openvino", "video")  # the extras of a Space, beside the core


def test_a_space_gets_the_core_and_the_page():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").split("\n")
    wanted = [*PROJECT["dependencies"]]
    for extra in SPACE:
        wanted += PROJECT["optional-dependencies"][extra]
    assert sorted(filter(None, lines)) == sorted(wanted)


def test_extras_that_are_named_exist():
    assert set(EXTRAS.values()) <= set(PROJECT["optional-dependencies"])
    assert not set(EXTRAS) & set(BASE)


@pytest.mark.parametrize("name", ["weights", "examples"])
def test_the_package_of_the_weights_takes_whole_folders(name: str):
    patterns = WEIGHTS["tool"]["setuptools"]["package-data"][f"fer_space_weights.{name}"]
    files = [
        path for path in (ROOT / name).iterdir() if path.is_file() and path.suffix not in (".csv", ".ipynb")
    ]
    assert [path.name for path in files if not any(path.match(pattern) for pattern in patterns)] == []


def test_both_packages_have_one_version():
    assert WEIGHTS["project"]["version"] == PROJECT["version"]
