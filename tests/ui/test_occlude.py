"""The Occlude tab's events with the toy engine: no server, no browser."""

import gc
from base64 import b64decode

import cv2
import numpy as np
import pytest

from fer_space.occlusion import OCCLUSIONS
from fer_space.render.html import SHEET
from fer_space.ui.occlude import (
    FACE,
    NOTHING_PAINTED,
    PAINTED,
    WHOLE,
    cover_of,
    lay_over,
    robustness_rows,
    window_of,
)
from fer_space.ui.session import UNFORESEEN
from fer_space.vision.imaging import MAX_PIXELS, decode_image
from tests.toys import TOY_SPECS, ToyEngine, toy_measurement
from tests.ui.desk import REQUEST, Desk, click, data_url, strokes_uri

PORTRAIT, PAIR = 0, 2
DARK = (20, 20, 20)
SOMEWHERE = (slice(50, 90), slice(20, 80))
NOWHERE = (slice(0, 0), slice(0, 0))


@pytest.fixture
def desk() -> Desk:
    return Desk([spec.name for spec in TOY_SPECS[:3]])


def _put(desk: Desk, kind: object) -> None:
    desk.run(desk.cover.cover, click(kind=kind), *desk.how(), *desk.view())


def _paint(desk: Desk, strokes: object = None) -> None:
    strokes = strokes or strokes_uri((100, 100), SOMEWHERE, DARK)
    desk.run(desk.cover.paint, click(strokes=strokes), *desk.view())


def test_nothing_is_covered_before_the_tab_is_open(desk: Desk) -> None:
    desk.run(desk.cover.follow, *desk.how(), *desk.view())
    assert desk.engine.calls == 0
    desk.follow()
    desk.follow()
    assert desk.engine.calls == 3  # one a model
    assert "2 of 3" in desk.outcome
    assert desk.values[desk.hide.covered].count("<article") == 3


def test_without_a_picture_the_tab_says_what_to_do(desk: Desk) -> None:
    desk.run(desk.do.clear, click(), *desk.view())
    desk.follow()
    assert "Show a face first" in desk.outcome
    desk.run(desk.cover.slide, *desk.view())
    _paint(desk)
    assert desk.engine.calls == 0


@pytest.mark.parametrize("kind", OCCLUSIONS)
def test_every_kind_covers_and_equal_ones_run_once(desk: Desk, kind: str) -> None:
    desk.values |= {desk.hide.colour: "#db2777", desk.hide.opacity: 0.8}
    _put(desk, kind)
    _put(desk, kind)
    assert desk.engine.calls == 3
    (covered,) = desk.session.coverage.covered
    assert covered.kind == kind
    assert f'data-kind="{kind}" aria-pressed="true"' in desk.values[desk.hide.palette]
    assert "fer-slider" in desk.values[desk.hide.pair]
    assert "average face" not in desk.outcome


def test_without_landmarks_the_crop_is_covered_and_that_is_said(desk: Desk) -> None:
    desk.example(PAIR)
    desk.follow()
    assert "average face" in desk.outcome
    assert "The face, covered" in desk.values[desk.hide.pair]


def test_another_face_shows_its_own_cover_and_easel(desk: Desk) -> None:
    desk.example(PAIR)
    desk.follow()
    calls, first, easel = desk.engine.calls, desk.values[desk.hide.pair], desk.values[desk.hide.easel]
    desk.choose(0)
    desk.follow()
    assert desk.engine.calls == calls
    assert "Face 1 of 2" in desk.outcome
    assert desk.values[desk.hide.pair] != first
    assert desk.values[desk.hide.easel] != easel


def test_what_is_painted_lands_where_the_easel_shows_it(desk: Desk) -> None:
    desk.example(PAIR)
    desk.follow()
    desk.cover.turn(REQUEST, WHOLE)
    desk.choose(0)
    desk.follow()
    assert desk.values[desk.hide.where] == FACE  # the radio turns with the easel
    _paint(desk)
    answer = desk.session.answer
    assert answer.picture is not None
    painted = decode_image(b64decode(desk.session.coverage.photo_uri.partition(",")[2])).astype(int)
    factor = painted.shape[1] / answer.picture.size_wh[0]
    left, top, right, bottom = (round(factor * edge) for edge in window_of(answer, 0))
    changed = np.abs(painted - decode_image(b64decode(answer.picture.uri.partition(",")[2]))).max(axis=2) > 60
    assert changed[top:bottom, left:right].mean() > 0.1
    changed[max(top - 16, 0) : bottom + 16, max(left - 16, 0) : right + 16] = False  # JPEG blocks
    assert not changed.any()


def test_another_picture_is_covered_by_the_same_and_leaves_nothing_of_the_old(desk: Desk) -> None:
    _put(desk, "scarf")
    desk.run(desk.cover.slide, *desk.view())
    assert desk.values[desk.hide.slid].count("<article") == 3
    desk.example(PAIR)
    desk.follow()
    assert [covered.kind for covered in desk.session.coverage.covered] == ["scarf", "scarf"]
    assert desk.values[desk.hide.slid] == ""


def test_a_colour_that_is_chosen_while_a_cover_is_read_is_that_covers(desk: Desk) -> None:
    desk.follow()
    steps = desk.steps(desk.cover.cover, click(kind="scarf"), *desk.how(), *desk.view())
    next(steps)
    desk.run(desk.cover.recolour, "#db2777", 1.0, *desk.view())
    list(steps)
    assert desk.session.coverage.covered[0].kind == "scarf"
    assert desk.session.wanted == cover_of("scarf", "#db2777", 1.0)


def test_a_picture_that_comes_while_another_is_decoded_is_not_covered_by_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.session.tab = "occlude"
    decode = type(desk.runs).decode

    def slow(runs: object, *words: object, **more: object) -> object:
        image = decode(runs, *words, **more)  # type: ignore[arg-type]
        if more:
            desk.run(desk.do.example, click(index=PAIR, stamp=9), *desk.view())
        return image

    monkeypatch.setattr(type(desk.runs), "decode", slow)
    _put(desk, "scarf")
    _paint(desk)
    assert desk.session.coverage.covered == ()
    assert desk.session.answer.options is None


def test_while_another_picture_is_read_nothing_of_the_old_is_shown(desk: Desk) -> None:
    desk.follow()
    desk.run(desk.lab.mix, 0, "cutmix")
    assert desk.values[desk.hide.covered]
    for tab in ("compare", "occlude", "lab"):
        desk.run(desk.do.example, click(index=PAIR, stamp=1), *desk.view())
        desk.session.tab = tab
        desk.run(desk.cover.follow, *desk.how(), *desk.view())
        desk.run(desk.lab.follow, 0, "cutmix")
        assert desk.values[desk.hide.covered] == ""
        assert "Your face" not in desk.values[desk.bench.shown]


def test_a_slid_patch_is_shown_for_its_own_face_and_models_alone(desk: Desk) -> None:
    desk.example(PAIR)
    desk.choose(0)
    desk.run(desk.cover.slide, *desk.view())
    assert desk.values[desk.hide.slid].count("<article") == 3
    desk.choose(1)
    desk.follow()
    assert desk.values[desk.hide.slid] == ""
    desk.choose(0)
    desk.follow()
    assert desk.values[desk.hide.slid].count("<article") == 3
    desk.set(desk.sidebar.options, backbones=[TOY_SPECS[0].name])
    desk.read()
    desk.follow()
    assert desk.values[desk.hide.slid] == ""
    assert UNFORESEEN not in desk.outcome


def test_a_newer_slide_ends_the_older_one(desk: Desk) -> None:
    desk.example(PAIR)
    desk.choose(0)
    old = desk.steps(desk.cover.slide, *desk.view())
    next(old)
    desk.choose(1)
    desk.run(desk.cover.slide, *desk.view())
    assert list(old) == []
    assert desk.values[desk.hide.slid].count("<article") == 3


def test_what_was_painted_is_read_and_stays(desk: Desk) -> None:
    desk.follow()
    _paint(desk)
    (covered,) = desk.session.coverage.covered
    assert covered.kind == PAINTED
    assert covered.after.face is desk.session.answer.faces[0]
    crops = [side.readings[0].crop.image_rgb.astype(int) for side in (covered.before, covered.after)]
    assert (np.abs(crops[0] - crops[1]).max(axis=2) > 8).mean() > 0.2
    assert 'aria-pressed="true"' not in desk.values[desk.hide.palette]
    desk.follow()  # the tab is left and opened again
    desk.run(desk.cover.recolour, "#db2777", 1.0, *desk.view())
    assert desk.session.coverage.covered[0] is covered


@pytest.mark.parametrize(
    ("strokes", "sentence"),
    [
        (strokes_uri((9, 9), NOWHERE, DARK), NOTHING_PAINTED),
        ("nonsense", "did not arrive"),
        (3, "did not arrive"),
        ("file:///etc/passwd", "did not arrive"),
        ("data:image/png;base64,AAAA", "picture"),
        ("data:image/png;base64,***", "base64"),
        (data_url(cv2.imencode(".png", np.zeros((1, 30_001), np.uint8))[1].tobytes()), "too long"),
        (strokes_uri((1, SHEET + 1), NOWHERE, DARK), "too large"),
        (
            data_url(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes() + bytes(2_000_000)),
            "too large",
        ),
    ],
    ids=[
        "nothing",
        "nonsense",
        "number",
        "server file",
        "no picture",
        "no base64",
        "too long",
        "large",
        "heavy",
    ],
)
def test_strokes_that_cannot_be_used_are_a_sentence_and_results_stay(
    desk: Desk, strokes: object, sentence: str
) -> None:
    desk.follow()
    _paint(desk, strokes)
    assert sentence in desk.outcome
    assert UNFORESEEN not in desk.outcome
    assert desk.values[desk.hide.covered].count("<article") == 3
    desk.follow()
    assert 'role="alert"' not in desk.outcome


def test_strokes_lie_in_their_window_only() -> None:
    image = np.full((40, 60, 3), 200, np.uint8)
    strokes = np.zeros((8, 8, 4), np.uint8)
    strokes[:, :4] = (10, 20, 30, 255)
    lay_over(image, strokes, (20, 10, 36, 26))
    assert image[12, 21].tolist() == [10, 20, 30]
    image[10:26, 20:30] = 200
    assert (image == 200).all()


def test_what_is_decoded_for_the_tab_waits_for_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Painting and covering count the copies that they make, and give all of it back."""
    asked, room = [], desk.runs.room
    enter, free = room.enter, room._free
    monkeypatch.setattr(
        room, "enter", lambda who, weight, timeout: asked.append(weight) or enter(who, weight, timeout)
    )
    desk.follow()
    _paint(desk)
    assert asked == [9 * MAX_PIXELS] * 2
    _put(desk, "upper")  # cuts the crops and draws on no photo
    assert asked[2:] == [3 * MAX_PIXELS]
    gc.collect()
    assert room._free == free


def test_the_window_holds_the_face_and_stays_in_the_picture(desk: Desk) -> None:
    answer = desk.session.answer
    assert answer.picture is not None
    width, height = answer.picture.size_wh
    left, top, right, bottom = window_of(answer, 0)
    box = answer.faces[0].box_xyxy
    assert 0 <= left <= box[0] < box[2] <= right <= width
    assert 0 <= top <= box[1] < box[3] <= bottom <= height
    assert window_of(answer, 0, whole=True) == (0, 0, width, height)


def test_the_easel_turns_between_face_and_photo(desk: Desk) -> None:
    assert desk.cover.turn(REQUEST, FACE) != desk.cover.turn(REQUEST, WHOLE)


def test_forged_covers_change_nothing(desk: Desk) -> None:
    for kind in (None, 3, "a wall", ["scarf"]):
        _put(desk, kind)
    assert desk.engine.calls == 0
    assert cover_of("scarf", "no colour", 1.0).colour is None


@pytest.mark.parametrize(
    ("kinds", "shown"),
    [((), 0), ((None,), 0), ((None, "surgical"), 1), (("surgical",), 0)],
    ids=["nothing", "free only", "both", "covered only"],
)
def test_robustness_shows_what_was_measured(kinds: tuple[str | None, ...], shown: int) -> None:
    card = ToyEngine(["toy_lite"]).card("toy_lite")
    card = card.model_copy(update={"measurements": tuple(map(toy_measurement, kinds))})
    assert len(robustness_rows({"toy_lite": card})) == shown
