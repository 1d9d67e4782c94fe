"""How a background thread works beside an event loop: a little at a time, so that calls hardly wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

WORK_SECONDS = 0.0005
REST_SECONDS = 0.002


class Rests:
    """To be called often within long work of one thread: after half a millisecond of it, it rests for two.

    While a thread computes, an event loop waits for the interpreter at each read and write, which makes calls
    several times as slow; so it computes for a fifth of the time. When it is ``hurried`` it does not rest.
    """

    def __init__(self, hurried: Callable[[], bool] = lambda: False) -> None:
        self._hurried = hurried
        self._since = time.perf_counter()

    def __call__(self) -> None:
        if time.perf_counter() - self._since < WORK_SECONDS:
            return
        if not self._hurried():
            time.sleep(REST_SECONDS)
        self._since = time.perf_counter()

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, resting between them as the work on them goes on."""
        for item in items:
            yield item
            self()
