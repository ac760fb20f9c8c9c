"""The picture of an answer that a visitor takes away."""

from io import BytesIO

import pytest
from PIL import Image

from fer_space.render import report
from fer_space.render.report import CAVEAT, report_png
from fer_space.render.texts import verdict_of
from tests.ui.desk import LOOKS, Desk


def test_it_says_the_answer_who_gave_it_and_the_caveat(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = report._write

    def noted(pen, place, words, *how, **options) -> None:
        said.append(words)
        write(pen, place, words, *how, **options)

    monkeypatch.setattr(report, "_write", noted)
    comparison = Desk().session.answer.read[0]
    picture = Image.open(BytesIO(report_png(comparison, LOOKS, "Face 1 of 2")))
    assert picture.size[0] == 1200
    assert {verdict_of(comparison).headline, "Face 1 of 2", f"FER Space. {CAVEAT}"} <= set(said)
    assert {LOOKS[p.backbone].title for p in comparison.predictions} <= set(said)
