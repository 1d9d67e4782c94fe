"""Champion, challenger and the seasonal naive forecast at the same later origins, which no search has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.errors import SplitError
from automl.forecasting.backtest import Bench, common_end, least_history
from automl.forecasting.intervals import Misses, radius, ratios
from automl.forecasting.model import ForecastModel, misses_of
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import NAIVE, Foreign
from automl.judge import Rules, Scored, Verdict, judge
from automl.task import Task, TaskKind

Values = npt.NDArray[np.float64]
METRIC = "mase"
UNITS = 12
"""Pairs of series and origin that a judgement aims at; the judge needs 8."""
_LEAST_UNITS = 8
_LONGEST = 4
"""So many horizons are held back at most: what is newer should be learnt from."""
_MOST_ORIGINS = 24


def cut_of(panel: Panel, horizon: int, *, share: float, trained_until: int | None) -> int:
    """The position from which on origins judge: the newest ``share`` of the steps, enough of them for a judgement and at
    most four horizons, and nothing that the champion's search has seen (``trained_until``).

    Raises SplitError when too few steps are left on either side.
    """
    end = common_end(panel)
    start = int(np.median([one.start for one in panel.series]))
    needed = _needed(panel, horizon)
    held = min(max(round(share * (end - start)), needed), max(_LONGEST * horizon, needed))
    cut = end - held
    if trained_until is not None and trained_until > cut:
        if end - trained_until < needed:
            raise SplitError(
                f"{max(0, end - trained_until)} steps came since the champion's search; with a horizon of {horizon} and "
                f"{len(panel.series)} series {needed} are needed to judge"
            )
        cut = trained_until
    train = cut - start
    least = least_history(panel.season) + horizon
    if train < least:
        raise SplitError(
            f"the series have {end - start} steps; with a horizon of {horizon} and a season of {panel.season} "
            f"{least + needed} are needed, {least} to learn from and {needed} to judge on"
        )
    return cut


def _needed(panel: Panel, horizon: int) -> int:
    """Steps in which there are origins for the least number of units."""
    return horizon + max(0, -(-_LEAST_UNITS // max(1, len(panel.series))) - 1)


def judging_origins(panel: Panel, horizon: int, cut: int) -> tuple[int, ...]:
    """Positions from ``cut`` on, oldest first: a horizon apart where that gives enough of them, else closer."""
    last = common_end(panel) - horizon
    wanted = max(1, -(-UNITS // max(1, len(panel.series))))
    apart = max(1, min(horizon, (last - cut) // max(1, wanted - 1)))
    return tuple(sorted(range(last, cut - 1, -apart)[:_MOST_ORIGINS]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict, what the challenger missed at its origins, how often its intervals held, and those origins."""

    verdict: Verdict
    misses: Mapping[str, Misses]
    covered: float | None
    origins: tuple[int, ...]


def judged(
    panel: Panel,
    challenger: ForecastModel,
    champion: ForecastModel | None,
    rules: Rules,
    *,
    cut: int,
    coverage: float,
    seed: int,
    size_bytes: int | None = None,
    foreign: Mapping[str, Foreign] | None = None,
) -> Judged:
    """Compare forecasts made at later origins, each from what was known there; one series at one origin is a unit.

    Errors are in the unit of MASE. Same arguments, same verdict.
    """
    origins = judging_origins(panel, challenger.horizon, cut)
    bench = Bench(panel, challenger.horizon, origins, foreign)
    told = _mixed(challenger, bench)
    naive = bench.forecast(NAIVE)
    actual, scale = bench.empty.actual, bench.empty.scale[..., None]
    rival = None if champion is None else _mixed(champion, bench)
    known = np.isfinite(actual) & np.isfinite(naive)
    units = np.broadcast_to(np.arange(scale.size).reshape(scale.shape), actual.shape)[known]

    def scored(forecasts: Values) -> Values:
        return (forecasts / scale)[known]

    verdict = judge(
        None if rival is None else Scored(predictions=scored(rival)),
        Scored(predictions=scored(told), size_bytes=size_bytes),
        scored(actual),
        rules,
        seed=seed,
        task=Task(kind=TaskKind.FORECASTING, target="value", metric=METRIC),
        train_prior=scored(naive),
        groups=units,
    )
    misses = misses_of(panel, bench.empty, told)
    return Judged(
        verdict=verdict,
        misses=misses,
        covered=_covered(challenger, misses, coverage),
        origins=origins,
    )


def _mixed(model: ForecastModel, bench: Bench) -> Values:
    told = np.stack([bench.forecast(recipe) for recipe in model.blend.recipes])
    return model.blend.mixed(told, bench.empty.names)


def _covered(model: ForecastModel, misses: Mapping[str, Misses], coverage: float) -> float | None:
    """The share of judged steps that the intervals hold which were known before the first of them."""
    peers = ratios(model.misses.values()) if len(model.misses) > 1 else None
    inside: list[npt.NDArray[np.bool_]] = []
    for name, later in misses.items():
        known = model.misses.get(name)
        if known is None:
            continue
        for errors, told, recent in zip(later.errors, later.told, later.recent, strict=True):
            there = np.isfinite(errors)
            reach = radius(known, told, float(recent), coverage=coverage, peers=peers)
            inside.append(np.abs(errors[there]) <= reach[there])
    return float(np.concatenate(inside).mean()) if inside else None
