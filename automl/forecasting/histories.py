"""What a forecaster may see: one series up to its origin, and the covariates that are known beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.forecasting.panel import Panel, Series

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """``values`` up to the origin; ``covariates`` has a row for each of them and for each step to forecast, without gaps.

    ``start`` is the position of the first value; positions modulo ``season`` are places in the cycle.
    """

    name: str
    start: int
    values: Values
    season: int
    covariates: Values

    def __len__(self) -> int:
        return len(self.values)

    @property
    def scale(self) -> float:
        """The mean error of the seasonal naive forecast one season ahead, within the history: the unit of MASE.

        Hyndman & Koehler (2006), *Another look at measures of forecast accuracy*.
        """
        return scale_of(self.values, self.season)


def scale_of(values: Values, season: int) -> float:
    """Never zero: a series that does not move is measured in its own size, or in ones."""
    for lag in dict.fromkeys((season, 1)):
        if len(values) > lag:
            mean = float(np.mean(np.abs(values[lag:] - values[:-lag])))
            if mean > 1e-12 * max(1.0, float(np.max(np.abs(values)))):
                return mean
    return float(np.mean(np.abs(values))) or 1.0


def history(panel: Panel, series: Series, horizon: int) -> History:
    """The whole series as a history for a forecast of ``horizon`` steps."""
    return History(
        name=series.name,
        start=series.start,
        values=series.values,
        season=panel.season,
        covariates=carried_on(series.covariates, len(series) + horizon),
    )


def carried_on(covariates: Values, rows: int) -> Values:
    """So many rows of covariates: what is missing is as it was last known, or as it was first known."""
    table = np.full((rows, covariates.shape[1]), np.nan)
    kept = min(rows, len(covariates))
    table[:kept] = covariates[:kept]
    for column in table.T:
        known = np.flatnonzero(np.isfinite(column))
        if not len(known):
            column[:] = 0.0
            continue
        last = np.searchsorted(known, np.arange(rows), side="right") - 1
        column[:] = column[known[np.maximum(last, 0)]]
    return table


def before(whole: History, origin: int, horizon: int) -> History:
    """The history as it was ``origin`` values after its start, with covariates known for ``horizon`` steps."""
    return History(
        name=whole.name,
        start=whole.start,
        values=whole.values[:origin],
        season=whole.season,
        covariates=whole.covariates[: origin + horizon],
    )
