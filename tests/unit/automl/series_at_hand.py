"""Series with a known shape, for the tests of forecasting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.forecasting.panel import Panel, panel

Values = npt.NDArray[np.float64]


def months(count: int, start: str = "2010-01-01") -> npt.NDArray[np.generic]:
    return pd.date_range(start, periods=count, freq="MS").to_numpy()


def seasonal(
    count: int, *, seed: int = 0, noise: float = 1.0, level: float = 100.0, slope: float = 0.3
) -> Values:
    """A line with a yearly wave and noise."""
    at = np.arange(count)
    random = np.random.default_rng(seed)
    return level + slope * at + 10.0 * np.sin(2 * np.pi * at / 12) + noise * random.normal(size=count)


def monthly_panel(count: int = 120, *, series: int = 1, noise: float = 1.0) -> Panel:
    times, names, values = [], [], []
    for number in range(series):
        times.append(months(count))
        names += [f"s{number}"] * count
        values.append(seasonal(count, seed=number, noise=noise, level=100.0 * (number + 1)))
    return panel(np.concatenate(times), names, np.concatenate(values))
