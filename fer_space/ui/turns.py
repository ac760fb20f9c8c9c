"""Whose work something is, and who is next: nobody waits behind one visitor alone."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Condition
from typing import Any

REMEMBERED = 10_000  # addresses and pages of which it is known when they had their last turn


@dataclass(frozen=True, order=True)
class Who:
    """Whose work something is.

    Attributes:
        address: of the visitor, or of a proxy before many of them.
        page: name of the visitor's page.
        job: number of the piece of work; an older one is finished first.
    """

    address: str = ""
    page: str = ""
    job: int = 0

    @classmethod
    def of(cls, request: Any) -> "Who":
        """Read it from a request of Gradio's."""
        client = getattr(request, "client", None)
        return cls(str(getattr(client, "host", "")), str(getattr(request, "session_hash", None) or ""))


NOBODY = Who()


class Turns:
    """Lets pieces of work have their share of something, each for a step at a time.

    A photo of one face waits for one step of somebody else's group photo, not for all of it; and however much
    one visitor asks for, another one's next step comes after one of theirs: of all who wait, the address that
    was served longest ago is next, of its pages the same, and of a page's pieces of work the oldest.

    Args:
        capacity: how much there is; by default one at a time runs models.
    """

    def __init__(self, capacity: int = 1) -> None:
        self._free = capacity
        self._changed = Condition()
        self._line: deque[tuple[int, Who]] = deque()  # who waits, with the number of the waiting
        self._running = 0
        self._numbers = count(1)
        self._served: dict[tuple[str, ...], int] = {}  # by address, and by address and page: when last

    @property
    def line(self) -> int:
        """How many wait or run."""
        return len(self._line) + self._running

    @contextmanager
    def turn(self, who: Who = NOBODY) -> Iterator[None]:
        """Wait until it is one's turn, and keep the others waiting as long as this lasts."""
        self.enter(who)
        try:
            yield
        finally:
            self.leave()

    def enter(self, who: Who = NOBODY, weight: int = 1, timeout: float | None = None) -> bool:
        """Wait until it is one's turn and so much is free; returns False where that takes too long."""
        with self._changed:
            me = (next(self._numbers), who)
            self._line.append(me)
            came = self._changed.wait_for(lambda: self._free >= weight and self._next() == me, timeout)
            self._line.remove(me)
            if came:
                self._free -= weight
                self._running += 1
                self._serve(who)
            self._changed.notify_all()
            return came

    def leave(self, weight: int = 1, *, ended: bool = True) -> None:
        """Give back so much; `ended` is False where a rest is kept."""
        with self._changed:
            self._free += weight
            self._running -= ended
            self._changed.notify_all()

    def _next(self) -> tuple[int, Who]:
        def rank(waiting: tuple[int, Who]) -> tuple[int, int, int, int]:
            number, who = waiting
            address, page = self._served.get((who.address,), 0), self._served.get((who.address, who.page), 0)
            return address, page, who.job, number

        return min(self._line, key=rank)

    def _serve(self, who: Who) -> None:
        if len(self._served) > REMEMBERED:
            self._served.clear()
        self._served[(who.address,)] = self._served[(who.address, who.page)] = next(self._numbers)
