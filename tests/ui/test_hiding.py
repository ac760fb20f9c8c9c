"""The Occlude tab's handlers with the toy engine: no server, no browser."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fer_space.occlusion import OCCLUSIONS
from fer_space.ui.hide_handlers import FACE, WHOLE
from fer_space.ui.hide_views import robustness_view
from fer_space.ui.hiding import NOTHING_PAINTED, lay_over, window_of
from fer_space.ui.sitting import UNFORESEEN
from tests.toys import TOY_SPECS
from tests.ui.desk import LOOKS, TWO, Desk, click, strokes_uri

PORTRAIT, PAIR = 0, 2
DARK = (20, 20, 20)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Desk(tmp_path, [spec.name for spec in TOY_SPECS[:3]])


def _paint(desk: Desk, where: tuple[slice, slice] = (slice(50, 90), slice(20, 80))) -> None:
    desk.run(desk.hide.painted, click(strokes=strokes_uri((100, 100), where, DARK)))


def test_nothing_is_covered_before_the_tab_is_open(desk: Desk) -> None:
    desk.example(PORTRAIT)
    assert desk.hide.follow(desk.values) == {"__type__": "update"}
    assert desk.engine.calls == 1
    desk.run(desk.hide.opened)
    desk.run(desk.hide.opened)
    assert desk.engine.calls == 2
    assert "2 of 3" in desk.outcome or "Two of" in desk.outcome
    assert desk.values[desk.form.hide.covered].count("<article") == 3


def test_without_a_picture_the_tab_says_what_to_do(desk: Desk) -> None:
    for event in (desk.hide.opened, desk.hide.cover):
        desk.run(event)
        assert "Compare a picture first" in desk.outcome
    desk.run(desk.hide.slide)
    assert 'role="alert"' in desk.outcome


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_every_kind_covers(desk: Desk, kind: str) -> None:
    desk.example(PORTRAIT)
    desk.set(desk.form.hide, kind=kind, colour="#db2777", opacity=0.8)
    desk.run(desk.hide.cover)
    (covered,) = desk.hiding.covered
    assert covered.kind == kind
    assert "fer-slider" in desk.values[desk.form.hide.pair]
    assert "average face" not in desk.outcome


def test_without_landmarks_the_crop_is_covered_and_that_is_said(desk: Desk) -> None:
    desk.example(PAIR)
    desk.run(desk.hide.opened)
    assert "average face" in desk.outcome
    assert "The face, covered" in desk.values[desk.form.hide.pair]


def test_another_face_shows_its_own_cover(desk: Desk) -> None:
    desk.example(PAIR)
    desk.run(desk.hide.opened)
    first, easel = desk.values[desk.form.hide.pair], desk.values[desk.form.hide.easel]
    desk.run(desk.do.choose, click(index=1))
    assert desk.engine.calls == 2
    assert "Face 2 of 2" in desk.outcome
    assert desk.values[desk.form.hide.pair] != first
    assert desk.values[desk.form.hide.easel] != easel


def test_another_picture_leaves_nothing_of_the_old_cover(desk: Desk) -> None:
    desk.example(PORTRAIT)
    desk.run(desk.hide.opened)
    desk.run(desk.hide.slide)
    desk.example(PAIR)
    hide = desk.form.hide
    assert desk.hiding.covered == ()
    assert [desk.values[part] for part in (hide.outcome, hide.pair, hide.covered, hide.slid)] == [""] * 4
    desk.run(desk.hide.follow)
    assert len(desk.hiding.covered) == 2


def test_what_was_painted_is_read_with_the_known_faces(desk: Desk) -> None:
    sitting = desk.example(PORTRAIT)
    _paint(desk)
    (covered,) = desk.hiding.covered
    assert covered.kind == "painted"
    assert covered.after.face is sitting.faces[0]
    crops = [side.readings[0].crop.image_rgb.astype(int) for side in (covered.before, covered.after)]
    assert (np.abs(crops[0] - crops[1]).max(axis=2) > 8).mean() > 0.2
    assert "The photo, covered" in desk.values[desk.form.hide.pair]


@pytest.mark.parametrize(
    ("strokes", "sentence"),
    [(strokes_uri((9, 9), (slice(0), slice(0)), DARK), NOTHING_PAINTED), ("nonsense", "did not arrive")],
    ids=["nothing", "nonsense"],
)
def test_nothing_painted_is_a_sentence(desk: Desk, strokes: str, sentence: str) -> None:
    desk.example(PORTRAIT)
    desk.run(desk.hide.opened)
    desk.run(desk.hide.painted, click(strokes=strokes))
    assert sentence in desk.outcome
    assert desk.hiding.covered == ()


def test_strokes_lie_in_their_window_only() -> None:
    image = np.full((40, 60, 3), 200, np.uint8)
    strokes = np.zeros((8, 8, 4), np.uint8)
    strokes[:, :4] = (10, 20, 30, 255)
    painted = lay_over(image, strokes, (20, 10, 36, 26))
    assert painted[12, 21].tolist() == [10, 20, 30]
    painted[10:26, 20:30] = 200
    assert (painted == image).all()


def test_the_window_holds_the_face_and_stays_in_the_picture(desk: Desk) -> None:
    sitting = desk.example(PORTRAIT)
    width, height = sitting.size_wh
    left, top, right, bottom = window_of(sitting, whole=False)
    box = sitting.faces[0].box_xyxy
    assert 0 <= left <= box[0] < box[2] <= right <= width
    assert 0 <= top <= box[1] < box[3] <= bottom <= height
    assert window_of(sitting, whole=True) == (0, 0, width, height)


def test_the_easel_turns_between_face_and_photo(desk: Desk) -> None:
    desk.example(PORTRAIT)
    drawn = []
    for where in (FACE, WHOLE):
        desk.set(desk.form.hide, where=where)
        drawn.append(desk.hide.turn(desk.values))
    assert drawn[0] != drawn[1]


def test_a_patch_slides_over_the_selected_face(desk: Desk) -> None:
    desk.example(PAIR)
    desk.run(desk.hide.slide)
    assert desk.values[desk.form.hide.slid].count("<article") == 3
    desk.run(desk.do.choose, click(index=1))
    assert desk.values[desk.form.hide.slid] == ""


def test_an_unforeseen_error_drops_the_cover(desk: Desk) -> None:
    desk.example(PORTRAIT)
    desk.run(desk.hide.opened)
    desk.run(desk.hide.failed)
    assert UNFORESEEN in desk.outcome
    assert desk.hiding.covered == ()


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({}, False),
        ({"ferplus test": 0.9}, False),
        ({"ferplus test": 0.9, "ferplus test, occluded: surgical": 0.5}, True),
        ({"ferplus test, occluded: surgical": 0.5}, False),
    ],
    ids=["nothing", "free only", "both", "covered only"],
)
def test_robustness_shows_what_was_measured(settings: dict[str, float], shown: bool) -> None:
    results = {name: {"accuracy": value, "macro_f1": value} for name, value in settings.items()}
    html = robustness_view({TWO[0]: SimpleNamespace(results=results)}, LOOKS)
    assert bool(html) == shown


def test_a_problem_goes_with_what_caused_it(desk: Desk) -> None:
    desk.run(desk.hide.slide)
    assert 'role="alert"' in desk.outcome
    desk.example(PORTRAIT)
    assert 'role="alert"' not in desk.outcome
    _paint(desk, (slice(0, 0), slice(0, 0)))
    assert NOTHING_PAINTED in desk.outcome
    desk.run(desk.hide.slide)
    assert 'role="alert"' not in desk.outcome


@pytest.mark.parametrize("strokes", [None, 3, "file:///etc/passwd", "data:image/png;base64,AAAA"])
def test_forged_strokes_are_a_sentence(desk: Desk, strokes: object) -> None:
    desk.example(PORTRAIT)
    desk.run(desk.hide.painted, click(strokes=strokes))
    assert 'role="alert"' in desk.outcome
    assert UNFORESEEN not in desk.outcome
