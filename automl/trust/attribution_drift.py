"""Does a model come to its answers by the columns that it was trained to come by?

The contributions of a window of live rows beside those of training rows, column by column. A sensor that sticks, a unit that
changes or a column that is no longer filled shows in what the column adds to the answers, by as much as it matters to them,
before any truth comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp, wasserstein_distance

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """One column. ``before`` and ``now`` are its mean absolute contribution among training and live rows, ``effect`` how far
    its contributions moved (their Wasserstein distance), all three as shares of what all columns together added before.
    ``p_value`` is that of the two-sample Kolmogorov-Smirnov test, times what Holm's rule (1979) asks over all columns."""

    column: str
    before: float
    now: float
    effect: float
    p_value: float
    moved: bool

    def to_json(self) -> dict[str, Any]:
        named = ("column", "before", "now", "effect", "p_value", "moved")
        return {name: getattr(self, name) for name in named}


def attribution_drift(
    before: Values, now: Values, columns: Sequence[str], *, threshold: float, alpha: float
) -> tuple[Attribution, ...]:
    """Each of d columns, the most moved first. ``before`` (r, d) and ``now`` (n, d) are contributions of single rows.

    A column moved when its effect reaches ``threshold`` and the move is no chance: where nothing changed, any column of a
    window is called moved with chance ``alpha`` at most (the test knows nothing of any distribution).

    >>> still, stuck = np.tile([1.0, -1.0], 100), np.full(100, 1.0)
    >>> found = attribution_drift(
    ...     np.column_stack([still, still]), np.column_stack([still[:100], stuck]), ["a", "b"], threshold=0.05, alpha=0.001
    ... )
    >>> [(one.column, one.before, one.now, one.effect, one.moved) for one in found]
    [('b', 0.5, 0.5, 0.5, True), ('a', 0.5, 0.5, 0.0, False)]
    """
    whole = float(np.abs(before).mean(axis=0).sum())
    p_values = _holm([_chance(before[:, at], now[:, at]) for at in range(len(columns))])
    found = [
        _attribution(name, before[:, at], now[:, at], whole, p_values[at], threshold, alpha)
        for at, name in enumerate(columns)
    ]
    return tuple(sorted(found, key=lambda one: (not one.moved, -one.effect)))


def _attribution(
    name: str, before: Values, now: Values, whole: float, p_value: float, threshold: float, alpha: float
) -> Attribution:
    share = 1.0 / whole if whole > 0 else 0.0
    effect = float(wasserstein_distance(before, now)) * share
    return Attribution(
        column=name,
        before=float(np.abs(before).mean()) * share,
        now=float(np.abs(now).mean()) * share,
        effect=effect,
        p_value=p_value,
        moved=effect >= threshold and p_value < alpha,
    )


def _chance(before: Values, now: Values) -> float:
    if not np.ptp(before) and not np.ptp(now) and before[0] == now[0]:  # the model does not look at it
        return 1.0
    return float(ks_2samp(before, now, method="asymp").pvalue)


def _holm(p_values: Sequence[float]) -> list[float]:
    """What each is worth among the others: never smaller than one that was smaller alone."""
    adjusted, worst = [1.0] * len(p_values), 0.0
    for rank, at in enumerate(np.argsort(p_values, kind="stable")):
        worst = max(worst, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = worst
    return adjusted
