"""A lender forks this process whenever it likes: what other threads held then must not hold the child up."""

import multiprocessing
from threading import Event, Lock, Thread

import pytest

from fer_space.engine import Engine
from fer_space.runtime.threads import turn


def _loading(engine: Engine) -> Lock:
    return engine._locks.setdefault("dan", Lock())


def _both(engine: Engine) -> None:
    with turn(), _loading(engine):
        pass


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_is_not_held_up_by_what_its_parent_was_doing() -> None:
    engine, held, done = Engine(), Event(), Event()

    def hold() -> None:
        with turn(), _loading(engine):
            held.set()
            done.wait()

    thread = Thread(target=hold)
    thread.start()
    held.wait()
    child = multiprocessing.get_context("fork").Process(target=_both, args=(engine,))
    child.start()
    child.join(20)
    stuck = child.is_alive()
    child.kill()
    done.set()
    thread.join()
    assert not stuck
    assert child.exitcode == 0
