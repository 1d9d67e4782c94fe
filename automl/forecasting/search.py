"""The search of a forecasting run: recipes tried at rolling origins while the budget lasts, the best of them mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from automl.errors import SearchFailed
from automl.forecasting.backtest import Backtest, Bench, backtest, least_history, origins
from automl.forecasting.model import ForecastModel, model_of
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import NAIVE, Foreign, Recipe, portfolio, trees

Values = npt.NDArray[np.float64]
MOST_ORIGINS = 24
LEAST_ORIGINS = 4
CELLS = 600
"""Origins times series that all recipes are tried on; of more series a sample chooses which are tried on all."""
SHORTLIST = 12


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
    proposals: Sequence[Proposals] = (),
    foreign: Mapping[str, Foreign] | None = None,
    offer: Callable[[ForecastModel], None] = lambda model: None,
) -> ForecastModel:
    """The mix of recipes that forecasts this panel best, from origins within it, while seconds are ``left``.

    The seasonal naive forecast is always tried; ``offer`` is handed what is there before the engines' proposals are
    waited for. Raises SearchFailed when the series are too short for a single origin.
    """
    positions = origins(panel, horizon, most=_count(len(panel.series)))
    if not positions:
        need = least_history(panel.season) + horizon
        raise SearchFailed(
            f"the series have {panel.longest} steps at most before the rows that judge; a horizon of {horizon} with a "
            f"season of {panel.season} needs {need} in half of them"
        )
    told: dict[str, Tried] = {}

    def note(bench: Bench) -> Callable[[Recipe, Values | None, float, str | None], None]:
        def one(recipe: Recipe, found: Values | None, seconds: float, error: str | None) -> None:
            score = None if found is None else _score(bench, recipe, found)
            if recipe.key not in told:
                told[recipe.key] = Tried(recipe=recipe, score=score, seconds=seconds, error=error)
                report(told[recipe.key])

        return one

    wanted: Sequence[Recipe] = (*portfolio(panel.season), *trees(panel.season))
    sample = _sampled(panel, seed, len(positions))
    bench = Bench(sample, horizon, positions, foreign)
    tried = backtest(bench, wanted, report=note(bench), left=left)
    if proposals and tried.recipes and sample is panel:
        offer(model_of(panel, tried, horizon))
    more = [recipe for propose in proposals if left() > 0 for recipe in propose(sample, horizon)]
    tried = joined(tried, backtest(bench, more, report=note(bench), left=left))
    if sample is not panel:
        best = sorted(tried.recipes, key=lambda recipe: np.nanmean(tried.losses(recipe)))[:SHORTLIST]
        whole = Bench(panel, horizon, positions, foreign)
        tried = backtest(whole, [NAIVE, *(one for one in best if one.key != NAIVE.key)], left=left)
    if not tried.recipes:
        tried = backtest(bench, [NAIVE], report=note(bench))
    return model_of(panel, tried, horizon)


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
