"""What the packages ask for: a Space's list is the core and the page; extras have one name everywhere."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_whoever_lacks_a_package_is_told_how_to_install_it():
    modules = packages_distributions()
    wanted = dict.fromkeys(map(_name_of, PROJECT["dependencies"]), "")
    for extra in sorted(set(EXTRAS.values())):
        wanted |= {_name_of(line): extra for line in PROJECT["optional-dependencies"][extra]}
    unknown = []
    for name in wanted:
        given = [module for module, makers in modules.items() if name in map(canonicalize_name, makers)]
        if given and not any(module in EXTRAS or module in BASE for module in given):
            unknown.append(name)
    assert unknown == ["dlib-bin"], "whose metadata leave out the module dlib, which is in BASE"


def _name_of(line: str) -> str:
    return canonicalize_name(Requirement(line).name)


@pytest.mark.parametrize("name", ["weights", "examples"])
def test_the_package_of_the_weights_takes_whole_folders(name: str):
    patterns = WEIGHTS["tool"]["setuptools"]["package-data"][f"fer_space_weights.{name}"]
    files = [
        path for path in (ROOT / name).iterdir() if path.is_file() and path.suffix not in (".csv", ".ipynb")
    ]
    assert [path.name for path in files if not any(path.match(pattern) for pattern in patterns)] == []


def test_both_packages_have_one_version():
    assert WEIGHTS["project"]["version"] == PROJECT["version"]
