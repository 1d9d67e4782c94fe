"""The search of a forecasting run: recipes tried at rolling origins while the budget lasts, the best of them mixed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from automl.errors import SearchFailed
from automl.forecasting.backtest import Backtest, Bench, backtest, least_history, origins
from automl.forecasting.model import ForecastModel, model_of, new_origins
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import NAIVE, Foreign, Recipe, portfolio, trees

Values = npt.NDArray[np.float64]
MOST_ORIGINS = 24
LEAST_ORIGINS = 4
CELLS = 600
"""Origins times series that all recipes are tried on; of more series a sample chooses which are tried on all."""
SHORTLIST = 12
MOST_SECONDS = 30.0
"""That a recipe may take for one forecast of all series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One recipe as it was tried: its MASE over all origins, or its error."""

    recipe: Recipe
    score: float | None
    seconds: float
    error: str | None = None


Proposals = Callable[[Panel, int], Sequence[Recipe]]
"""An engine that names further recipes for a panel and a horizon; it may take seconds."""


def search(
    panel: Panel,
    horizon: int,
    *,
    seed: int,
    left: Callable[[], float],
    report: Callable[[Tried], None] = lambda tried: None,
    proposals: Mapping[str, Proposals] | None = None,
    reserved: float = 0.0,
    foreign: Mapping[str, Foreign] | None = None,
    offer: Callable[[ForecastModel], None] = lambda model: None,
) -> ForecastModel:
    """The mix of recipes that forecasts this panel best, from origins within it, while seconds are ``left``; of these so
    many are ``reserved`` for what engines propose, by the engine's name.

    The seasonal naive forecast is always tried; ``offer`` is handed what is there before the engines' proposals are
    waited for. A recipe that would take too long whenever it forecasts is left out. Raises SearchFailed when the
    series are too short for a single origin.
    """
    positions = origins(panel, horizon, most=_count(len(panel.series)))
    if not positions:
        need = least_history(panel.season) + horizon
        raise SearchFailed(
            f"the series have {panel.longest} steps at most before the rows that judge; a horizon of {horizon} with a "
            f"season of {panel.season} needs {need} in half of them"
        )
    sample = _sampled(panel, seed, len(positions))
    bench = Bench(sample, horizon, positions, foreign)
    notes = _Notes(bench, len(panel.series), report)
    own = (*portfolio(panel.season), *trees(panel.season))
    tried = notes.quick(backtest(bench, own, report=notes.add, left=lambda: left() - reserved))
    if not tried.recipes:
        tried = backtest(bench, [NAIVE], report=notes.add)
    if proposals and left() > 0:
        offer(model_of(sample, tried, horizon))
        more = [
            recipe for name, ask in proposals.items() for recipe in notes.proposed(name, ask, sample, horizon)
        ]
        tried = joined(tried, notes.quick(backtest(bench, more, report=notes.add, left=left)))
    if sample is panel:
        return model_of(panel, tried, horizon)
    best = sorted(tried.recipes, key=lambda recipe: float(np.nanmean(tried.losses(recipe))))[:SHORTLIST]
    wanted = [NAIVE, *(one for one in best if one.key != NAIVE.key)]
    whole = backtest(Bench(panel, horizon, positions, foreign), wanted, left=left)
    if len(whole.recipes) < len(wanted):  # no time for all series: those of the sample speak for them
        return model_of(sample, tried, horizon)
    return model_of(panel, whole, horizon)


class _Notes:
    """What is told of each recipe, once, and how long it would take to forecast with."""

    def __init__(self, bench: Bench, series: int, report: Callable[[Tried], None]) -> None:
        self._bench = bench
        self._series = series
        self._report = report
        self._told: dict[str, Tried] = {}

    def add(self, recipe: Recipe, found: Values | None, seconds: float, error: str | None) -> None:
        if recipe.key in self._told:
            return
        score = None if found is None else _score(self._bench, recipe, found)
        asked = self._seconds_to_ask(seconds)
        if found is not None and asked > MOST_SECONDS:
            score, error = None, f"left out: whoever asks for a forecast would wait {asked:.0f} s for it"
        self._told[recipe.key] = Tried(recipe=recipe, score=score, seconds=seconds, error=error)
        self._report(self._told[recipe.key])

    def proposed(self, engine: str, ask: Proposals, panel: Panel, horizon: int) -> Sequence[Recipe]:
        """What an engine proposes; nothing, and that is told, where it fails."""
        began = time.perf_counter()
        try:
            return ask(panel, horizon)
        except Exception as error:  # an engine's failure is its own
            said = f"{type(error).__name__}: {error}"
            self.add(Recipe(kind=engine, engine=engine), None, time.perf_counter() - began, said)
            return ()

    def quick(self, tried: Backtest) -> Backtest:
        """Without the recipes that take too long."""
        kept = [
            one for one in tried.recipes if self._seconds_to_ask(self._told[one.key].seconds) <= MOST_SECONDS
        ]
        return replace(tried, recipes=tuple(kept))

    def _seconds_to_ask(self, seconds: float) -> float:
        """For all series, each with the origins it looks back on."""
        return seconds / max(1, self._bench.cells) * self._series * (1 + new_origins(self._series))


def joined(one: Backtest, other: Backtest) -> Backtest:
    """Two backtests of the same origins as one."""
    return replace(
        one,
        recipes=(*one.recipes, *(each for each in other.recipes if each.key not in one.forecasts)),
        forecasts={**other.forecasts, **one.forecasts},
    )


def _count(series: int) -> int:
    return max(LEAST_ORIGINS, min(MOST_ORIGINS, CELLS // max(1, series)))


def _sampled(panel: Panel, seed: int, count: int) -> Panel:
    most = max(1, CELLS // count)
    if len(panel.series) <= most:
        return panel
    chosen = np.random.default_rng(seed).choice(len(panel.series), most, replace=False)
    return replace(panel, series=tuple(panel.series[at] for at in sorted(chosen)))


def _score(bench: Bench, recipe: Recipe, found: Values) -> float | None:
    losses = replace(bench.empty, recipes=(recipe,), forecasts={recipe.key: found}).losses(recipe)
    score = float(np.nanmean(losses)) if np.isfinite(losses).any() else np.inf
    return score if np.isfinite(score) else None
