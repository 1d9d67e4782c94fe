"""Has the mean of a stream changed? A window that grows while it has not, and forgets when it has.

ADWIN2 of Bifet & Gavaldà (2007, Learning from time-changing data with adaptive windowing, SDM): the window is
kept as buckets of 1, 2, 4, … values, some five of each, so that n values take about 5·log2(n/5) of them. At
each look it is cut wherever two buckets meet; where the means of the parts differ by more than

    sqrt(2·m·v·d) + 2/3·m·d,   m = 1/(n0 - 4) + 1/(n1 - 4),   d = log(2·log(n)/delta)

(v the variance of the window), the oldest bucket goes, until no cut is left. Cuts, buckets and looks are those of
river 0.26 (``river.drift.ADWIN``), with which tests/unit/automl/test_adwin.py compares it. Written here
because river has no state that can be kept but a pickle, and its import takes two seconds and 80 MB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_METHOD = "adwin2 1"
"""Named in the stored state: a window that was kept in another way can't be continued."""
_BUCKETS = 5
_LEAST = 5
_GRACE = 10
_LOOK_EVERY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The mean went from ``before`` to ``after``. ``at`` is the number of values seen, ``after`` is over the
    newest ``rows`` of them."""

    at: int
    before: float
    after: float
    rows: int

    @property
    def rose(self) -> bool:
        return self.after > self.before


@dataclass(slots=True, kw_only=True)
class Adwin:
    """The window. :meth:`add` changes it; :meth:`to_json` and :meth:`from_json` keep it, exactly.

    Values lie in [0, 1]; ``delta`` bounds the chance that a look without change takes a cut for one. Raises
    ValueError for a delta outside (0, 1) and for values outside [0, 1].

    >>> window = Adwin(delta=0.002)
    >>> [change.rose for change in window.add([0.1] * 500 + [0.9] * 500)]
    [True]
    >>> window.mean > 0.85
    True
    """

    delta: float
    seen: int = 0
    width: int = 0
    total: float = 0.0
    spread: float = 0.0
    """The sum of squared deviations from the mean."""
    levels: list[list[tuple[float, float]]] = field(default_factory=lambda: [[]])
    """Sum and spread of each bucket, oldest first; those of ``levels[i]`` hold 2**i values each."""

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ValueError(f"delta must lie between 0 and 1, not {self.delta}")

    @property
    def mean(self) -> float:
        return self.total / self.width if self.width else math.nan

    def add(self, values: Iterable[float]) -> tuple[Change, ...]:
        """Put values in, oldest first; what changed on the way."""
        changes = []
        for value in values:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"values must lie between 0 and 1, not {value}")
            self._insert(float(value))
            self.seen += 1
            if self.seen % _LOOK_EVERY == 0 and self.width > _GRACE:
                change = self._look()
                if change is not None:
                    changes.append(change)
        return tuple(changes)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": _METHOD,
            "delta": self.delta,
            "seen": self.seen,
            "width": self.width,
            "total": self.total,
            "spread": self.spread,
            "levels": [[list(bucket) for bucket in level] for level in self.levels],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Adwin:
        """Raises ValueError for the state of another method."""
        if data.get("method") != _METHOD:
            raise ValueError(f"a window of {data.get('method')!r} can't be continued by {_METHOD!r}")
        rest = {name: data[name] for name in ("delta", "seen", "width", "total", "spread")}
        levels = [[(float(total), float(spread)) for total, spread in level] for level in data["levels"]]
        return cls(levels=levels, **rest)

    def _insert(self, value: float) -> None:
        self.levels[0].append((value, 0.0))
        self.width += 1
        if self.width > 1:
            mean = self.total / (self.width - 1)
            self.spread += (self.width - 1) * (value - mean) ** 2 / self.width
        self.total += value
        for i, level in enumerate(self.levels):
            if len(level) <= _BUCKETS:
                break
            if i + 1 == len(self.levels):
                self.levels.append([])
            (one, its), (other, theirs) = level[0], level[1]
            between = (one - other) ** 2 / (2 << i)
            self.levels[i + 1].append((one + other, its + theirs + between))
            del level[:2]

    def _look(self) -> Change | None:
        first = self._cut()
        if first is None:
            return None
        cut: float | None = first
        while cut is not None:
            self._forget_oldest()
            cut = self._cut()
        return Change(at=self.seen, before=first, after=self.mean, rows=self.width)

    def _cut(self) -> float | None:
        """The mean of the older part at the first cut that is one, or None."""
        n0, n1, sum0 = 0, self.width, 0.0
        d = math.log(2 * math.log(self.width) / self.delta) if self.width > 1 else math.inf
        variance = self.spread / self.width
        for i in range(len(self.levels) - 1, -1, -1):
            for total, _ in self.levels[i]:
                n0, n1, sum0 = n0 + (1 << i), n1 - (1 << i), sum0 + total
                if n0 < _LEAST or n1 < _LEAST:
                    continue
                m = 1 / (n0 - _LEAST + 1) + 1 / (n1 - _LEAST + 1)
                reach = math.sqrt(max(2 * m * variance * d, 0.0)) + 2 / 3 * d * m
                if abs(sum0 / n0 - (self.total - sum0) / n1) > reach:
                    return sum0 / n0
        return None

    def _forget_oldest(self) -> None:
        oldest, size = self.levels[-1], 1 << (len(self.levels) - 1)
        total, spread = oldest.pop(0)
        self.width -= size
        self.total -= total
        apart = total / size - self.total / self.width
        self.spread -= spread + size * self.width * apart**2 / (size + self.width)
        if not oldest:
            self.levels.pop()
