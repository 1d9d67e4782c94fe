"""Boosting that ends in time, with the rounds it has by then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lightgbm.callback import CallbackEnv, EarlyStopException
from xgboost.callback import TrainingCallback


def lightgbm_within(seconds: float) -> Callable[[CallbackEnv], None]:
    """A callback that ends LightGBM's training with the rounds it has after ``seconds`` from now."""
    until = time.perf_counter() + seconds

    def callback(env: CallbackEnv) -> None:
        if time.perf_counter() > until:
            raise EarlyStopException(env.iteration, env.evaluation_result_list)

    callback.order = 40  # type: ignore[attr-defined]
    return callback


class XgboostWithin(TrainingCallback):  # type: ignore[misc]
    """Ends XGBoost's training with the rounds it has after ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._until = time.perf_counter() + seconds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return time.perf_counter() > self._until
