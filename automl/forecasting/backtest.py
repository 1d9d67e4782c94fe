"""Rolling origins: what recipes would have forecast at many moments of the past, beside what came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History, before, history
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import POOLED, Foreign, Recipe, forecast

Values = npt.NDArray[np.float64]
_SPAN = 0.6
"""The origins lie in this newest share of the panel."""


def least_history(season: int) -> int:
    """Values that a series needs before an origin."""
    return 2 * season + 2 if season > 1 else 8


def common_end(panel: Panel) -> int:
    """The position at which most series end; of several the latest."""
    ends, counts = np.unique([one.end for one in panel.series], return_counts=True)
    return int(ends[len(counts) - 1 - int(counts[::-1].argmax())])


def origins(panel: Panel, horizon: int, *, most: int, stride: int | None = None) -> tuple[int, ...]:
    """Positions from which ``horizon`` steps are known in most series, oldest first; at most ``most``, evenly apart in the
    newest part of the panel, or ``stride`` apart. None where the series are too short."""
    last = common_end(panel) - horizon
    begins = np.sort([one.start + least_history(panel.season) for one in panel.series])
    first = int(begins[(len(begins) - 1) // 2])
    oldest = max(first, int(last - _SPAN * (last - int(np.median([one.start for one in panel.series])))))
    span = last - oldest
    if span < 0:
        return ()
    apart = max(1, span // max(1, most - 1)) if stride is None else stride
    return tuple(sorted(range(last, oldest - 1, -apart)[:most]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Arrays of (series, origins, steps), NaN where nothing was observed or forecast, and what belongs to them.

    ``scale`` (series, origins) is each history's unit of error. ``forecasts`` are by recipe key.
    """

    names: tuple[str, ...]
    positions: tuple[int, ...]
    actual: Values
    scale: Values
    recipes: tuple[Recipe, ...] = ()
    forecasts: Mapping[str, Values] = field(default_factory=dict)

    def losses(self, recipe: Recipe) -> Values:
        """Mean absolute error of each origin in its unit (series, origins); NaN where there is none."""
        return mean_error(self.forecasts[recipe.key], self.actual, self.scale)


def mean_error(told: Values, actual: Values, scale: Values) -> Values:
    """Over the steps observed, in units of ``scale``; infinite where something should have been forecast."""
    known = np.isfinite(actual)
    errors = np.where(known, np.abs(told - actual), 0.0)
    errors = np.where(known & ~np.isfinite(told), np.inf, errors)
    counts = known.sum(axis=-1)
    return np.where(counts > 0, errors.sum(axis=-1) / np.maximum(counts, 1), np.nan) / scale


class Bench:
    """Carries out recipes on the origins of one panel."""

    def __init__(
        self,
        panel: Panel,
        horizon: int,
        positions: Sequence[int],
        foreign: Mapping[str, Foreign] | None = None,
    ) -> None:
        self._horizon = horizon
        self._foreign = foreign
        self._shape = (len(panel.series), len(positions), horizon)
        self._cells: dict[tuple[int, int], History] = {}
        actual = np.full(self._shape, np.nan)
        scale = np.ones(self._shape[:2])
        for i, series in enumerate(panel.series):
            whole = history(panel, series, horizon)
            for j, position in enumerate(positions):
                origin = position - series.start
                if origin < min(least_history(panel.season), len(series)) or origin >= len(series):
                    continue
                cell = before(whole, origin, horizon)
                self._cells[i, j] = cell
                scale[i, j] = cell.scale
                came = series.values[origin : origin + horizon].copy()
                came[~series.observed[origin : origin + horizon]] = np.nan
                actual[i, j, : len(came)] = came
        self.empty = Backtest(
            names=tuple(one.name for one in panel.series),
            positions=tuple(positions),
            actual=actual,
            scale=scale,
        )

    @property
    def cells(self) -> int:
        """Pairs of series and origin that can be forecast."""
        return len(self._cells)

    def forecast(self, recipe: Recipe) -> Values:
        """(series, origins, steps), NaN where the series had not begun or the recipe can't be followed."""
        told = np.full(self._shape, np.nan)
        if recipe.kind in POOLED:
            groups = [[cell for cell in self._cells if cell[1] == j] for j in range(self._shape[1])]
        else:
            groups = [list(self._cells)]
        for cells in groups:
            if not cells:
                continue
            histories = [self._cells[cell] for cell in cells]
            for cell, row in zip(
                cells, forecast(recipe, histories, self._horizon, self._foreign), strict=True
            ):
                told[cell] = row
        return told


def backtest(
    bench: Bench,
    recipes: Sequence[Recipe],
    *,
    report: Callable[[Recipe, Values | None, float, str | None], None] = lambda *_: None,
    left: Callable[[], float] = lambda: float("inf"),
) -> Backtest:
    """Follow the recipes in turn while seconds are ``left``, each told to ``report`` with its forecasts or its error and
    its seconds. One that raises is told and left out."""
    done: list[Recipe] = []
    forecasts: dict[str, Values] = {}
    for recipe in recipes:
        if left() <= 0:
            break
        began = time.perf_counter()
        try:
            told = bench.forecast(recipe)
        except Exception as error:  # whatever a forecaster can't do is its own failure
            report(recipe, None, time.perf_counter() - began, f"{type(error).__name__}: {error}")
            continue
        done.append(recipe)
        forecasts[recipe.key] = told
        report(recipe, told, time.perf_counter() - began, None)
    empty = bench.empty
    return Backtest(
        names=empty.names,
        positions=empty.positions,
        actual=empty.actual,
        scale=empty.scale,
        recipes=tuple(done),
        forecasts=forecasts,
    )
