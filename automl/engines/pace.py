"""How long models that were trained before will take now: as long as they were told to, times what the others took."""

from __future__ import annotations

import threading


class Pace:
    """Learnt from trial to trial. May be used by many threads.

    Rows, machine and what else runs on it are others than they were, so only the proportions of what was told hold.

    >>> pace = Pace()
    >>> pace.expected(3.0)
    0.0
    >>> pace.learn(told=1.0, took=0.5); pace.learn(told=0.0, took=0.7)
    >>> pace.expected(3.0), pace.expected(0.0)
    (1.5, 0.6)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[float] = []
        self._told = self._took = 0.0

    def learn(self, *, told: float, took: float) -> None:
        """What one was told to take, in seconds (0 where nobody told), and what it took."""
        with self._lock:
            self._all.append(took)
            if told > 0:
                self._told += told
                self._took += took

    def expected(self, told: float) -> float:
        """Seconds; as many as the others took in the mean where nobody ``told``, and none as long as nothing is known."""
        with self._lock:
            if told > 0:
                return told * self._took / self._told if self._told else 0.0
            return sum(self._all) / len(self._all) if self._all else 0.0
