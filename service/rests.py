"""How work in the background goes beside an event loop: a little at a time, so that calls hardly wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable

WORK_SECONDS = 0.0005
REST_SECONDS = 0.002
LONGEST_PAUSE = 0.1


class Rests:
    """To be called often within long work of one thread: after half a millisecond of it, it rests for two.

    While a thread computes, an event loop waits for the interpreter at each read and write, which makes calls
    several times as slow; so it computes for a fifth of the time. A process that serves nobody yet need not rest.
    """

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def __call__(self) -> None:
        if time.perf_counter() - self._since >= WORK_SECONDS:
            time.sleep(REST_SECONDS)
            self._since = time.perf_counter()


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
