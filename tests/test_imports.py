"""The arrows of the architecture: which part of the package may import which."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fer_space"

BASE = {"errors", "emotions", "types", "files", "distributions"}
SEEING = BASE | {"vision"}
NETWORKS = SEEING | {"backbones", "card", "tensors"}
MODEL = NETWORKS | {"registry", "runtime", "explain", "model", "occlusion"}
ENGINE = MODEL | {"detectors", "comparison", "engine"}

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "memory": set(),
    "emotions": {"errors"},
    "files": {"errors"},
    "runtime": {"errors", "runtime"},
    "types": {"emotions"},
    "distributions": {"emotions"},
    "tensors": {"errors", "files"},
    "vision": BASE | {"vision"},
    "sources": SEEING | {"sources"},
    "occlusion": SEEING | {"occlusion"},
    "detectors": SEEING | {"detectors"},
    "backbones": SEEING | {"backbones"},
    "card": SEEING,
    "explain": BASE | {"backbones", "explain"},
    "external": NETWORKS | {"external", "sources"},
    "registry": NETWORKS | {"external"},
    "model": MODEL,
    "comparison": BASE,
    "engine": ENGINE,
    "render": BASE | {"comparison", "explain", "render"},
    "data": SEEING | {"sources", "occlusion", "data"},
    "evaluation": MODEL | {"comparison", "data", "evaluation"},
    "training": MODEL | {"data", "evaluation", "memory", "training"},
    "ui": ENGINE | {"render", "training", "ui"},  # training: how the laboratory mixes faces
    "commands": ENGINE
    | {"external", "render", "sources", "data", "training", "evaluation", "memory", "commands"},
    "cli": {"errors"},
}


def part_of(module: str) -> str:
    """`fer_space.data.ferplus` -> `data`."""
    return module.split(".")[1]


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module or ""]
            if node.module == "fer_space":
                modules = (alias.name for alias in node.names if not alias.name.startswith("__"))
                names = [f"fer_space.{name}" for name in modules]
        found |= {part_of(name) for name in names if name.startswith("fer_space.")}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert part in ALLOWED, f"{part} has no place in the architecture yet: add it here and to the README"
    turned = imported_parts(path) - ALLOWED[part]
    assert not turned, f"{path.name} must not import {sorted(turned)}"


def test_no_file_outgrows_a_sitting():
    long = {p.name: n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long
