"""Regular series from rows in any order: one value for each step, gaps filled and remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.errors import SeriesError
from automl.forecasting.seasons import season_of
from automl.forecasting.steps import Step

Values = npt.NDArray[np.float64]
ALONE = ""
"""The name of the only series where no column names them."""
LONGEST_GAP = 0.5
"""A series of which a larger share of steps has no value begins anew after its longest gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One regular series: ``values[i]`` is at position ``start + i``; where ``observed`` is False it was filled in.

    ``covariates`` has a row for each value and for each known step after the last, NaN where nothing is known.
    """

    name: str
    start: int
    values: Values
    observed: npt.NDArray[np.bool_]
    covariates: Values

    def __len__(self) -> int:
        return len(self.values)

    @property
    def end(self) -> int:
        """The position after the last value: the first to forecast."""
        return self.start + len(self.values)

    def until(self, position: int) -> Series:
        """The series as it was before ``position``; what was known of later covariates stays known."""
        kept = max(0, position - self.start)
        return replace(self, values=self.values[:kept], observed=self.observed[:kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Series that share a step. ``season`` is the cycle's length in steps, 1 where there is none."""

    step: Step
    season: int
    series: tuple[Series, ...]
    covariates: tuple[str, ...] = ()

    @property
    def longest(self) -> int:
        return max((len(one) for one in self.series), default=0)

    def until(self, position: int) -> Panel:
        """The panel before ``position``, without series that had not begun."""
        cut = [one.until(position) for one in self.series if one.start < position]
        return replace(self, series=tuple(one for one in cut if len(one)))


def panel(
    times: npt.NDArray[np.generic],
    names: Sequence[str] | None,
    values: Values,
    *,
    covariates: Values | None = None,
    covariate_names: tuple[str, ...] = (),
    step: Step | None = None,
    season: int | None = None,
) -> Panel:
    """The regular series of some rows, in the order in which they arrived.

    Of two rows at one step the later counts: a correction. A row without value (NaN) only tells its covariates, which
    may lie after the last value. Steps without value are filled from their neighbours in the cycle. Raises SeriesError
    when the step can't be told.
    """
    known = ~np.isnat(times) if np.issubdtype(times.dtype, np.datetime64) else ~np.isnan(times.astype(float))
    labels = np.asarray([ALONE] * len(times) if names is None else names, dtype=object)
    table = np.zeros((len(times), 0)) if covariates is None else covariates
    valued = [(name, rows, rows[np.isfinite(values[rows])]) for name, rows in _grouped(labels, known)]
    if not any(len(with_value) for _, _, with_value in valued):
        raise SeriesError("no row has both a time and a value", remedy="send rows with both")
    if step is None:
        step = Step.of([times[with_value] for _, _, with_value in valued if len(with_value)])
    raw = [
        _raw(name, step.positions(times[rows]), values[rows], table[rows])
        for name, rows, with_value in valued
        if len(with_value)
    ]
    if season is None:
        season = season_of(step, [one.values for one in raw])
    filled = tuple(replace(one, values=filled_in(one.values, season)) for one in raw)
    return Panel(step=step, season=season, series=filled, covariates=covariate_names)


def _grouped(
    labels: npt.NDArray[np.object_], known: npt.NDArray[np.bool_]
) -> list[tuple[str, npt.NDArray[np.intp]]]:
    """The known rows of each name, in order."""
    rows = np.flatnonzero(known)
    codes, found = pd.factorize(labels[rows], sort=False)
    order = np.argsort(codes, kind="stable")
    parts = np.split(rows[order], np.cumsum(np.bincount(codes, minlength=len(found)))[:-1])
    return sorted(zip(map(str, found), parts, strict=True), key=lambda pair: pair[0])


def _raw(name: str, positions: npt.NDArray[np.int64], values: Values, covariates: Values) -> Series:
    """The series with NaN where it has no value."""
    valued = np.isfinite(values)
    start, end = int(positions[valued].min()), int(positions[valued].max()) + 1
    grid = np.full(end - start, np.nan)
    grid[positions[valued] - start] = values[valued]  # of equal positions the last one stays
    if np.mean(np.isnan(grid)) > LONGEST_GAP:
        since = _after_longest_gap(grid)
        grid, start = grid[since:], start + since
    inside = positions >= start
    last = max(end, int(positions.max()) + 1)
    beside = np.full((last - start, covariates.shape[1]), np.nan)
    beside[positions[inside] - start] = covariates[inside]
    return Series(name=name, start=start, values=grid, observed=np.isfinite(grid), covariates=beside)


def _after_longest_gap(grid: Values) -> int:
    at = np.flatnonzero(np.isfinite(grid))
    if len(at) < 2:
        return int(at[-1])
    return int(at[int(np.diff(at).argmax()) + 1])


def filled_in(values: Values, season: int) -> Values:
    """The values with NaN replaced: interpolated, about the mean of their place in the cycle where there is one."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    places = np.arange(len(values)) % season
    level = np.zeros(len(values))
    if season > 1 and np.sum(~missing) >= 2 * season:
        middle = float(np.nanmean(values))
        for place in range(season):
            here = values[(places == place) & ~missing]
            level[places == place] = float(here.mean()) - middle if len(here) else 0.0
    at = np.flatnonzero(~missing)
    rest = np.interp(np.arange(len(values)), at, (values - level)[at])
    return np.where(missing, rest + level, values)
