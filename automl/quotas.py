"""How many rows each class may send, so that what is added has the classes' true shares."""

from __future__ import annotations

import numpy as np

from automl.tallies import Positions, Values


def places(offered: Positions, prior: Values, *, limit: int, slack: float) -> Positions:
    """The most rows that may be taken of each class, of those ``offered`` (K,).

    With N rows taken in all, no class takes more than ``(1 + slack) * prior * N`` of them (rounded down),
    and N is the largest number, up to ``limit``, for which that can be done. So a class that has few to
    offer holds the others back, and one with more than ``slack`` of the prior that offers none stops all.
    ``prior`` sums to one. A class with prior 0 takes nothing.
    """
    if offered.min(initial=0) < 0 or limit < 0 or slack < 0:
        raise ValueError("rows offered, limit and slack must be zero or more")

    def capped(total: int) -> Positions:
        # the small addition keeps 0.3 * 10 from being 2
        return np.minimum(offered, np.floor(prior * (1 + slack) * total + 1e-9)).astype(np.intp)

    for total in _candidates(offered, prior, limit, slack):
        most = capped(total)
        if most.sum() >= total:
            return _trimmed(most, prior, total)
    return np.zeros_like(offered)


def _candidates(offered: Positions, prior: Values, limit: int, slack: float) -> range:
    """Totals from the largest that could hold, downwards.

    Without rounding, what the classes may send in all is concave in the total and starts at zero, so the totals
    that hold end at one number; rounding takes less than one row of each class from that.
    """
    low, high = 0, int(min(limit, offered.sum()))
    while low < high:
        middle = (low + high + 1) // 2
        if float(np.minimum(offered, prior * (1 + slack) * middle).sum()) + 1e-9 >= middle:
            low = middle
        else:
            high = middle - 1
    return range(low, 0, -1)


def _trimmed(most: Positions, prior: Values, total: int) -> Positions:
    """Taken back to ``total`` rows, each time from the class furthest above its prior."""
    taken = most.copy()
    for _ in range(int(taken.sum()) - total):
        above = np.where(taken > 0, taken - prior * total, -np.inf)
        taken[int(above.argmax())] -= 1
    return taken
