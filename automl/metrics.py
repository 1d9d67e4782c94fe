"""The metrics a model can be judged by, each exact under row weights.

Definitions follow scikit-learn's. With more than two classes ``roc_auc`` is one-vs-rest macro, ``f1`` and
``average_precision`` are macro. With two, the class at position 1 is the positive one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from automl.row_losses import (
    Finish,
    Losses,
    Numbers,
    Prepare,
    absolute,
    given,
    itself,
    log_losses,
    mean,
    means,
    mistakes,
    positive,
    squared,
    surprise,
)
from automl.tallies import Positions, Ranks, Sums, Tally, Values, mean_of_defined, ratio, roc_aucs
from automl.task import TaskKind

Needs = Literal["probabilities", "values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    ``needs`` says what predictions it takes: ``probabilities`` of shape (n, K), or ``values`` of shape
    (n,). ``per_class`` metrics treat classes apart, so a holdout must hold enough rows of each;
    ``in_target_units`` ones (rmse, mae) have no scale of their own.
    """

    name: str
    greater_is_better: bool
    needs: Needs
    per_class: bool = False
    in_target_units: bool = False
    row_losses: Losses | None = field(default=None, repr=False)
    numbers: Numbers | None = field(default=None, repr=False)
    _prepare: Prepare = field(repr=False)

    def score(
        self, y: npt.NDArray[Any], p: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None
    ) -> float:
        """The metric in its own sign; NaN where it has no value (one class only, say).

        ``y`` are class positions or numbers. Raises ValueError on shapes that don't fit, numbers that are
        not finite, unknown classes and negative weights.
        """
        tally = self.tally(y, p)
        weigh = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        if weigh.shape != np.shape(y) or not np.all(weigh >= 0):
            raise ValueError("weights must be one number of zero or more for each row")
        return float(tally.scores(weigh[None, :])[0])

    def tally(self, y: npt.NDArray[Any], p: npt.NDArray[Any], *, classes: tuple[int, ...] = ()) -> Tally:
        """The metric prepared on these predictions, for many weightings of the rows.

        ``classes`` limits the mean of a per-class metric with more than two classes to some of them.
        """
        labels, predicted = self._checked(y, p)
        return self._prepare(labels, predicted, classes)

    def losses(self, y: npt.NDArray[Any], p: npt.NDArray[Any]) -> Values | None:
        """A loss for each row whose mean orders models as the metric does; None where there is none."""
        if self.row_losses is None:
            return None
        return self.row_losses(*self._checked(y, p))

    def gain(self, challenger: float, champion: float) -> float:
        """The difference in the sense that a better challenger is positive."""
        return challenger - champion if self.greater_is_better else champion - challenger

    def fault(self, p: npt.NDArray[Any], rows: int) -> str | None:
        """Why predictions can't be scored by this metric, or None."""
        predicted = np.asarray(p)
        if self.needs == "values" and predicted.shape != (rows,):
            return f"{rows:,} numbers were expected, an array of shape {predicted.shape} came"
        if self.needs == "probabilities" and (
            predicted.ndim != 2 or len(predicted) != rows or predicted.shape[1] < 2
        ):
            return f"{rows:,} rows of probabilities were expected, an array of shape {predicted.shape} came"
        if not np.all(np.isfinite(predicted)):
            return "some predictions are not finite numbers"
        return None

    def scorer(self) -> Scorer:
        """For engines and cross-validation: greater is better, takes (estimator, X, y)."""
        return Scorer(metric_name=self.name)

    def _checked(self, y: npt.NDArray[Any], p: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Values]:
        labels, predicted = np.asarray(y), np.asarray(p, dtype=np.float64)
        if labels.ndim != 1 or not len(labels):
            raise ValueError("labels must be a non-empty vector")
        fault = self.fault(predicted, len(labels))
        if fault is not None:
            raise ValueError(f"{self.name}: {fault}")
        if self.needs == "values":
            labels = labels.astype(np.float64)
            if not np.all(np.isfinite(labels)):
                raise ValueError(f"{self.name}: some labels are not finite numbers")
            return labels, predicted
        labels = labels.astype(np.intp)
        if labels.min() < 0 or labels.max() >= predicted.shape[1]:
            raise ValueError(f"{self.name}: a label lies outside the {predicted.shape[1]} classes predicted")
        return labels, predicted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A metric in scikit-learn's scorer form; picklable, and equal to another of the same metric."""

    metric_name: str

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score of a fitted estimator on encoded labels, negated where lower is better."""
        measure = metric(self.metric_name)
        labels = np.asarray(y)
        if measure.needs == "values":
            predicted = np.asarray(estimator.predict(X), dtype=np.float64).reshape(len(labels))
        else:
            predicted = _spread(estimator.predict_proba(X), np.asarray(estimator.classes_), labels)
        score = measure.score(labels, predicted, sample_weight)
        return score if measure.greater_is_better else -score


def _spread(probabilities: Any, classes: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Values:
    """Put each column at its class position: an estimator has no column for a class it never saw."""
    positions = classes.astype(np.intp)
    width = int(max(positions.max(), labels.astype(np.intp).max(), 1)) + 1
    spread = np.zeros((len(labels), width))
    spread[:, positions] = probabilities
    return spread


def _r2(y: npt.NDArray[Any], p: Values, classes: tuple[int, ...]) -> Tally:
    centred = y - y.mean()  # keeps the sum of squares below from drowning in a large mean
    terms = np.column_stack([squared(y, p), centred, np.square(centred), np.ones(len(y))])

    def finish(sums: Values) -> Values:
        spread = sums[:, 2] - ratio(np.square(sums[:, 1]), sums[:, 3])
        spread = np.where(spread > 1e-12 * sums[:, 2], spread, 0.0)  # all labels the same: no value
        return 1.0 - ratio(sums[:, 0], spread)

    return Sums(terms=terms, finish=finish)


def _confusion(y: Positions, p: Values, classes: tuple[int, ...]) -> tuple[Values, int]:
    """For each class: rows got right, rows predicted, rows there are. One column each, in this order."""
    ids = np.asarray(classes or range(p.shape[1]))
    actual, predicted = y[:, None] == ids, p.argmax(axis=1)[:, None] == ids
    return np.hstack([actual & predicted, predicted, actual]).astype(np.float64), len(ids)


def _f1(y: npt.NDArray[Any], p: Values, classes: tuple[int, ...]) -> Tally:
    binary = p.shape[1] == 2
    terms, k = _confusion(y, p, (1,) if binary else classes)

    def finish(sums: Values) -> Values:
        right, all_of_it = sums[:, :k], sums[:, k : 2 * k] + sums[:, 2 * k :]
        scores = mean_of_defined([ratio(2.0 * right[:, i], all_of_it[:, i]) for i in range(k)])
        return np.nan_to_num(scores, nan=0.0) if binary else scores

    return Sums(terms=terms, finish=finish)


def _balanced_accuracy(y: npt.NDArray[Any], p: Values, classes: tuple[int, ...]) -> Tally:
    terms, k = _confusion(y, p, classes)

    def finish(sums: Values) -> Values:
        return mean_of_defined([ratio(sums[:, i], sums[:, 2 * k + i]) for i in range(k)])

    return Sums(terms=terms, finish=finish)


def _ranked(statistic: Literal["roc_auc", "average_precision"]) -> Prepare:
    def prepare(y: npt.NDArray[Any], p: Values, classes: tuple[int, ...]) -> Tally:
        return Ranks.of(statistic, y, p, (1,) if p.shape[1] == 2 else classes or tuple(range(p.shape[1])))

    return prepare


def _classification(name: str, prepare: Prepare, **more: Any) -> Metric:
    better = more.pop("greater_is_better", True)
    return Metric(name=name, greater_is_better=better, needs="probabilities", _prepare=prepare, **more)


def _error(name: str, losses: Losses, finish: Finish = itself) -> Metric:
    return Metric(
        name=name,
        greater_is_better=False,
        needs="values",
        in_target_units=True,
        row_losses=losses,
        numbers=Numbers(of=lambda y, p: p, scores=means(losses, finish)),
        _prepare=mean(losses, finish),
    )


_ALL = (
    _classification(
        "roc_auc",
        _ranked("roc_auc"),
        per_class=True,
        numbers=Numbers(of=positive, scores=lambda y, numbers, weights: roc_aucs(numbers, y == 1, weights)),
    ),
    _classification(
        "log_loss",
        mean(log_losses),
        greater_is_better=False,
        row_losses=log_losses,
        numbers=Numbers(of=given, scores=means(surprise)),
    ),
    _classification("accuracy", mean(lambda y, p: 1.0 - mistakes(y, p)), row_losses=mistakes),
    _classification("f1", _f1, per_class=True),
    _classification("balanced_accuracy", _balanced_accuracy, per_class=True),
    _classification("average_precision", _ranked("average_precision"), per_class=True),
    _error("rmse", squared, np.sqrt),
    _error("mae", absolute),
    _error("mase", absolute),  # of values in units of their series (automl.forecasting.histories)
    Metric(name="r2", greater_is_better=True, needs="values", _prepare=_r2),
)

_OF_SERIES = ("mase",)

METRICS: Mapping[str, Metric] = MappingProxyType({each.name: each for each in _ALL})


def metric(name: str) -> Metric:
    """The metric of a name. Raises ValueError with the names there are."""
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
    return METRICS[name]


def metrics_for(kind: TaskKind) -> tuple[str, ...]:
    """The names of the metrics that a kind of task can be judged by."""
    if kind is TaskKind.FORECASTING:
        return _OF_SERIES
    needs = "probabilities" if kind is TaskKind.CLASSIFICATION else "values"
    return tuple(name for name, each in METRICS.items() if each.needs == needs and name not in _OF_SERIES)


def default_metric(kind: TaskKind, classes: int) -> str:
    """``roc_auc`` for two classes, ``log_loss`` for more, ``rmse`` for numbers, ``mase`` for series."""
    if kind is TaskKind.FORECASTING:
        return "mase"
    if kind is not TaskKind.CLASSIFICATION:
        return "rmse"
    return "roc_auc" if classes == 2 else "log_loss"
