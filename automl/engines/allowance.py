"""The time of a search: what the next trial may take, and what the final training may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_OVERTIME = 0.33
"""Share of the budget by which the final training may overrun; the caller ends a search at 0.5."""
_LEAST_SECONDS = 0.005


@dataclass(slots=True, kw_only=True)
class Allowance:
    """How long the next trial may take, so that the best can still be trained on all rows in the budget.

    Seconds count from when the allowance is made. ``refit_ratio`` is how much longer training on all rows
    takes than a trial's training, ``refit_seconds`` what it is expected to take for the best so far.
    """

    budget_seconds: float
    refit_ratio: float = 1.0
    refit_seconds: float = 0.0
    clock: Callable[[], float] = time.perf_counter
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def used(self) -> float:
        return self.clock() - self.started

    @property
    def left(self) -> float:
        return self.budget_seconds - self.used

    def trial_seconds(self) -> float:
        """Seconds of training for the next trial, over all folds; 0 when the search should end.

        Never more than half of the budget (a sixth once something has a score), and never so long that
        training the trial's own winner, or the best so far, on all rows would not fit in what is left. As
        long as nothing has a score the overtime may be used too: one late model is better than none.
        """
        first = not self.refit_seconds
        left = self.left + (_OVERTIME * self.budget_seconds if first else 0.0)
        seconds = min(
            left / (1.0 + self.refit_ratio),
            left - self.refit_seconds,
            self.budget_seconds / (2 if first else 6),
        )
        return seconds if seconds > max(0.02 * self.budget_seconds, _LEAST_SECONDS) else 0.0

    def refit_limit(self) -> float:
        """Seconds the final training may take: what is left, and in need a third of the budget beyond it."""
        return max(self.left + _OVERTIME * self.budget_seconds, 0.0)
