"""What stands beside the packages: the notebook runs, the container file copies what the app needs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from fer_space import __version__
from fer_space.publishing.space import PARTS
from tests.packages.test_requirements import PROJECT

ROOT = Path(__file__).parents[2]


def test_the_notebook_reads_a_face(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    notebook = json.loads((ROOT / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    scope: dict[str, object] = {}
    exec(cells[0], scope)
    assert "happiness" in capsys.readouterr().out
    exec(cells[1].split("page.launch")[0].replace("build_page(engine)", "build_page"), scope)
    assert callable(scope["page"])


def test_the_container_gets_all_that_a_space_gets():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (?:--chown=user )?(.*) \S+$", text, re.MULTILINE))
    assert {name for line in copied for name in line.split()} == {*PARTS, "requirements.lock"}


def test_versions_are_one():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
