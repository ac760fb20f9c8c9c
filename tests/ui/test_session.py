"""What a page remembers: the newest click wins, work that nobody waits for stops, memory has a bound."""

import gc
import time
from threading import Thread
from types import SimpleNamespace
from weakref import ref

import pytest

from fer_space.ui.reading import FACES, SLICE, read_picture, read_rest
from fer_space.ui.session import FORGOTTEN, UNUSED_S, Answer, Options, Picture, Session, Sessions
from fer_space.ui.sidebar import status_view
from fer_space.ui.turns import Turns
from tests.ui.conftest import EXAMPLES, panorama
from tests.ui.desk import TWO, Desk

PORTRAIT = (EXAMPLES / "astronaut.jpg").read_bytes()


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def _session(data: bytes = PORTRAIT) -> Session:
    return Session(Answer(Picture.open(data)))


def _page(name: str) -> SimpleNamespace:
    return SimpleNamespace(session_hash=name)


def test_a_reading_shows_each_model_as_it_comes(desk: Desk) -> None:
    answers = list(read_picture(desk.runs, _session(), Options(tuple(TWO))))
    assert [answer.stage for answer in answers] == [
        "Looking for faces…",
        "Reading the face: 0 of 2 models",
        "Reading the face: 1 of 2 models",
        "",
    ]
    assert [sum(len(c.readings) for c in answer.read) for answer in answers] == [0, 0, 1, 2]
    assert answers[-1].done


def test_equal_values_never_run_again(desk: Desk) -> None:
    session, options = _session(), Options(tuple(TWO))
    list(read_picture(desk.runs, session, options))
    calls = desk.engine.calls
    assert list(read_picture(desk.runs, session, options)) == []
    assert desk.engine.calls == calls
    assert list(read_picture(desk.runs, session, Options(tuple(TWO), boost_rare=False)))


@pytest.mark.parametrize("newer", ["another picture", "cleared", "other models"])
def test_newer_work_ends_older_work_between_two_models(desk: Desk, newer: str) -> None:
    session = _session()
    work = read_picture(desk.runs, session, Options(tuple(TWO)))
    next(answer for answer in work if answer.read)
    if newer == "other models":
        latest = list(read_picture(desk.runs, session, Options((TWO[1],))))[-1]
    else:
        latest = Answer(Picture.open(PORTRAIT) if newer == "another picture" else None)
        session.begin(latest)
    calls = desk.engine.calls
    assert list(work) == []
    assert desk.engine.calls <= calls + 1
    assert session.answer is latest


def test_a_reading_that_was_broken_off_can_be_asked_for_again(desk: Desk) -> None:
    session = _session()
    work = read_picture(desk.runs, session, Options(tuple(TWO)))
    next(work)
    work.close()
    assert list(read_picture(desk.runs, session, Options(tuple(TWO))))[-1].done


def test_the_newest_click_wins_in_whatever_order_clicks_arrive() -> None:
    session, first, second = _session(), Answer(), Answer()
    assert session.begin(second, stamp=2)
    assert not session.begin(first, stamp=1)
    assert session.answer is second


def test_the_largest_faces_are_read_and_the_rest_after_a_click(desk: Desk) -> None:
    session = _session(panorama())
    found = list(read_picture(desk.runs, session, Options((TWO[0],))))[-1]
    assert (len(found.faces), len(found.rest)) == (FACES, 40 - FACES)
    lefts = [face.box_xyxy[0] for face in found.faces]
    assert lefts == sorted(lefts)
    largest = max(found.faces, key=lambda face: face.box_xyxy[2] - face.box_xyxy[0])
    assert found.faces[session.selected] is largest
    calls = desk.engine.calls
    everybody = list(read_rest(desk.runs, session))[-1]
    assert len(everybody.read) == 40
    assert desk.engine.calls == calls + (40 - FACES) // SLICE
    assert everybody.faces[session.selected] is largest
    assert list(read_rest(desk.runs, session)) == []


def test_a_face_that_is_chosen_while_the_rest_is_read_stays(desk: Desk) -> None:
    session = _session(panorama())
    list(read_picture(desk.runs, session, Options(tuple(TWO))))
    steps = read_rest(desk.runs, session)
    next(steps)
    session.select(3)
    list(steps)
    assert session.selected == 3


def test_work_takes_turns_in_the_order_of_asking() -> None:
    turns, order = Turns(), []

    def work(name: str) -> None:
        with turns.turn():
            order.append(name)

    with turns.turn():
        threads = []
        for name in "abc":
            threads.append(Thread(target=work, args=(name,)))
            threads[-1].start()
            while turns.line < len(threads) + 1:
                pass
    for thread in threads:
        thread.join()
    assert order == ["a", "b", "c"]
    assert turns.line == 0


def test_memory_has_a_bound_and_a_forgotten_page_is_told() -> None:
    own = Answer(Picture.open(PORTRAIT))
    sessions = Sessions(Answer(), limit=own.size + 1)
    first, second = sessions.of(_page("first")), sessions.of(_page("second"))
    first.begin(own)
    second.begin(Answer(Picture.open(PORTRAIT)))
    sessions.of(_page("second"))
    assert first.answer.problem == FORGOTTEN
    assert second.answer.picture is not None


def test_pages_without_a_picture_of_their_own_cost_nothing() -> None:
    opening = Answer(Picture.open(PORTRAIT))
    sessions = Sessions(opening, limit=0)
    for number in range(200):
        sessions.of(_page(str(number)))
    assert sessions.of(_page("0")).answer is opening


def test_a_closed_page_is_forgotten_and_its_work_stops(desk: Desk) -> None:
    sessions = Sessions(Answer())
    session = sessions.of(_page("closed"))
    session.begin(Answer(Picture.open(PORTRAIT)))
    work = read_picture(desk.runs, session, Options(tuple(TWO)))
    next(work)
    sessions.close(_page("closed"))
    assert list(work) == []
    assert len(sessions) == 0


def test_a_page_whose_connection_broke_is_told_and_shows_nobody_elses_picture() -> None:
    sessions = Sessions(Answer(Picture.open(PORTRAIT)))
    sessions.of(_page("broken"))
    sessions.close(_page("broken"))
    assert sessions.of(_page("broken")).answer.picture is None
    assert sessions.of(_page("broken")).answer.problem == FORGOTTEN
    assert sessions.of(_page("new")).answer.problem == ""
    assert "data-forgotten" in status_view(sessions.of(_page("broken")))  # asks the browser for its picture
    assert "data-forgotten" not in status_view(sessions.of(_page("new")))


def test_a_picture_is_forgotten_after_hours_without_use(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, now = Sessions(Answer()), time.monotonic()
    old, young = sessions.of(_page("old")), sessions.of(_page("young"))
    for session in (old, young):
        session.begin(Answer(Picture.open(PORTRAIT)))
    old.used -= UNUSED_S
    monkeypatch.setattr(time, "monotonic", lambda: now + 60.0)
    sessions.of(_page("somebody"))
    assert (old.answer.problem, young.answer.problem) == (FORGOTTEN, "")


def test_nothing_of_a_picture_is_kept_when_another_begins() -> None:
    session = _session()
    session.painting = (session.answer, 0)
    gone = ref(session.answer)
    session.begin(Answer())
    gc.collect()
    assert gone() is None
