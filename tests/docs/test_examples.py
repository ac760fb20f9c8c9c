"""The Python of README and docs runs, and prints what the pages say."""

from pathlib import Path

import pytest

from tests.docs.reading import PAGES, README, ROOT, blocks

EXAMPLES = [(page, code) for page in PAGES for code in blocks(page, "python") if "127.0.0.1" not in code]


@pytest.mark.parametrize(
    ("page", "code"), EXAMPLES, ids=[f"{page.stem}-{k}" for k, (page, _) in enumerate(EXAMPLES)]
)
def test_examples_run(
    page: Path, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(ROOT)
    exec(compile(code, page.name, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "happiness" in printed
    if page == README:
        assert printed in blocks(README, "text")
