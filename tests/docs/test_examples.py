"""The Python of README and docs runs, and prints what the pages say."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fer_space.backbones.specs import BACKBONES
from fer_space.data import KINDS
from fer_space.detectors.specs import DETECTORS
from fer_space.occlusion import OCCLUSIONS
from tests.docs.reading import PAGES, ROOT, blocks

EXAMPLES = [(page, code) for page in PAGES for code in blocks(page, "python") if "127.0.0.1" not in code]


@contextmanager
def restored(*tables: dict[str, Any]) -> Iterator[None]:
    """Forget afterwards what an example puts into tables of the package."""
    kept = [dict(table) for table in tables]
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)


@pytest.mark.parametrize(
    ("page", "code"), EXAMPLES, ids=[f"{page.stem}-{k}" for k, (page, _) in enumerate(EXAMPLES)]
)
def test_examples_run(
    page: Path, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    module = ModuleType("example_of_a_page")  # where names like "module:class" are found
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with restored(BACKBONES, DETECTORS, OCCLUSIONS, KINDS):
        exec(compile(code, page.name, "exec"), vars(module))
    printed = capsys.readouterr().out
    if said := blocks(page, "text"):
        assert printed in said
    else:
        assert "happiness" in printed
