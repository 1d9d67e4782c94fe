"""Whose turn it is: engines that search at once share the machine by what they make of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

BOOST = 2.0
"""An engine that lately found the best counts for so much more than its share."""
_FADES_AFTER = 8


@dataclass(slots=True)
class _Account:
    share: float
    seconds: float = 0.0
    trials_since_best: int = _FADES_AFTER


class FairTurns:
    """At most ``at_once`` trials at a time; of those who wait, the one goes on that had the least for its share.

    A share counts twice as long as the engine found the best of all within its last eight trials. No engine can be
    kept waiting for ever: what others use is held against them. May be used by many threads.
    """

    def __init__(self, shares: Mapping[str, float], *, at_once: int) -> None:
        self._accounts = {engine: _Account(share=share) for engine, share in shares.items()}
        self._free = at_once
        self._waiting: list[str] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, engine: str) -> Iterator[None]:
        """Waits until the engine may try; its seconds are charged when the block ends."""
        with self._changed:
            self._waiting.append(engine)
            self._changed.wait_for(lambda: self._free > 0 and self._next() == engine)
            self._waiting.remove(engine)
            self._free -= 1
            self._changed.notify_all()
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._changed:
                account = self._accounts[engine]
                account.seconds += time.perf_counter() - began
                account.trials_since_best += 1
                self._free += 1
                self._changed.notify_all()

    def found_best(self, engine: str) -> None:
        """The engine's trial under way is the best of all so far. An engine that takes no turns here is passed over."""
        with self._changed:
            if engine in self._accounts:
                self._accounts[engine].trials_since_best = -1

    def seconds(self) -> dict[str, float]:
        """What each engine's trials took so far."""
        with self._changed:
            return {engine: account.seconds for engine, account in self._accounts.items()}

    def _next(self) -> str:
        return min(self._waiting, key=lambda engine: self._used(self._accounts[engine]))

    def _used(self, account: _Account) -> float:
        boosted = BOOST if account.trials_since_best < _FADES_AFTER else 1.0
        return account.seconds / (account.share * boosted)
