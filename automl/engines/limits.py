"""Training that ends in time: by fewer rounds where a model boosts, by giving up elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from func_timeout import FunctionTimedOut, func_timeout
from lightgbm.callback import CallbackEnv, EarlyStopException
from xgboost.callback import TrainingCallback


def within(
    seconds: float, call: Callable[..., Any], *arguments: Any, named: Mapping[str, Any] | None = None
) -> Any:
    """The call's result; TimeoutError when it takes longer. Native code is stopped when it next returns."""
    try:
        return func_timeout(seconds, call, args=arguments, kwargs=dict(named or {}))
    except FunctionTimedOut:
        raise TimeoutError(f"stopped after {seconds:.2g} s") from None


@contextmanager
def unheard_timeouts() -> Iterator[None]:
    """Python prints an exception that hits a callback of native code to stderr; not these."""
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, FunctionTimedOut):
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


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
