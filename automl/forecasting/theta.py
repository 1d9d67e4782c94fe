"""The theta method: half the slope of a straight line beside simple smoothing, on seasonally adjusted values.

Assimakopoulos & Nikolopoulos (2000), in the form of Hyndman & Billah (2003): simple smoothing with drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History
from automl.forecasting.smoothing import smoothing

Values = npt.NDArray[np.float64]


def theta(histories: Sequence[History], horizon: int) -> Values:
    """Forecasts (histories, horizon)."""
    cycles = [cycle_of(one.values, one.season) for one in histories]
    adjusted = [
        replace(one, values=one.values - cycle[np.arange(len(one)) % len(cycle)])
        for one, cycle in zip(histories, cycles, strict=True)
    ]
    level = smoothing(adjusted, horizon, trend="none", seasonal=False)
    ahead = np.arange(1, horizon + 1)
    for row, one, cycle in zip(level, adjusted, cycles, strict=True):
        if len(one) > 3:
            row += 0.5 * float(np.polyfit(np.arange(len(one)), one.values, 1)[0]) * ahead
        row += cycle[(len(one) + np.arange(horizon)) % len(cycle)]
    return level


def cycle_of(values: Values, m: int) -> Values:
    """The mean deviation from the moving average for each place of the cycle, counted from the first value; zero where
    there are not two cycles."""
    if m == 1 or len(values) < 2 * m + 1:
        return np.zeros(1)
    weights = np.ones(m) / m if m % 2 else np.concatenate([[0.5], np.ones(m - 1), [0.5]]) / m
    half = len(weights) // 2
    rest = values[half:-half] - np.convolve(values, weights, mode="valid")
    places = (half + np.arange(len(rest))) % m
    cycle = np.array([rest[places == place].mean() if np.any(places == place) else 0.0 for place in range(m)])
    return np.asarray(cycle - cycle.mean())
