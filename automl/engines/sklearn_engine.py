"""scikit-learn alone: good defaults, then settings at random, of which few rows choose those that get all.

Draws are taken nine at a time. Each trains on a ninth of a fold's rows, and the best three go on to all folds: one
bracket of successive halving (Jamieson & Talwalkar 2016). Where rows are few, every draw goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from automl.engines import sklearn_settings as settings
from automl.engines.evaluation import Fold, Prepared, Sample
from automl.engines.limits import unheard_timeouts, within
from automl.engines.plain import spread
from automl.engines.protocol import Start
from automl.engines.searcher import Searcher
from automl.engines.sklearn_settings import Setting
from automl.engines.trials import Trials, Tried

_DRAWN, _GO_ON, _SHARE = 9, 3, 9
_LEAST_ROWS = 500
_PATIENCE = 30


class SklearnEngine(Searcher):
    """scikit-learn behind the engine protocol: it needs, and imports, nothing else.

    A start that was its own is tried first. With ``max_trials`` set, same problem and seed give the same candidate.
    """

    name = "sklearn"

    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Try setting after setting until the time or the trials are used up."""
        read = [settings.from_config(start.config) for start in starts if start.engine == self.name]
        failed = 0
        with unheard_timeouts():
            for setting in _in_turn(trials, [one for one in read if one is not None], seed):
                loss = trials.run(
                    setting.kind,
                    lambda seconds, setting=setting: _attempt(setting, trials, seed, seconds),  # type: ignore[misc]
                    setting.to_config,
                )
                failed = failed + 1 if loss is None else 0
                if failed >= _PATIENCE:
                    return

    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """Trained on all rows; TimeoutError when that takes longer than ``seconds``."""
        setting = settings.from_config(tried.config)
        if setting is None:
            raise AssertionError(f"a setting that was tried can't be read back: {tried.config}")
        made = settings.model(setting, n_classes=prepared.n_classes, seed=seed)
        with unheard_timeouts():
            full = prepared.full
            return _within(seconds, made.fit, full.X, full.y, **full.fit_params)


def _in_turn(trials: Trials, starts: Sequence[Setting], seed: int) -> Iterator[Setting]:
    rows = len(trials.prepared.full.y)
    yield from starts
    yield from settings.defaults(rows)
    drawn = settings.draws(rows, seed)
    if len(trials.prepared.folds[0].train.y) < _LEAST_ROWS * _SHARE:
        yield from drawn
    while True:
        yield from _screened(list(islice(drawn, _DRAWN)), trials, seed)


def _screened(drawn: list[Setting], trials: Trials, seed: int) -> list[Setting]:
    """The best of them on a part of the first fold's rows; all of them where there is no time to look."""
    prepared, fold = trials.prepared, trials.prepared.folds[0]
    few = _part(fold.train, seed)
    losses: list[float] = []
    for setting in drawn:
        with trials.turns.turn(trials.engine):
            seconds = trials.allowance.trial_seconds()
            if not seconds:
                return drawn[:_GO_ON]
            losses.append(_loss(setting, prepared, fold, few, seed, seconds / _SHARE))
    order = np.argsort(losses, kind="stable")[:_GO_ON]
    return [drawn[at] for at in order if math.isfinite(losses[at])] or drawn[:_GO_ON]


def _loss(setting: Setting, prepared: Prepared, fold: Fold, few: Sample, seed: int, seconds: float) -> float:
    made = settings.model(setting, n_classes=prepared.n_classes, seed=seed)
    try:
        fitted = _within(seconds, made.fit, few.X, few.y, **few.fit_params)
        if prepared.n_classes:
            answers = spread(fitted.predict_proba(fold.X), few.present, prepared.n_classes)
        else:
            answers = np.asarray(fitted.predict(fold.X), dtype=np.float64)
        return prepared.loss(float(prepared.metric.score(fold.y, answers, fold.weights)))
    except (ValueError, TimeoutError):  # no value on these rows, or too slow for what it may take
        return math.inf


def _part(sample: Sample, seed: int) -> Sample:
    order = np.random.default_rng(seed).permutation(len(sample.y))
    rows = np.sort(order[: len(order) // _SHARE])
    y, present = sample.y[rows], sample.present
    if len(present):
        codes, y = np.unique(y, return_inverse=True)
        present = present[codes]
    weights = None if sample.weights is None else sample.weights[rows]
    return Sample(X=sample.X[rows], y=y, present=present, weights=weights)


def _attempt(setting: Setting, trials: Trials, seed: int, seconds: float) -> tuple[float, float]:
    n_classes = trials.prepared.n_classes

    def fit(fold: Fold) -> Any:
        made = settings.model(setting, n_classes=n_classes, seed=seed)
        return made.fit(fold.train.X, fold.train.y, **fold.train.fit_params)

    score: tuple[float, float] = _within(seconds, trials.prepared.cross_validate, fit, trials.keep)
    return score


def _within(seconds: float, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    def alone() -> Any:
        # A limit on OpenMP holds for the thread that sets it, and this one was made to be given up.
        with threadpool_limits(limits=1, user_api="openmp"):
            return call(*arguments, **named)

    return within(seconds, alone)
