"""How a background thread works beside an event loop: a little at a time, so that calls hardly wait for it."""

from __future__ import annotations

import time

WORK_SECONDS = 0.0005
REST_SECONDS = 0.002


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
