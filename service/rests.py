"""How work in the background goes beside an event loop: a little at a time, so that calls hardly wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WORK_SECONDS = 0.0005
REST = 4.0
LONGEST_PIECE = 0.02
LONGEST_PAUSE = 0.1
MOST_OWED = 0.5


class _Own(threading.local):
    """Up to how much processor time this thread has rested; None in one that does not work beside the loop. ``waits``
    is False where it only puts its work on the account."""

    rested: float | None = None
    waits: bool = True


class Rests:
    """One for all threads of a process that work beside its event loop: together they compute for a fifth of the time.

    While a thread computes, an event loop waits for the interpreter at each read and write, and gets it every other
    time: with two such threads every third time, and calls queue up. So a thread that has begun (:meth:`begin`) calls
    :meth:`rest` often: after half a millisecond of processor time it rests four times as long, and longer when
    others work as well. In a thread that has not begun, and so for whoever answers a call, :meth:`rest` does nothing.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        processor: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._processor = processor
        self._sleep = sleep
        self._own = _Own()
        self._turn = threading.Lock()
        self._taken = 0.0
        """Until when the loop has been promised its share for what was worked so far."""

    def begin(self, *, waits: bool = True) -> None:
        """This thread works beside the loop from here on. Where it may not wait, since others wait for it, its work counts
        and the others rest for it."""
        self._own.waits = waits
        if self._own.rested is None:
            self._own.rested = self._processor()

    def rest(self) -> None:
        rested = self._own.rested
        if rested is None:
            return
        piece = min(self._processor() - rested, LONGEST_PIECE)
        if piece < WORK_SECONDS:
            return
        owed = self._charge(piece)
        if self._own.waits:
            self._sleep(min(owed, LONGEST_PAUSE))
        self._own.rested = self._processor()

    def _charge(self, piece: float) -> float:
        """Puts a piece of work on the account; how long from now the loop is owed its share."""
        with self._turn:
            now = self._clock()
            taken = max(self._taken, now - piece) + piece * (1.0 + REST)
            # Nobody rests longer than a pause, so what many work at once could pile up for minutes.
            self._taken = min(taken, now + MOST_OWED)
            return self._taken - now


BESIDE = Rests()
"""This process's."""


class Pauses:
    """To be called between the pieces of a longer work: a pause after each, ``factor`` times as long as the piece.

    Work on one processor slows what runs on its sibling. At once, a second's worth makes callers queue up behind it;
    spread over the second, they hardly notice. ``worked`` is how many seconds the pieces took in all.
    """

    def __init__(self, factor: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.worked = 0.0
        self._factor = factor
        self._sleep = sleep
        self._since = time.perf_counter()

    def __call__(self) -> None:
        piece = time.perf_counter() - self._since
        self.worked += piece
        if self._factor > 0:
            self._sleep(min(piece * self._factor, LONGEST_PAUSE))
        self._since = time.perf_counter()
