"""A forecasting model: which recipes to mix for each series, and how far off the mix was. Plain JSON, no pickles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.forecasting.backtest import Backtest, Bench, common_end, mean_error
from automl.forecasting.blend import Blend, blend
from automl.forecasting.histories import History, history, scale_of
from automl.forecasting.intervals import Misses, expected, radius, ratios, recent_movement
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import NAIVE, Foreign, forecast
from automl.forecasting.steps import Step

Values = npt.NDArray[np.float64]

FORMAT = 1
_NEW_ORIGINS = 8
_NEW_CELLS = 600
_FOLDS = 4
_FEW_ORIGINS = 4
"""Below so many origins a series' intervals come from those of all series."""


def new_origins(series: int) -> int:
    """Origins since the search that a forecast of so many series looks back on at most, to keep its intervals true."""
    return max(1, min(_NEW_ORIGINS, _NEW_CELLS // max(1, series)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Of one series: ``values`` and bounds for the steps from position ``origin`` on.

    ``scale`` is the unit of its errors (see MASE); ``expected`` the mean error, in that unit, that past origins let expect
    at each step.
    """

    series: str
    origin: int
    values: Values
    lower: Values
    upper: Values
    scale: float
    expected: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastModel:
    """``season`` and ``step`` are the panel's at the search; ``misses`` are by series."""

    horizon: int
    step: Step
    season: int
    blend: Blend
    misses: Mapping[str, Misses]
    covariates: tuple[str, ...] = ()
    score: float = float("nan")
    """MASE of the mix at the search's origins, weights of each fold from the others."""

    def mixed(self, histories: Sequence[History], foreign: Mapping[str, Foreign] | None = None) -> Values:
        """The mix (histories, horizon); where no recipe can be followed, the seasonal naive forecast."""
        told = np.stack([forecast(one, histories, self.horizon, foreign) for one in self.blend.recipes])
        mix = self.blend.mixed(told, tuple(one.name for one in histories))
        naive = forecast(NAIVE, histories, self.horizon)
        return np.where(np.isfinite(mix), mix, naive)

    def forecast(
        self, panel: Panel, *, coverage: float, foreign: Mapping[str, Foreign] | None = None
    ) -> tuple[Forecast, ...]:
        """Forecasts of every series of the panel from its end, in its order."""
        histories = [history(panel, one, self.horizon) for one in panel.series]
        told = self.mixed(histories, foreign)
        since = self.looked_back(panel, foreign)
        peers = ratios(self.misses.values()) if len(self.misses) > 1 else None
        found = []
        for series, past, row in zip(panel.series, histories, told, strict=True):
            misses = self._misses(series.name, since.get(series.name), past)
            moved = recent_movement(past.values, past.season)
            reach = radius(misses, row, moved, coverage=coverage, peers=peers)
            found.append(
                Forecast(
                    series=series.name,
                    origin=series.end,
                    values=row,
                    lower=row - reach,
                    upper=row + reach,
                    scale=past.scale,
                    expected=expected(misses) / past.scale,
                )
            )
        return tuple(found)

    def looked_back(self, panel: Panel, foreign: Mapping[str, Foreign] | None = None) -> dict[str, Misses]:
        """What the mix would have missed at origins since the last one known, by series."""
        last = max((one.positions[-1] for one in self.misses.values() if one.positions), default=None)
        end = common_end(panel) - self.horizon
        if last is None or end <= last:
            return {}
        stride = max(1, -(-(end - last) // new_origins(len(panel.series))))
        positions = sorted(range(end, last, -stride))
        return self.tested(panel, positions, foreign)

    def tested(
        self, panel: Panel, positions: Sequence[int], foreign: Mapping[str, Foreign] | None = None
    ) -> dict[str, Misses]:
        """What the mix misses at these origins, by series."""
        bench = Bench(panel, self.horizon, positions, foreign)
        told = np.stack([bench.forecast(recipe) for recipe in self.blend.recipes])
        mix = self.blend.mixed(told, bench.empty.names)
        return misses_of(panel, bench.empty, mix)

    def knowing(self, later: Mapping[str, Misses]) -> ForecastModel:
        """The model with more origins to calibrate its intervals on."""
        known = dict(self.misses)
        for name, one in later.items():
            known[name] = known[name].and_then(one) if name in known else one
        return replace(self, misses=known)

    def _misses(self, name: str, since: Misses | None, past: History) -> Misses:
        own = self.misses.get(name)
        if own is not None and since is not None:
            own = own.and_then(since)
        elif own is None:
            own = since
        if own is not None and len(own.positions) >= _FEW_ORIGINS:
            return own
        return self._borrowed(past)

    def _borrowed(self, past: History) -> Misses:
        """The misses of all other series in this one's unit."""
        known = [one for one in self.misses.values() if len(one.positions) and np.median(one.recent) > 0]
        here = recent_movement(past.values, past.season) or past.scale
        if not known:
            errors = np.full((1, self.horizon), here)
            return Misses(positions=(past.start,), errors=errors, told=errors, recent=np.array([here]))
        units = [here / one.recent[:, None] for one in known if np.all(one.recent > 0)]
        errors = np.concatenate([one.errors * unit for one, unit in zip(known, units, strict=False)])
        level = float(np.mean(np.abs(past.values)))
        return Misses(
            positions=tuple(range(len(errors))),
            errors=errors,
            told=np.full_like(errors, level),
            recent=np.full(len(errors), here),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "horizon": self.horizon,
            "step": self.step.to_json(),
            "season": self.season,
            "blend": self.blend.to_json(),
            "misses": {name: one.to_json() for name, one in self.misses.items()},
            "covariates": list(self.covariates),
            "score": self.score if np.isfinite(self.score) else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForecastModel:
        """The inverse of :meth:`to_json`. Raises ValueError for another format."""
        if data["format"] != FORMAT:
            raise ValueError(f"a forecasting model of format {data['format']}, not {FORMAT}: search again")
        return cls(
            horizon=data["horizon"],
            step=Step.from_json(data["step"]),
            season=data["season"],
            blend=Blend.from_json(data["blend"]),
            misses={name: Misses.from_json(one) for name, one in data["misses"].items()},
            covariates=tuple(data["covariates"]),
            score=float("nan") if data["score"] is None else data["score"],
        )


def model_of(panel: Panel, tried: Backtest, horizon: int) -> ForecastModel:
    """The model that a backtest comes to. Its misses at each origin are those of a mix that other origins chose, so that
    its intervals are not those of a mix that knew the answers. Raises ValueError when nothing was tried."""
    chosen = blend(tried)
    honest = np.full(tried.actual.shape, np.nan)
    for fold in np.array_split(np.arange(len(tried.positions)), min(_FOLDS, len(tried.positions))):
        others = np.setdiff1d(np.arange(len(tried.positions)), fold)
        mix = blend(_only(tried, others)) if len(others) else chosen
        told = np.stack([tried.forecasts[recipe.key][:, fold] for recipe in mix.recipes])
        honest[:, fold] = mix.mixed(told, tried.names)
    return ForecastModel(
        horizon=horizon,
        step=panel.step,
        season=panel.season,
        blend=chosen,
        misses=misses_of(panel, tried, honest),
        covariates=panel.covariates,
        score=float(np.nanmean(mean_error(honest, tried.actual, tried.scale))),
    )


def misses_of(panel: Panel, tried: Backtest, told: Values) -> dict[str, Misses]:
    """What forecasts (series, origins, steps) missed, by series; origins at which nothing was observed are left out."""
    found: dict[str, Misses] = {}
    for at, series in enumerate(panel.series):
        errors = tried.actual[at] - told[at]
        kept = np.flatnonzero(np.isfinite(errors).any(axis=1))
        recent = [
            recent_movement(series.values[: tried.positions[j] - series.start], panel.season) for j in kept
        ]
        found[series.name] = Misses(
            positions=tuple(tried.positions[j] for j in kept),
            errors=errors[kept],
            told=told[at][kept],
            recent=np.array(recent, dtype=np.float64),
        )
    return {name: one for name, one in found.items() if one.positions}


def _only(tried: Backtest, origins: npt.NDArray[np.intp]) -> Backtest:
    return replace(
        tried,
        positions=tuple(tried.positions[j] for j in origins),
        actual=tried.actual[:, origins],
        scale=tried.scale[:, origins],
        forecasts={key: told[:, origins] for key, told in tried.forecasts.items()},
    )


__all__ = ["Forecast", "ForecastModel", "misses_of", "model_of", "scale_of"]
