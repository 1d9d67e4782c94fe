"""Recipes: a forecaster's name and settings, as JSON, and what it forecasts from histories.

A recipe holds nothing fitted. Whoever forecasts fits anew to the histories as they are then, so that the newest values
always count; what is learnt by a search is which recipes to mix, and how far off the mix is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.forecasting.boosting import lag_trees, lightgbm
from automl.forecasting.histories import History
from automl.forecasting.naive import drift, seasonal_mean, seasonal_naive
from automl.forecasting.ridge import lag_ridge
from automl.forecasting.smoothing import smoothing
from automl.forecasting.theta import theta

Values = npt.NDArray[np.float64]
Foreign = Callable[[Sequence[History], int, Mapping[str, Any]], Values]
"""A forecaster that lives elsewhere (an engine's): histories, horizon, settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """``kind`` names the forecaster. ``engine`` is who proposed it."""

    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "portfolio"

    @property
    def name(self) -> str:
        """Kind and settings in one word."""
        said = [
            f"{key}={_short(value)}" for key, value in self.config.items() if value not in (False, (), [])
        ]
        return self.kind + (f"({', '.join(said)})" if said else "")

    @property
    def key(self) -> str:
        return json.dumps([self.kind, dict(self.config)], sort_keys=True, default=list)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "config": dict(self.config), "engine": self.engine}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The inverse of :meth:`to_json`."""
        return cls(kind=data["kind"], config=dict(data["config"]), engine=data["engine"])


POOLED = frozenset({"lag_trees"})
"""Kinds that learn from all histories they are given together; these must have one origin."""


def forecast(
    recipe: Recipe, histories: Sequence[History], horizon: int, foreign: Mapping[str, Foreign] | None = None
) -> Values:
    """Forecasts (histories, horizon) of one recipe; NaN for histories that it can't take.

    ``foreign`` are forecasters by kind beyond the ones here. Raises ValueError for a kind that nobody knows.
    """
    config = dict(recipe.config)
    if not config.pop("log", False):
        return _forecast(recipe.kind, config, histories, horizon, foreign or {})
    fit = [at for at, one in enumerate(histories) if one.values.min() > 0]
    told = np.full((len(histories), horizon), np.nan)
    if fit:
        logged = [replace(histories[at], values=np.log(histories[at].values)) for at in fit]
        most = np.array([one.values.max() + 5.0 for one in logged])
        ahead = _forecast(recipe.kind, config, logged, horizon, foreign or {})
        told[fit] = np.exp(np.minimum(ahead, most[:, None]))
    return told


def _forecast(
    kind: str,
    config: Mapping[str, Any],
    histories: Sequence[History],
    horizon: int,
    foreign: Mapping[str, Foreign],
) -> Values:
    if kind in foreign:
        return foreign[kind](histories, horizon, config)
    if kind not in _HERE:
        raise ValueError(f"no forecaster {kind!r} is known; there are {', '.join((*_HERE, *foreign))}")
    return _HERE[kind](histories, horizon, config)


def _ridge(histories: Sequence[History], horizon: int, config: Mapping[str, Any]) -> Values:
    return lag_ridge(
        histories,
        horizon,
        differences=_differences(config["differences"], histories[0].season),
        reach=config["reach"],
        direct=config["direct"],
    )


def _trees(histories: Sequence[History], horizon: int, config: Mapping[str, Any]) -> Values:
    names = ("trees", "leaves", "rate", "least")
    return lag_trees(
        histories,
        horizon,
        fit=lightgbm(**{name: config[name] for name in names}, seed=0),
        differences=_differences(config["differences"], histories[0].season),
        reach=config["reach"],
    )


def _differences(asked: str, season: int) -> tuple[int, ...]:
    """none, step, season or both (which are one where there is no season)."""
    chosen = {"none": (), "step": (1,), "season": (season,), "both": (season, 1)}[asked]
    return tuple(dict.fromkeys(chosen))


_HERE: Mapping[str, Foreign] = {
    "seasonal_naive": lambda histories, horizon, config: seasonal_naive(histories, horizon),
    "drift": lambda histories, horizon, config: drift(histories, horizon),
    "seasonal_mean": lambda histories, horizon, config: seasonal_mean(histories, horizon, **config),
    "smoothing": lambda histories, horizon, config: smoothing(histories, horizon, **config),
    "theta": lambda histories, horizon, config: theta(histories, horizon),
    "lag_ridge": _ridge,
    "lag_trees": _trees,
}

NAIVE = Recipe(kind="seasonal_naive")
"""What every model has to beat."""


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def portfolio(season: int) -> tuple[Recipe, ...]:
    """The recipes that are tried on every panel, cheap ones first."""
    logs = (False, True)
    seasonal = (True, False) if season > 1 else (False,)
    found = [NAIVE, Recipe(kind="drift"), Recipe(kind="seasonal_mean", config={"cycles": 3})]
    found += [
        Recipe(kind="smoothing", config={"trend": trend, "seasonal": cyclic, "log": log})
        for cyclic in seasonal
        for trend in ("damped", "none", "linear")
        for log in logs
        if cyclic or season == 1 or trend == "damped"
    ]
    found += [Recipe(kind="theta", config={"log": log}) for log in logs]
    kinds = ("none", "step", "season", "both") if season > 1 else ("none", "step")
    found += [
        Recipe(kind="lag_ridge", config={"differences": diff, "reach": reach, "direct": direct, "log": log})
        for direct in (False, True)
        for reach in ("season", "long", "short")
        for diff in kinds
        for log in logs
        if not (direct and reach == "short")
    ]
    return tuple(found)


def trees(season: int) -> tuple[Recipe, ...]:
    """Boosted trees in the shapes that trees need, which can't go beyond the values they saw."""
    size = {"trees": 150, "leaves": 15, "rate": 0.05, "least": 10}
    kinds = ("step", "season", "none") if season > 1 else ("step", "none")
    return tuple(
        Recipe(kind="lag_trees", config={"differences": diff, "reach": reach, **size, "log": log})
        for diff in kinds
        for reach in ("long", "season")
        for log in (False, True)
    )
