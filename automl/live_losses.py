"""One loss for each row and model, bounded, whose mean orders two models as the judge's metric does.

A watch over live rows needs a number for each row on its own, and roc_auc or f1 are numbers of many rows. So
each metric has a loss that stands for it, fitted on the judged rows of both models:

- accuracy, f1: a mistake costs 1.
- balanced_accuracy: a mistake costs the more, the rarer its class was on the judged rows.
- log_loss: its own, cut where a wrong answer was surer than 99%.
- roc_auc, average_precision: the share of judged rows of other classes that the model rates as likely to be
  of this row's class (a placement value; DeLong, DeLong & Clarke-Pearson 1988). With two classes its mean
  over unchanged rows is 1 - roc_auc. With more it weighs classes by their rows, where the metric weighs them
  alike.
- mae: the absolute, rmse and r2: the squared error, cut at the 99th percentile on the judged rows.

A proper score in place of the placement would roll back a model that ranks better but is calibrated worse.
But a placement is as good as the rows it places against: live rows, however many, compare the two models
against those judged rows and no others. ``tolerance`` is what such a sample may be off by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric, metric
from automl.tallies import Values

_SUREST = 0.99
_CUT_AT = 0.99
_KEPT = 1000
"""Reference scores of each class kept, spread evenly over their order: a placement is exact to 0.1%."""
_HEAVIEST = 10.0
_RANKED = ("roc_auc", "average_precision")
_Scores = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLoss:
    """The loss that stands for ``metric`` on live rows of one challenger and one champion.

    ``bound`` is the largest loss that counts: :class:`automl.watch.Watch` cuts to it and says how often.
    ``tolerance`` is the difference of mean losses that means nothing: two standard errors of what the sample
    of judged rows adds to a placement, 0 for losses that need no such sample.
    """

    metric: str
    bound: float
    tolerance: float = 0.0
    class_costs: tuple[float, ...] = ()
    new_others: _Scores = ()
    old_others: _Scores = ()
    """For each class the ascending scores that it got on judged rows of other classes."""

    @classmethod
    def fit(
        cls, metric_name: str, y: npt.NDArray[Any], *, new: npt.NDArray[Any], old: npt.NDArray[Any]
    ) -> LiveLoss:
        """From the judged rows: class positions or numbers ``y``, and both models' predictions of them.

        Raises ValueError for an unknown metric and for predictions that don't fit.
        """
        measure = metric(metric_name)
        _check(measure, y, new)
        _check(measure, y, old)
        if measure.needs == "values":
            losses = np.concatenate([_errors(metric_name, y, new), _errors(metric_name, y, old)])
            return cls(metric=metric_name, bound=_most(losses))
        if metric_name == "log_loss":
            return cls(metric=metric_name, bound=float(-np.log(1.0 - _SUREST)))
        if metric_name in _RANKED:
            return cls(
                metric=metric_name,
                bound=1.0,
                tolerance=2.0 * _reference_error(y, new, old),
                new_others=_others(y, new),
                old_others=_others(y, old),
            )
        if metric_name != "balanced_accuracy":
            return cls(metric=metric_name, bound=1.0)
        counts = np.bincount(np.asarray(y, dtype=np.intp), minlength=np.shape(new)[1])
        # a class that was not among the judged rows is taken for one that was there once
        costs = np.minimum(counts.sum() / ((counts > 0).sum() * np.maximum(counts, 1)), _HEAVIEST)
        return cls(metric=metric_name, bound=float(costs.max()), class_costs=tuple(costs.tolist()))

    def losses(
        self, y: npt.NDArray[Any], *, new: npt.NDArray[Any], old: npt.NDArray[Any]
    ) -> tuple[Values, Values]:
        """Losses of the new and of the old model, one for each row, zero or more and not yet cut.

        Raises ValueError for labels and predictions that don't fit.
        """
        return self._of(y, new, self.new_others), self._of(y, old, self.old_others)

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "bound": self.bound,
            "tolerance": self.tolerance,
            "class_costs": list(self.class_costs),
            "new_others": [list(scores) for scores in self.new_others],
            "old_others": [list(scores) for scores in self.old_others],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LiveLoss:
        return cls(
            metric=data["metric"],
            bound=data["bound"],
            tolerance=data["tolerance"],
            class_costs=tuple(data["class_costs"]),
            new_others=tuple(tuple(scores) for scores in data["new_others"]),
            old_others=tuple(tuple(scores) for scores in data["old_others"]),
        )

    def _of(self, y: npt.NDArray[Any], predicted: npt.NDArray[Any], others: _Scores) -> Values:
        measure = metric(self.metric)
        _check(measure, y, predicted)
        if measure.needs == "values":
            return _errors(self.metric, y, predicted)
        positions = np.asarray(y, dtype=np.intp)
        if self.metric in _RANKED:
            return _placements(positions, np.asarray(predicted, dtype=np.float64), others)
        if self.metric == "log_loss":
            losses = measure.losses(y, predicted)
            assert losses is not None
            return losses
        mistakes = np.asarray(np.argmax(predicted, axis=1) != positions, dtype=np.float64)
        return mistakes * np.asarray(self.class_costs)[positions] if self.class_costs else mistakes


def _check(measure: Metric, y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> None:
    fault = measure.fault(predicted, len(y))
    labels = np.asarray(y)
    if fault is None and not np.isfinite(labels).all():
        fault = "some labels are not finite numbers"
    elif fault is None and measure.needs == "probabilities" and len(labels):
        known = np.shape(predicted)[1]
        if labels.min() < 0 or labels.max() >= known:
            fault = f"a label lies outside the {known} classes predicted"
    if fault is not None:
        raise ValueError(f"{measure.name}: {fault}")


def _errors(metric_name: str, y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> Values:
    errors: Values = np.abs(np.asarray(y, dtype=np.float64) - np.asarray(predicted, dtype=np.float64))
    return errors if metric_name == "mae" else np.square(errors)


def _most(losses: Values) -> float:
    """The 99th percentile; the largest where nearly all are zero, and 1 where all are."""
    for bound in (float(np.quantile(losses, _CUT_AT)), float(losses.max())):
        if bound > 0:
            return bound
    return 1.0


def _others(y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> _Scores:
    positions = np.asarray(y, dtype=np.intp)
    kept = []
    for k in range(predicted.shape[1]):
        scores = np.sort(np.asarray(predicted[positions != k, k], dtype=np.float64))
        if len(scores) > _KEPT:
            scores = scores[np.linspace(0, len(scores) - 1, _KEPT).round().astype(np.intp)]
        kept.append(tuple(scores.tolist()))
    return tuple(kept)


def _placements(positions: npt.NDArray[np.intp], predicted: Values, others: _Scores) -> Values:
    """The share of reference rows of other classes scored above each row for its class, ties by half."""
    losses = np.zeros(len(positions))
    for k in np.unique(positions):
        rows = positions == k
        reference = np.asarray(others[k])
        if not len(reference):  # all judged rows were of this class: any answer is as good
            continue
        scores = predicted[rows, k]
        below = np.searchsorted(reference, scores, side="left")
        upto = np.searchsorted(reference, scores, side="right")
        losses[rows] = 1.0 - 0.5 * (below + upto) / len(reference)
    return losses


def _reference_error(y: npt.NDArray[Any], new: npt.NDArray[Any], old: npt.NDArray[Any]) -> float:
    """The standard error of the difference of two mean placements that comes from the rows placed against.

    The variance of DeLong's components on their side: each reference row's own part in the mean.
    """
    positions = np.asarray(y, dtype=np.intp)
    parts = np.zeros(len(positions))
    for k in np.unique(positions):
        inside = positions == k
        others = np.count_nonzero(~inside)
        beaten = np.zeros(others)
        for sign, predicted in ((1.0, new), (-1.0, old)):
            scores = np.asarray(predicted[:, k], dtype=np.float64)
            own = np.sort(scores[inside])
            below = np.searchsorted(own, scores[~inside], side="left")
            upto = np.searchsorted(own, scores[~inside], side="right")
            beaten += sign * 0.5 * (below + upto) / len(own)
        if others:
            parts[~inside] += inside.mean() / others * (beaten - beaten.mean())
    return float(np.sqrt(np.square(parts).sum()))
