"""Pages are made by turns and in small pieces: a thread that computes holds up the loop that answers calls, five fivefold.

The loop takes the interpreter anew for every read and write, and waits for it each time somebody computes. So one page is
made at a time, and while calls come in, whoever makes it rests twelve times as long as it works,
half a millisecond at a time: the loop has little to spare just when calls are many.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from service.yielding import CALLS, MANY_CALLS

WORK_SECONDS, PAUSE_SECONDS = 0.0005, 0.006
_LOOK_SECONDS = 0.25


class _Load:
    """Whether calls come in, by how many were answered since the last look."""

    def __init__(self) -> None:
        self._at, self._count, self._busy = time.monotonic(), CALLS.count, False

    def is_heavy(self) -> bool:
        now = time.monotonic()
        seconds = now - self._at
        if seconds >= _LOOK_SECONDS:
            count = CALLS.count
            self._busy = count - self._count > MANY_CALLS * seconds
            self._at, self._count = now, count
        return self._busy


class _Worker(threading.local):
    """Since when this thread has computed in its turn; None outside of one."""

    since: float | None = None


_load = _Load()
_worker = _Worker()
_one = threading.RLock()


@contextmanager
def turn() -> Iterator[None]:
    """Around what a page computes: gathering its facts, filling its template; never around the reading of a table.
    May be taken again within."""
    with _one:
        outer = _worker.since
        _worker.since = outer or time.monotonic()
        try:
            yield
        finally:
            _worker.since = outer


def breathe() -> None:
    """To be called between small pieces of work: pauses when this thread has worked long enough in its turn and calls
    come in. Elsewhere it costs nothing."""
    since = _worker.since
    if since is None or time.monotonic() - since < WORK_SECONDS:
        return
    if _load.is_heavy():
        time.sleep(PAUSE_SECONDS)
    _worker.since = time.monotonic()


def in_pieces(parts: Iterable[str]) -> Iterator[str]:
    """The same parts, with breaths between them."""
    for part in parts:
        breathe()
        yield part
