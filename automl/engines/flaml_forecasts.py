"""FLAML's forecasters: its search over ARIMA, Holt-Winters and regressions names recipes; each is fitted here by its own
estimator, so that it can be tried at the same origins as all others."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.forecasting.histories import History, history
from automl.forecasting.panel import Panel
from automl.forecasting.recipes import Foreign, Recipe

Values = npt.NDArray[np.float64]

KIND = "flaml"
ENGINE = "flaml"
ESTIMATORS = ("holt-winters", "lgbm", "extra_tree", "arima", "sarimax")
SEASONAL = ("holt-winters", "sarimax", "arima")
"""They fail where there is no season: the calendar's waves, which FLAML adds, are constant there."""
_OVERRUN = 0.3
"""It takes up to twice its time, and what it names has to be tried yet: so much of what is left is given to it."""
SERIES = 2
"""Series that FLAML searches on, one after the other: the longest."""
LONGEST = 400
"""Newest values that it is given; its ARIMA takes minutes on more."""
_FREQUENCIES = {12: "MS", 4: "QS", 7: "D", 24: "h", 52: "W", 5: "B"}
_TIME, _VALUE = "time", "value"


def load() -> None:
    """Import FLAML now, which takes seconds that shouldn't be a search's."""
    import flaml.automl.task.factory
    import flaml.automl.time_series  # noqa: F401


def proposer(
    seconds: float, seed: int, left: Callable[[], float] = lambda: float("inf")
) -> Callable[[Panel, int], Sequence[Recipe]]:
    """Names the best configuration of each estimator that FLAML finds in so many seconds, within those that are ``left``."""

    def propose(panel: Panel, horizon: int) -> Sequence[Recipe]:
        from flaml import AutoML

        chosen = sorted(panel.series, key=len, reverse=True)[:SERIES]
        found: dict[str, Recipe] = {}
        for series in chosen:
            past = history(panel, series, horizon)
            if len(past) < 3 * horizon + 10:
                continue
            automl = AutoML()
            with _quiet():
                automl.fit(
                    dataframe=_frame(past),
                    label=_VALUE,
                    task="ts_forecast",
                    period=horizon,
                    time_budget=max(1.0, min(seconds, _OVERRUN * left()) / len(chosen)),
                    estimator_list=[name for name in ESTIMATORS if panel.season > 1 or name not in SEASONAL],
                    starting_points=_starts(panel.season),
                    eval_method="holdout",
                    metric="mae",
                    seed=seed,
                    verbose=0,
                    n_jobs=1,
                )
            for name, config in (automl.best_config_per_estimator or {}).items():
                if config is not None:
                    recipe = Recipe(
                        kind=KIND, engine=ENGINE, config={"estimator": name, "settings": _plain(config)}
                    )
                    found[recipe.key] = recipe
        return tuple(found.values())

    return propose


def _starts(season: int) -> dict[str, dict[str, Any]]:
    """Small ARIMAs: FLAML's own first one has dozens of coefficients and takes seconds a fit."""
    found: dict[str, dict[str, Any]] = {"arima": {"p": 2, "d": 1, "q": 1}}
    if season > 1:
        found["sarimax"] = {"p": 1, "d": 1, "q": 1, "P": 0, "D": 1, "Q": 1, "s": season}
    return found


def forecaster(left: Callable[[], float]) -> Foreign:
    """Fits FLAML's estimator to each history. Raises TimeoutError where the first fits show that the seconds ``left``
    won't do for all."""

    def forecast(histories: Sequence[History], horizon: int, config: Mapping[str, Any]) -> Values:
        rows: list[Values] = []
        began = time.monotonic()
        for past in histories:
            rows.append(_forecast(past, horizon, str(config["estimator"]), dict(config["settings"])))
            spent = time.monotonic() - began
            if spent / len(rows) * (len(histories) - len(rows)) > left():
                raise TimeoutError(
                    f"one fit takes {spent / len(rows):.1f} s, and {len(histories)} were needed in the "
                    f"{max(0.0, left()):.0f} s left"
                )
        return np.stack(rows)

    return forecast


def _forecast(past: History, horizon: int, name: str, settings: dict[str, Any]) -> Values:
    from flaml.automl.task.factory import task_factory
    from flaml.automl.time_series import TimeSeriesDataset

    frame = _frame(past)
    task = task_factory("ts_forecast", None, None)
    with _quiet():
        data = TimeSeriesDataset(frame, time_col=_TIME, target_names=_VALUE)
        estimator = task.estimator_class_from_str(name)(task=task, **settings)
        estimator.fit(data, None, period=horizon)
        ahead = pd.date_range(frame[_TIME].iloc[-1], periods=horizon + 1, freq=_frequency(past))[1:]
        told = estimator.predict(data.add_test_data(pd.DataFrame({_TIME: ahead, _VALUE: np.nan})))
    values = np.asarray(told, dtype=np.float64).reshape(-1)
    if values.shape != (horizon,) or not np.all(np.isfinite(values)):
        raise ValueError(
            f"FLAML's {name} gave {values.shape} values for {horizon} steps, or some that are not finite"
        )
    return values


def _frame(past: History) -> pd.DataFrame:
    """Its newest values on dates of a like frequency; FLAML takes the season from that."""
    values = past.values[-LONGEST:]
    times = pd.date_range("2000-01-01", periods=len(values), freq=_frequency(past))
    return pd.DataFrame({_TIME: times, _VALUE: values})


def _frequency(past: History) -> str:
    return _FREQUENCIES.get(past.season, "YS" if past.season == 1 else "D")


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without numpy's own kinds of numbers, so that it can be JSON."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}


class _quiet(warnings.catch_warnings):  # noqa: N801 - used as a word
    """Without the warnings and log lines of its libraries."""

    def __enter__(self) -> Any:
        found = super().__enter__()
        warnings.simplefilter("ignore")
        for name in ("flaml", "flaml.automl.logger", "statsmodels"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return found
