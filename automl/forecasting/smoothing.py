"""Exponential smoothing with additive trend and season, for many histories at once.

The state-space forms of Hyndman, Koehler, Ord & Snyder (2008), *Forecasting with Exponential Smoothing*. Instead of an
optimiser for each history, a grid of parameters runs over all of them together; the forecasts of the grid are averaged with
weights by likelihood, which is steadier on short histories than the best point alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History

Values = npt.NDArray[np.float64]

LONGEST = 1_500
"""So many newest values are looked at: what lies further back has no weight left."""
_AT_ONCE = 4_000_000
"""Numbers in the largest state."""
_LEVELS = (0.02, 0.06, 0.12, 0.2, 0.3, 0.45, 0.6, 0.8, 0.98)
_TRENDS = (0.0, 0.02, 0.08, 0.25)
_DAMPINGS = (0.8, 0.92, 0.98)
_SEASONS = (0.0, 0.04, 0.12, 0.3, 0.6)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Parameters, one of each for every point of the grid."""

    level: Values
    trend: Values
    damping: Values
    season: Values


def smoothing(histories: Sequence[History], horizon: int, *, trend: str, seasonal: bool) -> Values:
    """Forecasts (histories, horizon). ``trend``: none, damped or linear."""
    grid = _grid(trend, seasonal)
    widest = max((one.season for one in histories), default=1) if seasonal else 1
    size = max(1, _AT_ONCE // (len(grid.level) * widest))
    parts = [
        _smoothed(histories[at : at + size], horizon, grid, seasonal) for at in range(0, len(histories), size)
    ]
    return np.concatenate(parts)


def _grid(trend: str, seasonal: bool) -> _Grid:
    trends, dampings = _TRENDS, {"none": (0.0,), "linear": (1.0,), "damped": _DAMPINGS}[trend]
    points = product(
        _LEVELS, trends if trend != "none" else (0.0,), dampings, _SEASONS if seasonal else (0.0,)
    )
    # a season takes its part of the error that the level leaves
    table = np.array([(a, a * b, p, g * (1 - a)) for a, b, p, g in points])
    return _Grid(*table.T)


def _smoothed(histories: Sequence[History], horizon: int, grid: _Grid, seasonal: bool) -> Values:
    values = [one.values[-LONGEST:] for one in histories]
    m = max(one.season for one in histories) if seasonal else 1
    lengths = np.array([len(one) for one in values])
    table = np.zeros((len(values), int(lengths.max())))
    for row, one in zip(table, values, strict=True):
        row[: len(one)] = one
    level, slope, season = _begun(values, m, grid)
    loss = np.zeros_like(level)
    for t in range(table.shape[1]):
        live = t < lengths
        place = t % m
        ahead = level + grid.damping * slope
        error = np.where(live[:, None], table[:, t, None] - ahead - season[..., place], 0.0)
        keep = live[:, None]
        level = np.where(keep, ahead + grid.level * error, level)
        slope = np.where(keep, grid.damping * slope + grid.trend * error, slope)
        season[..., place] += grid.season * error
        if t >= m:
            loss += error * error
    weights = _weights(loss, np.maximum(1, lengths - m))
    damped = np.cumsum(grid.damping ** np.arange(1, horizon + 1)[:, None], axis=0).T
    ahead = level[..., None] + slope[..., None] * damped
    places = (lengths[:, None] + np.arange(horizon)) % m
    ahead += np.take_along_axis(season, places[:, None, :], axis=2)
    return np.asarray(np.einsum("nk,nkh->nh", weights, ahead))


def _begun(values: Sequence[Values], m: int, grid: _Grid) -> tuple[Values, Values, Values]:
    """Level, slope and season before the first value, the same for every point of the grid."""
    level, slope = np.zeros(len(values)), np.zeros(len(values))
    season = np.zeros((len(values), m))
    for i, one in enumerate(values):
        first = one[: max(4, min(len(one), 4 * m))]
        at = np.arange(len(first), dtype=np.float64)
        if len(first) > max(3, m):
            slope[i] = _theil_sen(first, m)
        rest = first - slope[i] * at
        level[i] = float(np.mean(rest[: max(m, min(4, len(rest)))])) - slope[i]
        if m > 1:
            middle = float(rest.mean())
            for place in range(m):
                here = rest[place::m]
                season[i, place] = float(here.mean()) - middle if len(here) else 0.0
    k = len(grid.level)
    trended = (grid.damping > 0)[None, :]
    return (
        np.repeat(level[:, None], k, axis=1),
        np.where(trended, slope[:, None], 0.0),
        np.repeat(season[:, None, :], k, axis=1),
    )


def _theil_sen(values: Values, m: int) -> float:
    """The median step from one cycle to the next."""
    lag = m if len(values) > m else 1
    return float(np.median(values[lag:] - values[:-lag])) / lag


def _weights(loss: Values, counts: npt.NDArray[np.int64]) -> Values:
    """By Gaussian likelihood, of which a third of the values are taken as independent."""
    floor = 1e-12 * np.maximum(loss.max(axis=1, keepdims=True), 1e-300)
    logs = -0.5 * counts[:, None] / 3 * np.log(np.maximum(loss, floor))
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
