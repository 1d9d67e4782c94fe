"""Boosted trees on lags, one model for all histories together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History
from automl.forecasting.lags import LagSet, lag_set
from automl.forecasting.ridge import differenced
from automl.forecasting.shapes import Shaped, shaped

Values = npt.NDArray[np.float64]
MOST_ROWS = 200_000
"""Rows a fit: the newest of each history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    shape: Shaped
    still: Values


def lag_trees(
    histories: Sequence[History],
    horizon: int,
    *,
    fit: Callable[[Values, Values], Any],
    differences: tuple[int, ...],
    reach: str,
) -> Values:
    """Forecasts (histories, horizon), step by step, of the model that ``fit`` gives for features and targets."""
    shortest = min(len(one) for one in histories) - sum(differences)
    lags = lag_set(reach, histories[0].season, max(shortest, 4), dummies=False)
    prepared = [_prepared(one, lags, differences, horizon) for one in histories]
    most = max(50, MOST_ROWS // len(histories))
    features, targets = [], []
    for one in prepared:
        values = one.shape.values[-most:]
        at = np.arange(min(lags.reach, len(values)), len(values))
        if len(at):
            still = one.still[len(one.shape.values) - len(values) :]
            features.append(np.hstack([lags.past(values, at), still[at]]))
            targets.append(values[at])
    model = fit(np.concatenate(features), np.concatenate(targets))
    return _stepwise(prepared, lags, model, horizon)


def _prepared(one: History, lags: LagSet, differences: tuple[int, ...], horizon: int) -> _Prepared:
    shape = shaped(one.values, lags=differences)
    lost = len(one) - len(shape.values)
    places = one.start + lost + np.arange(len(shape.values) + horizon)
    beside = differenced(one.covariates, shape.lags)[lost:]
    return _Prepared(shape=shape, still=np.hstack([lags.cycle(places), beside]))


def _stepwise(prepared: Sequence[_Prepared], lags: LagSet, model: Any, horizon: int) -> Values:
    reach = lags.reach
    tails = np.zeros((len(prepared), reach + horizon))
    for row, one in zip(tails, prepared, strict=True):
        tail = one.shape.values[-reach:]
        row[reach - len(tail) : reach] = tail
    for step in range(horizon):
        here = np.array([reach + step])
        rows = [
            np.hstack([lags.past(tail, here)[0], one.still[len(one.shape.values) + step]])
            for tail, one in zip(tails, prepared, strict=True)
        ]
        tails[:, reach + step] = model.predict(np.stack(rows))
    return np.stack([one.shape.back(row[reach:]) for row, one in zip(tails, prepared, strict=True)])


def lightgbm(
    *, trees: int, leaves: int, rate: float, least: int, seed: int
) -> Callable[[Values, Values], Any]:
    """A LightGBM regression of the mean absolute error's smooth kin; one thread."""

    def fit(features: Values, targets: Values) -> Any:
        from lightgbm import LGBMRegressor

        model = LGBMRegressor(
            n_estimators=trees,
            num_leaves=leaves,
            learning_rate=rate,
            min_child_samples=min(least, max(2, len(targets) // 20)),
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.8,
            random_state=seed,
            n_jobs=1,
            verbosity=-1,
        )
        return model.fit(features, targets).booster_

    return fit
