"""One fold's loss of a mean of several models with one more of each: many mixes at once.

Where the score of a mix depends on one number of each row (the number predicted, the probability of the row's own
class, that of the positive class), only that is mixed, of all models in one array. Other metrics are asked mix by mix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric

Values = npt.NDArray[np.float64]
Losses = Callable[[Values], Values]
"""Mixes of shape (many, rows) to a loss for each, NaN where it has no value."""


class Mixing:
    """The answers of all models to one fold's rows, (rows,) or (rows, classes) each, ready to be mixed.

    >>> from automl.metrics import metric
    >>> one = Mixing([np.array([1.0, 2.0]), np.array([3.0, 4.0])], np.array([2.0, 3.0]), None, metric("rmse"))
    >>> one.adding({})
    array([1., 1.])
    >>> one.adding({0: 1})
    array([1., 0.])
    """

    def __init__(
        self,
        answers: Sequence[npt.NDArray[Any]],
        y: npt.NDArray[Any],
        weights: Values | None,
        measure: Metric,
    ) -> None:
        whole = np.stack([np.asarray(one, dtype=np.float64) for one in answers])
        self._answers, self._losses = _prepared(whole, np.asarray(y), weights, measure)

    def adding(self, counts: Mapping[int, int]) -> Values:
        """For each model the loss of the mean of so many (``counts``) of each and one more of it."""
        mixed = self._answers
        if counts:
            total = np.sum([count * self._answers[at] for at, count in sorted(counts.items())], axis=0)
            mixed = (mixed + total) / (sum(counts.values()) + 1)
        return self._losses(mixed)


def _prepared(
    whole: Values, y: npt.NDArray[Any], weights: Values | None, measure: Metric
) -> tuple[Values, Losses]:
    shares = _shares(len(y), weights)
    if measure.name == "rmse":
        return whole, lambda mixed: np.sqrt(np.square(mixed - y) @ shares)
    if measure.name == "mae":
        return whole, lambda mixed: np.abs(mixed - y) @ shares
    if measure.name == "log_loss":
        own = np.take_along_axis(whole, y.astype(np.intp)[None, :, None], axis=2)[:, :, 0]
        smallest = np.finfo(np.float64).eps
        return own, lambda mixed: -np.log(np.clip(mixed, smallest, 1.0 - smallest)) @ shares
    if measure.name == "roc_auc" and whole.shape[2] == 2:
        positive = y == 1
        return whole[:, :, 1], lambda mixed: -_roc_auc(mixed, positive, shares)
    sign = -1.0 if measure.greater_is_better else 1.0
    return whole, lambda mixed: np.array([sign * measure.score(y, one, weights) for one in mixed])


def _shares(rows: int, weights: Values | None) -> Values:
    given = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    total = given.sum()
    return given / total if total > 0 else np.full(rows, np.nan)


def _roc_auc(scores: Values, positive: npt.NDArray[np.bool_], shares: Values) -> Values:
    """The chance that a positive is scored above a negative, ties counting half, rows by their share."""
    order = np.argsort(scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    high = np.where(positive, shares, 0.0)[order]
    low = np.where(positive, 0.0, shares)[order]
    upto = np.cumsum(low, axis=1)
    beaten = upto - low
    tied = ordered[:, 1:] == ordered[:, :-1]
    if tied.any():
        places = np.arange(scores.shape[1])
        joined = np.zeros_like(ordered, dtype=bool)
        joined[:, 1:] = tied
        first = np.maximum.accumulate(np.where(joined, 0, places), axis=1)
        joined[:, :-1], joined[:, -1] = tied, False
        last = np.minimum.accumulate(np.where(joined, places[-1], places)[:, ::-1], axis=1)[:, ::-1]
        beaten = 0.5 * (np.take_along_axis(beaten, first, axis=1) + np.take_along_axis(upto, last, axis=1))
    pairs = high.sum(axis=1) * upto[:, -1]
    won = np.einsum("ij,ij->i", high, beaten)
    areas: Values = np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0)
    return areas
