"""How long the cycle of a set of series is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from automl.forecasting.steps import Step

Values = npt.NDArray[np.float64]
_CLEAR = 0.3
"""Autocorrelation from which on a cycle that the calendar doesn't name is believed."""
_LONGEST = 60
_MOST_SERIES = 50


def season_of(step: Step, series: Sequence[Values]) -> int:
    """The cycle's length in steps: of those that the calendar makes likely the one with the strongest autocorrelation,
    and where the times are plain numbers the one that the values show; 1 where there is none.

    NaN are taken as missing.
    """
    long = sorted(series, key=len, reverse=True)[:_MOST_SERIES]
    usual = [m for m in step.usual_seasons if any(len(one) >= 2 * m for one in long)]
    if usual:
        strength = {m: _mean([_autocorrelation(one, m) for one in long if len(one) >= 2 * m]) for m in usual}
        return max(usual, key=lambda m: strength[m])
    if step.unit != "number":
        return 1
    most = min(_LONGEST, max((len(one) for one in long), default=0) // 3)
    found = {
        m: _mean([_autocorrelation(one, m) for one in long if len(one) >= 3 * m]) for m in range(2, most + 1)
    }
    peaks = [
        m for m in found if found[m] > _CLEAR and found[m] >= max(found.get(m - 1, 1), found.get(m + 1, -1))
    ]
    return max(peaks, key=lambda m: found[m], default=1)


def _autocorrelation(values: Values, lag: int) -> float:
    """Of the values without their straight line."""
    known = np.isfinite(values)
    if known.sum() < lag + 3:
        return 0.0
    at = np.arange(len(values), dtype=np.float64)
    slope, level = np.polyfit(at[known], values[known], 1)
    rest = np.where(known, values - level - slope * at, 0.0)
    whole = float(rest @ rest)
    return float(rest[lag:] @ rest[:-lag]) / whole if whole > 0 else 0.0


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers)) if numbers else 0.0
