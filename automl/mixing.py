"""One fold's loss of a mean of several models with one more of each: many mixes at once.

Where the metric asks for one number of each row (:class:`automl.metrics.Numbers`), only that is mixed, of all models in
one array. Other metrics are asked mix by mix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric
from automl.tallies import Values


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
        self._y, self._measure = np.asarray(y), measure
        self._weights = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
        self._numbers = None if measure.numbers is None else measure.numbers.of(self._y, whole)
        self._answers = whole if self._numbers is None else self._numbers

    def adding(self, counts: Mapping[int, int]) -> Values:
        """For each model the loss of the mean of so many (``counts``) of each and one more of it, NaN where it has no
        value."""
        mixed = self._answers
        if counts:
            total = np.sum([count * self._answers[at] for at, count in sorted(counts.items())], axis=0)
            mixed = (mixed + total) / (sum(counts.values()) + 1)
        scores = self._scores(mixed)
        return -scores if self._measure.greater_is_better else scores

    def _scores(self, mixed: Values) -> Values:
        if self._measure.numbers is not None and self._numbers is not None:
            return self._measure.numbers.scores(self._y, mixed, self._weights)
        return np.array([self._measure.score(self._y, one, self._weights) for one in mixed])
