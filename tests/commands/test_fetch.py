"""What is fetched at the start of the page: each name says what came of it, and none stops the others."""

import pytest

from fer_space.commands import fetch
from fer_space.errors import SourceError


def _bring(name: str) -> str:
    if name == "absent":
        raise SourceError("There is no connection.")
    return f"{name}: 1.0 MB"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("", []),
        ("one", ["one: 1.0 MB"]),
        (
            " one, absent ,two,",
            ["one: 1.0 MB", "absent is not offered: There is no connection.", "two: 1.0 MB"],
        ),
    ],
)
def test_each_name_of_the_list_is_tried(names: str, said: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch, "bring", _bring)
    assert list(fetch.bring_all(names)) == said


def test_an_unknown_name_and_a_missing_library_are_sentences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fer_space.external.pack.find_spec", lambda name: None)
    missing, unknown = fetch.bring_all("insightface,nonsense")
    assert "insightface is not offered: InsightFace is not installed" in missing
    assert "nonsense is not offered: " in unknown
