"""FLAML: cost-aware search over boosted trees, forests and linear models.

FLAML proposes; trials run here. Its task is subclassed at the one method that cross-validates a
configuration, so that a trial uses our folds, our metric and our time limits, and is reported as it ends.
When the time is up that method raises, which ends the search without FLAML's own, unlimited, final fit:
the winner is trained on all rows here, within what is left of the budget.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flaml import AutoML
from flaml.automl.model import ElasticNetEstimator, LRL2Classifier
from flaml.automl.task.generic_task import GenericTask

from automl.candidate import Candidate
from automl.engines.evaluation import Allowance, Prepared, one_thread, prepare
from automl.engines.plain import plain, requirements
from automl.engines.protocol import Problem, Start, Trial
from automl.errors import SearchFailed

_LINEAR_ROWS = 100_000
_TREES = ("lgbm", "xgboost", "extra_tree", "rf", "xgb_limitdepth")
_BOOST = {"learning_rate": 0.1, "colsample_bytree": 0.8, "reg_alpha": 0.001, "reg_lambda": 1.0}
_POINTS: Mapping[str, Mapping[str, Any]] = {
    # Good on most tables, so that a budget of seconds does not go on FLAML's first steps from 4 leaves.
    "lgbm": {**_BOOST, "n_estimators": 100, "num_leaves": 31, "min_child_samples": 20, "log_max_bin": 8},
    "xgboost": {
        **_BOOST,
        "n_estimators": 100,
        "max_leaves": 31,
        "min_child_weight": 1.0,
        "subsample": 0.9,
        "colsample_bylevel": 1.0,
    },
}


class _TimeIsUp(Exception):
    """Ends FLAML's loop; never leaves this module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Best:
    learner: str
    config: Mapping[str, Any]
    score: float


@dataclass(slots=True, kw_only=True)
class _Trials:
    """Runs and remembers the trials of one search."""

    prepared: Prepared
    allowance: Allowance
    report: Callable[[Trial], None]
    max_trials: int | None
    best: _Best | None = None
    errors: list[str] = field(default_factory=list)
    count: int = 0

    def run(self, learner: str, config: Mapping[str, Any], estimator: Any) -> float:
        """The loss of a configuration, infinite when it fails. Raises _TimeIsUp instead of overrunning."""
        seconds = self.allowance.trial_seconds()
        if not seconds or (self.max_trials is not None and self.count >= self.max_trials):
            raise _TimeIsUp
        self.count += 1
        began = time.perf_counter()
        score, error, training = None, None, 0.0
        try:
            score, training = self._cross_validate(estimator, seconds)
        except Exception as failure:  # a learner may refuse a configuration in any way it likes
            error = f"{type(failure).__name__}: {failure}"
            self.errors.append(f"{learner}: {error}")
        tried = {**_jsonable(config), **_rounds_of(estimator, config)}
        self.report(
            Trial(
                engine="flaml",
                estimator=learner,
                score=score,
                seconds=time.perf_counter() - began,
                config=tried,
                error=error,
            )
        )
        if score is None:
            return math.inf
        loss = self.prepared.loss(score)
        if self.best is None or loss < self.prepared.loss(self.best.score):
            self.best = _Best(learner=learner, config=tried, score=score)
            self.allowance.refit_seconds = training * self.prepared.refit_ratio
        return loss

    def _cross_validate(self, estimator: Any, seconds: float) -> tuple[float, float]:
        """Mean score over the folds, and the seconds of training."""
        folds = self.prepared.folds
        rows = sum(len(fold.train.y) for fold in folds)
        scores, rounds, training = [], [], 0.0
        for fold in folds:
            estimator.cleanup()
            share = seconds * len(fold.train.y) / rows
            began = time.perf_counter()
            estimator.fit(fold.train.X, fold.train.y, budget=share, **fold.train.fit_params)
            training += time.perf_counter() - began
            rounds.append(_rounds(estimator.model))
            scores.append(self.prepared.score(fold, estimator.model))
        score = self.prepared.mean(scores)
        if all(rounds) and "n_estimators" in estimator.params:
            # A fit cut short by its limit is a model of fewer trees: what is kept must be that model.
            estimator.params["n_estimators"] = max(1, round(float(np.mean(rounds))))
        return score, training


class _Logistic(LRL2Classifier):  # type: ignore[misc]
    """FLAML's, without its process-wide memory limit and alarm, and at the cost it has on scaled columns."""

    limit_resource = False

    @classmethod
    def cost_relative2lgbm(cls) -> float:
        return 1.5


class _ElasticNet(ElasticNetEstimator):  # type: ignore[misc]
    """FLAML's, at the cost it has on scaled columns."""

    @classmethod
    def cost_relative2lgbm(cls) -> float:
        return 1.0


class _FoldedTask(GenericTask):  # type: ignore[misc]
    """FLAML's task, evaluating on folds of ours."""

    def __init__(self, name: str, trials: _Trials) -> None:
        super().__init__(name)
        self._trials = trials
        self._estimators = {**self.estimators, "lrl2": _Logistic, "enet": _ElasticNet}

    def evaluate_model_CV(  # noqa: N802 (FLAML's name)
        self, config: dict[str, Any], estimator: Any, *_: Any, **__: Any
    ) -> tuple[float, dict[str, Any], float, float]:
        began = time.perf_counter()
        loss = self._trials.run(_learner_name(self, estimator), config, estimator)
        return loss, {}, time.perf_counter() - began, 0.0


class _AnyFolds:
    """Stands where FLAML wants a splitter; :class:`_FoldedTask` never asks it for a split."""

    shuffle = False

    def get_n_splits(self, *_: Any) -> int:
        return 2

    def split(self, *_: Any) -> Iterator[Any]:
        raise NotImplementedError


class FlamlEngine:
    """FLAML behind the engine protocol.

    A start that was FLAML's is the first configuration tried (brought inside the search space where the
    data has shrunk), and its learner goes first. Which learner comes next depends on measured seconds, so
    the promise "same seed, same number of trials, same candidate" holds with ``max_trials`` set: then
    FLAML counts trials in place of seconds.
    """

    def __init__(self, *, max_trials: int | None = None) -> None:
        self._max_trials = max_trials

    @property
    def name(self) -> str:
        return "flaml"

    def search(
        self,
        problem: Problem,
        *,
        budget_seconds: float,
        seed: int,
        report: Callable[[Trial], None],
        start: Start | None = None,
    ) -> Candidate:
        allowance = Allowance(budget_seconds=budget_seconds)
        with _quiet(), one_thread():
            prepared = prepare(problem, seed=seed)
            allowance.refit_ratio = prepared.refit_ratio
            trials = _Trials(
                prepared=prepared, allowance=allowance, report=report, max_trials=self._max_trials
            )
            task = _FoldedTask(_flaml_name(prepared), trials)
            self._propose(task, prepared, budget_seconds, seed, _usable(start))
            if trials.best is None:
                raise SearchFailed(_why(trials.errors, budget_seconds))
            model = _refit(task, trials.best, prepared, allowance.refit_limit())
        pipeline = plain(
            prepared.preprocessing, model, present=prepared.full.present, n_classes=prepared.n_classes
        )
        return Candidate(
            engine=self.name,
            estimator=trials.best.learner,
            pipeline=pipeline,
            score=trials.best.score,
            config=trials.best.config,
            requirements=requirements(pipeline),
        )

    def _propose(
        self, task: _FoldedTask, prepared: Prepared, budget: float, seed: int, start: Start | None
    ) -> None:
        """Let FLAML propose configurations until the time or the trials are used up."""
        learners = _learners(prepared, start)
        limits = {"time_budget": 3 * budget} if self._max_trials is None else {"max_iter": 100_000}
        try:
            AutoML().fit(
                prepared.full.X,
                prepared.full.y,
                task=task,
                estimator_list=learners,
                starting_points=_starting_points(task, learners, prepared, start),
                eval_method="cv",
                split_type=_AnyFolds(),
                metric="r2"
                if not prepared.n_classes
                else "log_loss",  # never computed: a trial brings its loss
                skip_transform=True,
                auto_augment=False,
                n_jobs=1,
                seed=seed,
                verbose=0,
                log_file_name="",
                mlflow_logging=False,
                **limits,
            )
        except _TimeIsUp:
            return


def _learners(prepared: Prepared, start: Start | None) -> list[str]:
    """The learners to search, the start's first. Linear ones only where they are quick."""
    linear = ("lrl2",) if prepared.n_classes else ("enet",)
    names = [*_TREES, *(linear if len(prepared.full.y) <= _LINEAR_ROWS else ())]
    if start is not None and start.estimator in names:
        names.remove(start.estimator)
        names.insert(0, start.estimator)
    return names


def _starting_points(
    task: _FoldedTask, learners: list[str], prepared: Prepared, start: Start | None
) -> dict[str, list[dict[str, Any]]]:
    points: dict[str, list[dict[str, Any]]] = {}
    for learner in learners:
        own = [start.config] if start is not None and start.estimator == learner else []
        known = [_POINTS[learner]] if learner in _POINTS else []
        space = task.estimator_class_from_str(learner).search_space(
            data_size=prepared.full.X.shape, task=task
        )
        inside = [point for config in (*own, *known) if (point := _inside(config, space))]
        if inside:
            points[learner] = inside
    return points


def _inside(config: Mapping[str, Any], space: Mapping[str, Any]) -> dict[str, Any] | None:
    """The configuration with numbers moved to the nearest the space allows; None when it can't fit.

    FLAML drops a point outside its space without a word, and the space shrinks with the data.
    """
    point = {}
    for name, spec in space.items():
        if name not in config:
            return None
        value, domain = config[name], spec["domain"]
        lower, upper = getattr(domain, "lower", None), getattr(domain, "upper", None)
        if lower is not None and upper is not None:
            whole = isinstance(lower, int) and isinstance(upper, int)
            value = min(max(value, lower), upper - 1 if whole else upper)
            value = int(value) if whole else float(value)
        if not domain.is_valid(value):
            return None
        point[name] = value
    return point


def _refit(task: _FoldedTask, best: _Best, prepared: Prepared, seconds: float) -> Any:
    """The winner trained on all rows; a boosting run that would overrun ends with fewer trees."""
    learner = task.estimator_class_from_str(best.learner)(**best.config, task=task, n_jobs=1)
    sample = prepared.full
    learner.fit(sample.X, sample.y, budget=seconds, **sample.fit_params)
    return learner.model


def _flaml_name(prepared: Prepared) -> str:
    if not prepared.n_classes:
        return "regression"
    return "binary" if len(prepared.full.present) == 2 else "multiclass"


def _learner_name(task: GenericTask, estimator: Any) -> str:
    return next(name for name, cls in task.estimators.items() if cls is type(estimator))


def _usable(start: Start | None) -> Start | None:
    return start if start is not None and start.engine == "flaml" else None


def _rounds(model: Any) -> int:
    """Boosting rounds a model really has; 0 for models that don't boost."""
    if hasattr(model, "booster_"):
        return int(model.best_iteration_ or model.booster_.current_iteration())
    if hasattr(model, "get_booster"):
        return int(model.get_booster().num_boosted_rounds())
    return 0


def _rounds_of(estimator: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"n_estimators": int(estimator.params["n_estimators"])} if "n_estimators" in config else {}


def _jsonable(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in config.items()}


def _why(errors: list[str], budget: float) -> str:
    if not errors:
        return f"no configuration could be tried within {budget:.3g} s: raise the budget or send fewer rows"
    return f"every configuration failed ({len(errors)}), the last with {errors[-1]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings and no log lines of FLAML's or its learners', only while it runs."""
    logger = logging.getLogger("flaml")
    level, disabled = logger.level, logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
        logger.setLevel(level)
