"""Linear regressions on lags, one for each history, with the penalty chosen by generalised cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.forecasting.histories import History
from automl.forecasting.lags import LagSet, lag_set
from automl.forecasting.shapes import shaped

Values = npt.NDArray[np.float64]
LONGEST = 3_000
_PENALTIES = np.logspace(-3, 3, 13)


@dataclass(frozen=True, slots=True)
class _Fitted:
    coefficients: Values
    level: float

    def __call__(self, features: Values) -> Values:
        return np.asarray(features @ self.coefficients + self.level)


def lag_ridge(
    histories: Sequence[History],
    horizon: int,
    *,
    differences: tuple[int, ...],
    reach: str,
    direct: bool,
    dummies: bool = True,
) -> Values:
    """Forecasts (histories, horizon): step by step on its own forecasts, or ``direct``, with a regression for each step."""
    rows = []
    for one in histories:
        shape = shaped(one.values[-LONGEST:], lags=differences)
        lost = len(one) - len(shape.values)
        lags = lag_set(reach, one.season, len(shape.values), dummies=dummies)
        places = one.start + lost + np.arange(len(shape.values) + horizon)
        beside = differenced(one.covariates, shape.lags)[-len(places) :]
        ahead = _direct if direct else _stepwise
        rows.append(shape.back(ahead(shape.values, lags, places, beside, horizon)))
    return np.stack(rows)


def differenced(table: Values, lags: tuple[int, ...]) -> Values:
    """The same differences of the covariates as of the values they explain, in units of their own spread."""
    for lag in lags:
        table = np.vstack([np.zeros((lag, table.shape[1])), table[lag:] - table[:-lag]])
    spread = table.std(axis=0)
    return np.asarray((table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _stepwise(
    values: Values, lags: LagSet, places: npt.NDArray[np.int64], beside: Values, horizon: int
) -> Values:
    n = len(values)
    at = np.arange(lags.reach, n)
    if len(at) < 4:
        return np.full(horizon, float(values[-1]))
    still = np.hstack([lags.cycle(places), beside])
    model = _fit(np.hstack([lags.past(values, at), still[at]]), values[at])
    most = 3.0 * float(np.abs(values).max()) + 1.0
    whole = np.concatenate([values, np.zeros(horizon)])
    for step in range(n, n + horizon):
        one = np.array([step])
        told = float(model(np.hstack([lags.past(whole, one), still[one]]))[0])
        whole[step] = min(max(told, -most), most)
    return whole[n:]


def _direct(
    values: Values, lags: LagSet, places: npt.NDArray[np.int64], beside: Values, horizon: int
) -> Values:
    n = len(values)
    still = np.hstack([lags.cycle(places), beside])
    now = lags.past(values, np.array([n])) if n >= lags.reach else None
    ahead = np.full(horizon, float(values[-1]))
    for step in range(horizon):
        at = np.arange(lags.reach, n - step)  # the origins whose value so many steps on is known
        if now is None or len(at) < 4:
            break
        model = _fit(np.hstack([lags.past(values, at), still[at + step]]), values[at + step])
        ahead[step] = model(np.hstack([now, still[[n + step]]]))[0]
    return ahead


def _fit(features: Values, target: Values) -> _Fitted:
    """Golub, Heath & Wahba (1979): the penalty that would predict each left-out row best."""
    middle, level = features.mean(axis=0), float(target.mean())
    spread = features.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    u, s, vt = np.linalg.svd((features - middle) / spread, full_matrices=False)
    along = u.T @ (target - level)
    outside = float(np.sum((target - level) ** 2) - along @ along)
    n = len(target)
    shrunk = s**2 / (s**2 + _PENALTIES[:, None] * n / 100)
    loss = outside + np.sum(((1 - shrunk) * along) ** 2, axis=1)
    freedom = np.maximum(n - 1 - shrunk.sum(axis=1), 0.5)
    best = int(np.argmin(loss / freedom**2))
    safe = np.where(s > 1e-12, s, 1.0)
    coefficients = (vt.T @ (shrunk[best] * along / safe)) / spread
    return _Fitted(coefficients, level - float(middle @ coefficients))
