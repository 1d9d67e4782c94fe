"""The best blend so far, looked for again and again while trials end, so that a search that is ended early leaves it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from automl.engines.choosing import BlendRule, Chosen, Limits
from automl.engines.early_blend import early_blend, early_choice
from automl.engines.evaluation import Prepared
from automl.engines.pool import Pool
from automl.engines.protocol import Start


class Standing:
    """Of the pool's trials; each better one is offered.

    ``choice`` is the best that was found, None as long as none stands. Looking takes at most ``share`` of the time
    between two looks.
    """

    def __init__(
        self, pool: Pool, prepared: Prepared, rule: BlendRule, limits: Limits, *, starts: Sequence[Start]
    ) -> None:
        self.choice: Chosen | None = None
        self.limits = limits
        self._pool = pool
        self._prepared = prepared
        self._rule = rule
        self._starts = starts
        self._heard = 0
        self._cost = 0.0
        self._last = time.perf_counter()

    def look(self, *, share: float = 1.0) -> None:
        """Look where there is something new, and time for it."""
        began = time.perf_counter()
        if self._pool.heard == self._heard or self._cost > share * (began - self._last):
            return
        if self.limits.allowance.left < 2 * self._cost:  # it must not hold up what comes after the trials
            return
        self._heard = self._pool.heard
        kept = self._pool.best_first()
        choice = early_choice(kept, self._prepared, self._rule, self.limits, starts=self._starts)
        if choice is not None and self._pool.better(choice.score):
            found = early_blend(choice, self._prepared)
            self.choice = choice
            if self._pool.take(found):
                self._pool.passed(found.engine, found.estimator, found.score)
        self._last = time.perf_counter()
        self._cost = self._last - began
