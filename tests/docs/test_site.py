"""docs/ builds as a site without a warning, with the reference made from docstrings."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.reading import PAGES, README, ROOT

needed = ("mkdocs", "material", "mkdocstrings")


@pytest.mark.skipif(any(find_spec(name) is None for name in needed), reason="the extra docs is not installed")
def test_the_site_is_built(tmp_path: Path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        if page not in (README, ROOT / "docs" / "index.md"):
            assert (tmp_path / page.stem / "index.html").is_file()
    reference = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    assert "fer_space.engine.Engine.compare" in reference
