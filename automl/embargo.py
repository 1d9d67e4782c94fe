"""The gap between what is trained on and what is judged on.

Rows beside each other in time share what neither says, and the truth about a row is known only some time after it:
a model that is trained up to the very moment where judging begins knows a little of the answers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl.errors import SplitError

LONGEST_DELAY = 86_400 * 10**9
"""A day in nanoseconds: what the automatic embargo is capped to."""


def label_delay(asked_at: npt.NDArray[np.int64], told_at: npt.NDArray[np.int64]) -> int:
    """The median time (nanoseconds) from a question to its truth, of pairs; at most a day, 0 where there are none.

    >>> label_delay(np.array([0, 0, 0]), np.array([5, 7, 90]))
    7
    """
    if not asked_at.size:
        return 0
    return int(np.clip(np.median(told_at - asked_at), 0, LONGEST_DELAY))


def before_the_gap(
    train: npt.NDArray[np.intp],
    holdout: npt.NDArray[np.intp],
    order: npt.NDArray[np.int64],
    *,
    embargo: int,
    least: int,
) -> npt.NDArray[np.intp]:
    """The rows to train on that are older than the oldest to judge on by more than the embargo.

    Raises SplitError when fewer than ``least`` are left. Rows are positions in ``order``.
    """
    first = int(order[holdout].min())
    smallest = int(np.iinfo(np.int64).min)  # stands for "no time": before all others
    kept = train[order[train] < max(first - embargo, smallest)]
    if kept.size >= least:
        return kept
    gap = (
        f"and by more than the embargo of {embargo / 1e9:,.0f} s" if embargo else "and not of the same moment"
    )
    raise SplitError(
        f"{kept.size} truly labelled rows are older than the {holdout.size} to judge by, {gap}; "
        f"{least} are needed to train on"
    )
