"""The arrows of the architecture: which part of the package may import which."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fer_space"

BASE = {"errors", "emotions", "types", "files"}
NUMBERS = BASE | {"distributions", "vision"}
NETWORKS = NUMBERS | {"tensors", "backbones", "runtime", "detectors", "occlusion", "explain"}
MODELS = NETWORKS | {"card", "external", "registry", "model"}
ENGINE = MODELS | {"comparison", "tracks", "watch", "engine"}

# A part may import itself and what is named here; all that stands above it (`docs/architecture.md`).
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "memory": set(),
    "emotions": {"errors"},
    "files": {"errors"},
    "types": {"emotions"},
    "distributions": {"emotions"},
    "vision": {"errors", "types", "files"},
    "sources": {"errors", "vision"},
    "comparison": {"distributions", "emotions", "types"},
    "tensors": {"errors", "files"},
    "occlusion": BASE | {"vision"},
    "backbones": BASE | {"vision", "tensors"},
    "explain": BASE | {"distributions", "backbones"},
    "runtime": {"errors", "files", "backbones", "explain"},
    "detectors": BASE | {"vision", "runtime"},
    "card": NUMBERS,
    "external": NUMBERS | {"backbones", "runtime", "card", "sources"},
    "registry": BASE | {"tensors", "backbones", "card", "external"},
    "model": NETWORKS | {"memory", "card", "external", "registry"},
    "tracks": {"types"},
    "watch": NUMBERS | {"detectors", "comparison", "tracks"},
    "engine": MODELS | {"comparison", "tracks", "watch"},
    "bulk": ENGINE | {"sources"},
    "cluster": ENGINE | {"sources", "bulk"},
    "render": NUMBERS | {"comparison", "explain", "watch"},
    "data": NUMBERS | {"sources", "occlusion"},
    "evaluation": MODELS | {"comparison", "data", "memory"},
    "training": MODELS | {"data", "evaluation", "memory"},
    "publishing": MODELS,
    "ui": ENGINE | {"render", "sources", "training"},  # training: how the laboratory mixes faces
    "commands": ENGINE
    | {
        "bulk",
        "cluster",
        "render",
        "sources",
        "data",
        "evaluation",
        "training",
        "memory",
        "publishing",
        "ui",
    },
    "cli": {"errors", "vision"},  # vision: the decoder starts first
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
                names = [f"fer_space.{alias.name}" for alias in node.names if alias.name != "__version__"]
        found |= {part_of(name) for name in names if name.startswith("fer_space.")}
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert part in ALLOWED, f"{part} has no place in the architecture yet: add it here and to the docs"
    turned = imported_parts(path) - ALLOWED[part] - {part}
    assert not turned, f"{path.name} must not import {sorted(turned)}"


def test_arrows_point_one_way():
    above: set[str] = set()
    for part, allowed in ALLOWED.items():
        assert allowed <= above, f"{part} is above {sorted(allowed - above)}"
        above.add(part)


def test_every_part_that_is_named_exists():
    here = {path.stem for path in PACKAGE.iterdir()}
    assert set(ALLOWED) <= here
