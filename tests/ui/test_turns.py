"""Who is next: nobody starves behind one visitor, and large pictures wait for room."""

import gc
import time
from collections.abc import Iterator
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.errors import ImageError
from fer_space.ui import reading
from fer_space.ui import turns as turns_module
from fer_space.ui.reading import Runs
from fer_space.ui.turns import Turns, Who
from fer_space.vision.imaging import encode_png
from tests.ui.desk import Desk


class Crowd:
    """Pieces of work in threads of their own that take turn after turn and write down who had one."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.log = turns, []
        self.threads: list[Thread] = []

    def add(self, who: Who, steps: int) -> None:
        def work() -> None:
            for _ in range(steps):
                with self.turns.turn(who):
                    self.log.append(who)

        self.threads.append(Thread(target=work))

    def run(self) -> list[Who]:
        """Start all while the models are busy, so that all wait when the first turn is given."""
        with self.turns.turn():
            for thread in self.threads:
                thread.start()
            deadline = time.monotonic() + 10
            while self.turns.line <= len(self.threads) and time.monotonic() < deadline:
                time.sleep(0.001)
        for thread in self.threads:
            thread.join(timeout=20)
        return self.log


def test_one_visitor_with_twenty_requests_does_not_starve_another() -> None:
    crowd = Crowd(Turns())
    for job in range(20):
        crowd.add(Who("8.8.8.8", f"page {job}", job), 9)
    crowd.add(Who("9.9.9.9", "a page", 100), 9)
    log = crowd.run()
    last = max(place for place, who in enumerate(log) if who.address == "9.9.9.9")
    assert len(log) == 189
    assert last <= 2 * 9 + 2  # of two visitors each has every second turn, whatever else waits


def test_pages_behind_one_proxy_share_alike() -> None:
    crowd = Crowd(Turns())
    for job in range(20):
        crowd.add(Who("10.0.0.1", "greedy", job), 9)
    crowd.add(Who("10.0.0.1", "modest", 100), 9)
    log = crowd.run()
    assert max(place for place, who in enumerate(log) if who.page == "modest") <= 20


def test_one_visitors_older_work_is_finished_first() -> None:
    """Else all of it would end at the same late moment, and hold its places in the queue until then."""
    crowd = Crowd(Turns())
    for job in range(8):
        crowd.add(Who("8.8.8.8", "page", job), 9)
    log = crowd.run()
    ends = [max(place for place, who in enumerate(log) if who.job == job) for job in range(8)]
    assert ends[0] <= 9 + 8  # a thread may come back late for its next turn
    assert ends == sorted(ends)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 3)), max_size=12))
def test_whoever_waits_comes_soon_though_all_others_come_back(line: list[tuple[str, str, int]]) -> None:
    turns, number = Turns(), len(line)
    for place, (address, page, job) in enumerate(line):
        turns._line.append((place, Who(address, page, job)))
    newcomer = Who("newcomer", "page", 0)
    turns._line.append((number, newcomer))
    for _ in range(len({address for address, _, _ in line}) + 1):
        chosen = turns._next()
        turns._line.remove(chosen)
        turns._serve(chosen[1])
        if chosen[1] == newcomer:
            return
        number += 1
        turns._line.append((number, chosen[1]))
    raise AssertionError("the newcomer has waited longer than for one turn of each other")


def test_what_is_remembered_of_visitors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "REMEMBERED", 10)
    turns = Turns()
    for number in range(100):
        with turns.turn(Who(str(number))):
            assert turns.line == 1
    assert len(turns._served) <= 12
    assert turns.line == 0


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.setattr(reading, "MAX_PIXELS", 1000)
    monkeypatch.setattr(reading, "_UNUSED_S", 0.05)
    runs = Desk().runs
    object.__setattr__(runs, "room", Turns(6000))
    yield runs.of(Who("8.8.8.8"))
    gc.collect()
    assert runs.room._free == 6000


def picture(pixels: int) -> bytes:
    return encode_png(np.zeros((1, pixels, 3), np.uint8))


def test_pictures_wait_for_room_and_give_it_back(runs: Runs) -> None:
    first, second = runs.decode(picture(1000)), runs.decode(picture(900))
    done = Event()

    def third() -> None:
        runs.decode(picture(10))
        done.set()

    waiting = Thread(target=third)
    waiting.start()
    assert not done.wait(0.3)
    view = first[:, :2]  # a part of it is enough to keep it
    del first
    assert not done.wait(0.3)
    del view
    assert done.wait(10)
    waiting.join()
    assert second.size == 2700


def test_a_small_picture_takes_little_room(runs: Runs) -> None:
    kept = [runs.decode(picture(10)) for _ in range(50)]
    assert runs.room._free == 6000 - 50 * 30
    assert len(kept) == 50


def test_what_is_made_of_a_picture_has_room_meanwhile(runs: Runs) -> None:
    seen = []
    kept = runs.decode(picture(10), lambda image: seen.append((image.shape, runs.room._free)), beside=1)
    assert seen == [((1, 10, 3), 0)]
    assert runs.room._free == 6000 - kept.nbytes
    del kept

    def fail(image: np.ndarray) -> None:
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        runs.decode(picture(10), fail, beside=1)
    assert runs.room._free == 6000


def test_a_damaged_picture_takes_none(runs: Runs) -> None:
    with pytest.raises(ImageError):
        runs.decode(b"no picture")
    assert runs.room._free == 6000


def test_a_picture_in_a_forgotten_cycle_is_found(runs: Runs) -> None:
    def forget() -> None:
        knot: dict[str, Any] = {"image": runs.decode(picture(1000))}
        knot["knot"] = knot

    gc.disable()
    try:
        for _ in range(5):
            forget()
    finally:
        gc.enable()


def test_who_asks() -> None:
    request = SimpleNamespace(client=SimpleNamespace(host="8.8.8.8"), session_hash="page")
    assert Who.of(request) == Who("8.8.8.8", "page")
    assert Who.of(SimpleNamespace()) == Who()
