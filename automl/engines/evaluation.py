"""What every engine evaluates on: matrices for the folds in use, and scores by our metric.

The preprocessing is fitted anew inside each fold, on its training part only, so that an encoder which
looks at labels gives nothing of a validation row away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from automl.engines.plain import spread
from automl.engines.protocol import Folds, Problem
from automl.errors import SearchFailed
from automl.features import preprocessor
from automl.metrics import Metric, metric

TRIAL_ROWS = 60_000
"""A trial trains on at most this many rows of a fold, drawn at random; the winner on all rows."""
VALIDATION_ROWS = 20_000
"""A trial is scored on at most this many rows of a fold, drawn at random."""
_FEW_ROWS, _MANY_ROWS = 20_000, 100_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows as a matrix. ``y`` holds numbers, or class codes into ``present`` (class positions, ascending)."""

    X: Floats
    y: npt.NDArray[Any]
    present: npt.NDArray[np.int64]
    weights: Floats | None

    @property
    def fit_params(self) -> dict[str, Any]:
        return {} if self.weights is None else {"sample_weight": self.weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One fold: what to train on, and the rows to score it by (``y`` as class positions, or numbers).

    ``preprocessing`` was fitted on its training rows. Folds of one ``split`` hold different rows; 0 is the one that trials
    are chosen by.
    """

    train: Sample
    X: Floats
    y: npt.NDArray[Any]
    weights: Floats | None
    preprocessing: Pipeline
    split: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A problem made ready: the folds in use, all rows, and the preprocessing that was fitted on all rows, which took so
    many ``seconds`` together."""

    folds: tuple[Fold, ...]
    full: Sample
    preprocessing: Pipeline
    metric: Metric
    n_classes: int
    seconds: float = 0.0

    @property
    def first_folds(self) -> tuple[Fold, ...]:
        """Those that trials are chosen by: each row is validated on once at most."""
        return tuple(fold for fold in self.folds if fold.split == 0)

    @property
    def fold_rows(self) -> int:
        """Rows trained on over all folds."""
        return sum(len(fold.train.y) for fold in self.folds)

    @property
    def refit_ratio(self) -> float:
        """How much longer training on all rows takes than training once on every fold."""
        return len(self.full.y) / self.fold_rows

    def cross_validate(
        self,
        fit: Callable[[Fold], Any],
        keep: Callable[[Fold, Any, Floats, float], None] = lambda fold, model, answers, score: None,
    ) -> tuple[float, float]:
        """The mean score of the models ``fit`` gives, and the seconds of training alone.

        ``keep`` sees each fold's model, its answers to the validation rows and their score; what it raises ends
        the validation. A fold whose few validation rows leave the metric without a value is left out of the
        mean. Raises ValueError when there is none with a value.
        """
        scores, training = [], 0.0
        for fold in self.folds:
            began = time.perf_counter()
            model = fit(fold)
            training += time.perf_counter() - began
            answers = self.answers(fold, model)
            scores.append(float(self.metric.score(fold.y, answers, fold.weights)))
            keep(fold, model, answers, scores[-1])
        finite = [score for score in scores if math.isfinite(score)]
        if not finite:
            raise ValueError("the metric has no value on any fold")
        return float(np.mean(finite)), training

    def answers(self, fold: Fold, model: Any) -> Floats:
        """What a model trained on the fold's training part says of its validation rows: (n, K) or (n,)."""
        if self.n_classes:
            predicted = spread(model.predict_proba(fold.X), fold.train.present, self.n_classes)
        else:
            predicted = np.asarray(model.predict(fold.X), dtype=np.float64)
        if not np.isfinite(predicted).all():
            raise ValueError("the model predicts numbers that are not finite")
        return predicted

    def loss(self, score: float) -> float:
        """The score as something to minimise."""
        return -score if self.metric.greater_is_better else score


def folds_in_use(folds: Folds, rows: int) -> Folds:
    """All folds up to 20,000 rows, the last two up to 100,000, the last one beyond.

    The last are the newest where rows are ordered. The rule looks at nothing but the problem, so every
    engine scores by the same folds whatever its budget.
    """
    return folds if rows <= _FEW_ROWS else folds[-2:] if rows <= _MANY_ROWS else folds[-1:]


def prepare(problem: Problem, *, seed: int) -> Prepared:
    """Fit the preprocessing on each fold in use and on all rows.

    Raises SearchFailed when there is nothing to choose by: no usable fold, or one class only.
    """
    if problem.task.is_classification and len(np.unique(problem.y)) < 2:
        raise SearchFailed("the training rows have one class only: there is nothing to tell apart")
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    used = folds_in_use(problem.folds, len(problem.y))
    folds = tuple(fold for at in used if (fold := _fold(problem, at, rng, seed)) is not None)
    if not folds:
        raise SearchFailed("no fold has rows of two classes to train on and rows to score by")
    everything = np.arange(len(problem.y), dtype=np.intp)
    full, preprocessing = _sample(problem, everything, seed)
    return Prepared(
        folds=folds,
        full=full,
        preprocessing=preprocessing,
        metric=metric(problem.task.metric),
        n_classes=len(problem.task.classes) if problem.task.is_classification else 0,
        seconds=time.perf_counter() - began,
    )


def prepare_again(problem: Problem, prepared: Prepared, *, seed: int) -> Prepared | None:
    """The same with the problem's other folds instead; None where none of these can be used, or rows are so many that not
    all folds are."""
    if len(problem.y) > _FEW_ROWS:
        return None
    rng = np.random.default_rng(seed)
    folds = [fold for at in problem.again if (fold := _fold(problem, at, rng, seed)) is not None]
    return replace(prepared, folds=tuple(replace(fold, split=1) for fold in folds)) if folds else None


def _fold(
    problem: Problem,
    at: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    rng: np.random.Generator,
    seed: int,
) -> Fold | None:
    train = _at_most(at[0], TRIAL_ROWS, rng)
    valid = _at_most(at[1], VALIDATION_ROWS, rng)
    if not len(train) or not len(valid):
        return None
    if problem.task.is_classification and len(np.unique(problem.y[train])) < 2:
        return None
    sample, preprocessing = _sample(problem, train, seed)
    return Fold(
        train=sample,
        X=np.asarray(preprocessing.transform(problem.X.iloc[valid]), dtype=np.float64),
        y=problem.y[valid],
        weights=None if problem.weights is None else problem.weights[valid],
        preprocessing=preprocessing,
    )


def _sample(problem: Problem, rows: npt.NDArray[np.intp], seed: int) -> tuple[Sample, Pipeline]:
    preprocessing = preprocessor(problem.schema, problem.task, seed=seed)
    y = problem.y[rows]
    try:
        X = np.asarray(preprocessing.fit_transform(problem.X.iloc[rows], y), dtype=np.float64)
    except ValueError as fault:
        raise SearchFailed(f"the features can't be prepared: {fault}") from fault
    present = np.empty(0, dtype=np.int64)
    if problem.task.is_classification:
        present, y = np.unique(y, return_inverse=True)
    weights = None if problem.weights is None else problem.weights[rows]
    return Sample(X=X, y=y, present=present, weights=weights), preprocessing


def _at_most(rows: npt.NDArray[np.intp], most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """A random draw that keeps the order."""
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
