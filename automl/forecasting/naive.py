"""Forecasts that need no fitting: what a model has to beat, and what it is mixed with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History

Values = npt.NDArray[np.float64]


def seasonal_naive(histories: Sequence[History], horizon: int) -> Values:
    """The values of the last season again, or the last value where there is no season; (histories, horizon)."""
    return np.stack([_again(one.values, one.season, horizon) for one in histories])


def drift(histories: Sequence[History], horizon: int) -> Values:
    """The last season again, moved on by the mean step of the history."""
    return np.stack([_moved(one, horizon) for one in histories])


def seasonal_mean(histories: Sequence[History], horizon: int, *, cycles: int) -> Values:
    """For each place of the cycle the mean of the last ``cycles`` seasons (of so many last values without season)."""
    return np.stack([_averaged(one, horizon, cycles) for one in histories])


def _again(values: Values, season: int, horizon: int) -> Values:
    m = season if len(values) >= season else 1
    return values[len(values) - m + np.arange(horizon) % m]


def _moved(one: History, horizon: int) -> Values:
    y, m = one.values, one.season if len(one) > 2 * one.season else 1
    slope = float(np.mean(y[m:] - y[:-m])) / m if len(y) > m else 0.0
    ahead = (np.arange(horizon) // m + 1) * m
    return _again(y, m, horizon) + slope * ahead


def _averaged(one: History, horizon: int, cycles: int) -> Values:
    y, m = one.values, one.season
    if m == 1:
        return np.full(horizon, float(np.mean(y[-cycles:])))
    whole = max(1, min(cycles, len(y) // m))
    if len(y) < m:
        return _again(y, 1, horizon)
    table = y[len(y) - whole * m :].reshape(whole, m).mean(axis=0)
    return np.asarray(table[np.arange(horizon) % m])
