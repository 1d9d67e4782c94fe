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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from flaml import AutoML
from flaml.automl.model import ElasticNetEstimator, LRL2Classifier
from flaml.automl.task.generic_task import GenericTask

from automl.engines.evaluation import Fold, Prepared
from automl.engines.protocol import Start
from automl.engines.searcher import Searcher
from automl.engines.trials import Trials, Tried

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


class FlamlEngine(Searcher):
    """FLAML behind the engine protocol.

    A start that was FLAML's is the first configuration tried (brought inside the search space where the
    data has shrunk), and its learner goes first. Which learner comes next depends on measured seconds, so
    the promise "same seed, same number of trials, same candidate" holds with ``max_trials`` set: then
    FLAML counts trials in place of seconds.
    """

    name = "flaml"

    def refit(self, tried: Tried, prepared: Prepared, seconds: float, *, seed: int) -> Any:
        """Trained on all rows; boosting that would overrun ends with fewer rounds."""
        task = GenericTask(_flaml_name(prepared))
        cls = _LINEAR.get(tried.estimator) or task.estimator_class_from_str(tried.estimator)
        learner = cls(**tried.config, task=task, n_jobs=1)
        learner.fit(prepared.full.X, prepared.full.y, budget=seconds, **prepared.full.fit_params)
        return learner.model

    def propose(self, trials: Trials, *, seed: int, starts: Sequence[Start] = ()) -> None:
        """Let FLAML propose configurations until the time or the trials are used up."""
        prepared = trials.prepared
        task = _FoldedTask(_flaml_name(prepared), trials)
        own = [start for start in starts if start.engine == self.name]
        learners = _learners(prepared, own)
        # Three budgets: ours must be the one that ends the search.
        budget = 3 * trials.allowance.budget_seconds
        limits = {"time_budget": budget} if self._max_trials is None else {"max_iter": 100_000}
        with _no_log():
            self._fit(task, learners, own, seed, limits)

    def _fit(
        self, task: _FoldedTask, learners: list[str], own: list[Start], seed: int, limits: dict[str, Any]
    ) -> None:
        prepared = task.trials.prepared
        AutoML().fit(
            prepared.full.X,
            prepared.full.y,
            task=task,
            estimator_list=learners,
            starting_points=_starting_points(task, learners, prepared, own),
            eval_method="cv",
            split_type=_AnyFolds(),
            metric="log_loss" if prepared.n_classes else "r2",  # never computed: trials bring their loss
            skip_transform=True,
            auto_augment=False,
            n_jobs=1,
            seed=seed,
            verbose=0,
            log_file_name="",
            mlflow_logging=False,
            **limits,
        )


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


_LINEAR: Mapping[str, type] = {"lrl2": _Logistic, "enet": _ElasticNet}


class _FoldedTask(GenericTask):  # type: ignore[misc]
    """FLAML's task, evaluating on folds of ours."""

    def __init__(self, name: str, trials: Trials) -> None:
        super().__init__(name)
        self.trials = trials
        self._estimators = {**self.estimators, **_LINEAR}

    def evaluate_model_CV(  # noqa: N802 (FLAML's name)
        self, config: dict[str, Any], estimator: Any, *_: Any, **__: Any
    ) -> tuple[float, dict[str, Any], float, float]:
        began = time.perf_counter()
        learner = next(name for name, cls in self.estimators.items() if cls is type(estimator))
        loss = self.trials.known(learner, _as_asked(config))
        if loss is None:
            loss = self.trials.run(
                learner,
                lambda seconds: _attempt(estimator, self.trials, seconds),
                lambda: _as_trained(config, estimator),
            )
        return math.inf if loss is None else loss, {}, time.perf_counter() - began, 0.0


class _AnyFolds:
    """Stands where FLAML wants a splitter; :class:`_FoldedTask` never asks it for a split."""

    shuffle = False

    def get_n_splits(self, *_: Any) -> int:
        return 2

    def split(self, *_: Any) -> Iterator[Any]:
        raise NotImplementedError


def _attempt(estimator: Any, trials: Trials, seconds: float) -> tuple[float, float]:
    """Cross-validate one of FLAML's estimators; boosting that would take longer ends with fewer rounds."""
    rounds = []

    def fit(fold: Fold) -> Any:
        estimator.cleanup()
        share = seconds * len(fold.train.y) / trials.prepared.fold_rows
        estimator.fit(fold.train.X, fold.train.y, budget=share, **fold.train.fit_params)
        rounds.append(_rounds(estimator.model))
        return estimator.model

    result = trials.prepared.cross_validate(fit, trials.keep)
    if all(rounds):
        # What had a score was a model of so many rounds: FLAML, the report and the refit must know.
        estimator.params["n_estimators"] = max(1, round(float(np.mean(rounds))))
    return result


def _rounds(model: Any) -> int:
    """Boosting rounds a model really has; 0 for models that don't boost."""
    if hasattr(model, "booster_"):
        return int(model.best_iteration_ or model.booster_.current_iteration())
    if hasattr(model, "get_booster"):
        return int(model.get_booster().num_boosted_rounds())
    return 0


def _as_asked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, JSON-able."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in config.items()}


def _as_trained(config: Mapping[str, Any], estimator: Any) -> dict[str, Any]:
    """The configuration with the size a time limit left."""
    plain = _as_asked(config)
    return (
        {**plain, "n_estimators": int(estimator.params["n_estimators"])} if "n_estimators" in plain else plain
    )


def _learners(prepared: Prepared, starts: Sequence[Start]) -> list[str]:
    """The learners to search, those of the starts first. A linear one only where it is quick."""
    linear = "lrl2" if prepared.n_classes else "enet"
    names = [*_TREES, *((linear,) if len(prepared.full.y) <= _LINEAR_ROWS else ())]
    first = [name for name in dict.fromkeys(start.estimator for start in starts) if name in names]
    return [*first, *(name for name in names if name not in first)]


def _starting_points(
    task: _FoldedTask, learners: list[str], prepared: Prepared, starts: Sequence[Start]
) -> dict[str, list[dict[str, Any]]]:
    points: dict[str, list[dict[str, Any]]] = {}
    for learner in learners:
        own = [start.config for start in starts if start.estimator == learner]
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


def _flaml_name(prepared: Prepared) -> str:
    if not prepared.n_classes:
        return "regression"
    return "binary" if len(prepared.full.present) == 2 else "multiclass"


@contextmanager
def _no_log() -> Iterator[None]:
    """Nothing of FLAML's log, which goes to stdout, while it runs; afterwards as it was."""
    logger = logging.getLogger("flaml.automl")
    before = logger.level, logger.disabled, list(logger.handlers)
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before[1]
        logger.setLevel(before[0])
        logger.handlers[:] = before[2]
