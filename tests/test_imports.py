"""The arrows of the architecture: which part of the package may import which."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fer_space"

BASE = {"errors", "labels", "types", "changes", "hashing"}
CORE = BASE | {"imaging", "alignment", "preprocess"}
NETWORKS = CORE | {"backbones", "detectors", "outside", "registry"}
ENGINE = NETWORKS | {
    "weights",
    "loading",
    "affect",
    "gradcam",
    "inference",
    "occlusion",
    "sensitivity",
    "covering",
    "explaining",
}
READING = {"fetching", "sources"}
SHOWING = BASE | {"render", "report"}

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "labels": {"errors"},
    "hashing": set(),
    "memory": set(),
    "types": {"labels"},
    "changes": {"types"},
    "imaging": BASE,
    "fetching": BASE | {"imaging"},
    "sources": BASE | {"imaging", "fetching"},
    "alignment": BASE | {"imaging"},
    "occlusion": BASE | {"imaging", "alignment", "occlusion"},
    "preprocess": BASE | {"imaging"},
    "backbones": CORE | {"backbones"},
    "detectors": CORE | {"detectors"},
    "outside": CORE | {"backbones", "outside"},
    "registry": BASE | {"backbones", "detectors", "outside"},
    "affect": BASE,
    "gradcam": CORE | {"backbones"},
    "inference": CORE | {"backbones", "gradcam"},
    "explaining": CORE | {"backbones", "gradcam", "inference"},
    "sensitivity": BASE,
    "covering": BASE | {"alignment", "occlusion"},
    "weights": NETWORKS,
    "loading": NETWORKS | {"weights"},
    "engine": ENGINE,
    "render": BASE | {"render"},
    "report": BASE,
    "data": CORE | READING | {"data"},
    "training": ENGINE | {"data", "training", "evaluation", "memory"},
    "evaluation": ENGINE | {"engine", "data", "evaluation"},
    "ui": ENGINE | SHOWING | {"engine", "ui"},
    "commands": ENGINE
    | SHOWING
    | READING
    | {"engine", "data", "training", "evaluation", "memory", "commands"},
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
                names = [f"fer_space.{alias.name}" for alias in node.names]
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
    long = {p.name: n for p in FILES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 300}
    assert not long
