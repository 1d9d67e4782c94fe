"""A portfolio's setting as a trial, and trained on all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from lightgbm import early_stopping

from automl.engines import portfolio
from automl.engines.boosting_limits import XgboostWithin, lightgbm_within
from automl.engines.evaluation import Fold, Prepared
from automl.engines.limits import unheard_timeouts, within
from automl.engines.portfolio import Setting
from automl.engines.skewed import LogTarget
from automl.engines.trials import Trials, Tried


def tried(setting: Setting, trials: Trials, *, seed: int) -> float | None:
    """The setting's loss on the folds, None when it failed; boosting without rounds of its own stops early there, and
    the rounds that it stopped at are told as part of it. Raises SearchOver."""
    used: list[dict[str, Any]] = []
    return trials.run(
        setting.kind,
        lambda seconds: attempt(setting, trials, seed, used, seconds),
        lambda: used[-1] if used else setting.to_config(),
    )


def trained(chosen: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
    """The model of a setting that was tried, on all rows, with the rounds that it stopped at on the folds."""
    setting = portfolio.from_config(chosen.config)
    if setting is None:
        raise AssertionError(f"a setting that was tried can't be read back: {chosen.config}")
    made = portfolio.model(setting, n_classes=prepared.n_classes, seed=seed)
    more = {**_weights(made, prepared.full.weights)}
    if setting.kind == "lightgbm":
        more["callbacks"] = [lightgbm_within(seconds)]
    elif setting.kind == "xgboost":
        made.set_params(callbacks=[XgboostWithin(seconds)])
    with unheard_timeouts():
        fitted = within(1.5 * seconds, made.fit, prepared.full.X, prepared.full.y, named=more)
    return _without_callbacks(fitted)


def attempt(
    setting: Setting,
    trials: Trials,
    seed: int,
    used: list[dict[str, Any]],
    seconds: float,
    *,
    about: int | None = None,
) -> tuple[float, float]:
    """Score and seconds of training; ``used`` gets the setting with the rounds that boosting stopped at, which are
    ``about`` so many where it was tried before: it waits no longer than a quarter of those for a better one."""
    prepared, rounds = trials.prepared, list[int]()

    def fit(fold: Fold) -> Any:
        made = portfolio.model(setting, n_classes=prepared.n_classes, seed=seed)
        fitted, stopped = _early(made, setting, fold, seconds * len(fold.train.y) / prepared.fold_rows, about)
        if stopped:
            rounds.append(stopped)
            mean = max(1, round(float(np.mean(rounds))))
            used.append({"kind": setting.kind, "params": {**setting.params, "n_estimators": mean}})
        return fitted

    with unheard_timeouts():
        # Boosting ends by itself when its share is used up; scoring takes time too.
        result: tuple[float, float] = within(1.5 * seconds, prepared.cross_validate, fit, trials.keep)
    return result


def _early(made: Any, setting: Setting, fold: Fold, seconds: float, about: int | None) -> tuple[Any, int]:
    """The model fitted on the fold, and the rounds that boosting stopped at (0 where there are none).

    It stops by the fold's own validation rows, or after ``seconds``; rounds that a setting names are kept.
    """
    weights = _weights(made, fold.train.weights)
    valid = _validation(fold) if setting.kind in ("lightgbm", "xgboost") else None
    if valid is None:
        return made.fit(fold.train.X, fold.train.y, **weights), int(setting.params.get("n_estimators", 0))
    X, y = valid
    free = "n_estimators" not in setting.params
    wait = 3.0 / float(setting.params["learning_rate"]) if free else portfolio.MOST_ROUNDS
    patience = max(15, round(wait if about is None else min(wait, about / 4)))
    shaped = np.log1p(np.maximum(y, 0.0)) if isinstance(made, LogTarget) else y
    given: dict[str, Any] = {"eval_set": [(X, shaped)], **weights}
    if setting.kind == "lightgbm":
        stops = [lightgbm_within(seconds), *([early_stopping(patience, verbose=False)] if free else ())]
        made.fit(fold.train.X, fold.train.y, callbacks=stops, **given)
        booster = made.regressor_ if isinstance(made, LogTarget) else made
        return made, int(booster.best_iteration_ or booster.booster_.current_iteration())
    made.set_params(
        callbacks=[XgboostWithin(seconds)], **({"early_stopping_rounds": patience} if free else {})
    )
    made.fit(fold.train.X, fold.train.y, verbose=False, **given)
    stopped = made.best_iteration + 1 if free else made.get_booster().num_boosted_rounds()
    return _without_callbacks(made), int(stopped)


def _without_callbacks(made: Any) -> Any:
    """XGBoost keeps its callbacks as parameters; a model that is stored has none."""
    if "callbacks" in made.get_params(deep=False):
        made.set_params(callbacks=None)
    return made


def _validation(fold: Fold) -> tuple[Any, Any] | None:
    """The fold's validation rows with labels as its models know them; None where one has a class they don't."""
    if not len(fold.train.present):
        return fold.X, fold.y
    codes = np.searchsorted(fold.train.present, fold.y).clip(max=len(fold.train.present) - 1)
    known = fold.train.present[codes] == fold.y
    return (fold.X[known], codes[known]) if known.any() else None


def _weights(made: Any, weights: Any) -> dict[str, Any]:
    """For ``fit``. A model that can't weigh rows fails by them, and so the trial: it would learn from those that count for
    nothing."""
    if weights is None:
        return {}
    steps = getattr(made, "steps", None)
    return {f"{steps[-1][0]}__sample_weight" if steps else "sample_weight": weights}
