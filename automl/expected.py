"""A metric without labels: what it is expected to be, where each row's label is only known by its chances.

Confidence-based performance estimation (CBPE; NannyML's documentation, "How it works: estimation of
performance", and Białek et al. 2024, Estimating Model Performance Under Covariate Shift Without Labels,
arXiv 2401.08348). A row that is of class k with
chance c counts as c of a row labelled k: the confusion matrix, the ROC curve and the sums of losses become
expected ones, and the metric is computed from them as always. It is the metric of the expected counts, which
for ratios (f1, roc_auc, …) is not exactly the expected metric; the two meet as rows grow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.metrics import Metric
from automl.tallies import Ranks, Sums, Tally, Values, mean_of_defined


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRanks:
    """roc_auc or average_precision: for each class every row once as a positive and once as a negative."""

    rankings: tuple[Ranks, ...]
    chances: tuple[Values, ...]

    def scores(self, weights: Values) -> Values:
        return mean_of_defined(
            [
                ranking.scores(np.hstack([weights * chance, weights * (1.0 - chance)]))
                for ranking, chance in zip(self.rankings, self.chances, strict=True)
            ]
        )


def expected_tally(measure: Metric, predictions: npt.NDArray[Any], chances: npt.NDArray[Any]) -> Tally:
    """The metric prepared on predictions and the chances of each class, for many weightings of the rows.

    Both of shape (n, K); ``predictions`` are the model's own, which rank rows and choose classes, ``chances``
    the calibrated ones. Raises ValueError for a metric of numbers and for shapes that differ.
    """
    given, likely = np.asarray(predictions, dtype=np.float64), np.asarray(chances, dtype=np.float64)
    fault = measure.fault(given, len(given))
    if measure.needs != "probabilities" or fault is not None or given.shape != likely.shape:
        raise ValueError(f"{measure.name}: {fault or 'probabilities and chances of one shape are needed'}")
    labelled = measure.tally(np.zeros(len(given), dtype=np.intp), given)
    if isinstance(labelled, Sums):
        return _expected_sums(measure, labelled, given, likely)
    assert isinstance(labelled, Ranks)
    classes = (1,) if given.shape[1] == 2 else range(given.shape[1])
    either = np.repeat([1, 0], len(given))
    rankings = []
    for k in classes:
        score = np.tile(given[:, k], 2)
        rankings.append(Ranks.of(labelled.statistic, either, np.column_stack([-score, score]), (1,)))
    return ExpectedRanks(rankings=tuple(rankings), chances=tuple(likely[:, k] for k in classes))


def expected_score(measure: Metric, predictions: npt.NDArray[Any], chances: npt.NDArray[Any]) -> float:
    """The expected metric on rows that count alike; NaN where it has none."""
    return float(expected_tally(measure, predictions, chances).scores(np.ones((1, len(predictions))))[0])


def _expected_sums(measure: Metric, labelled: Sums, given: Values, likely: Values) -> Sums:
    """Sums are linear in the labels: the expected terms of a row are those of each label by its chance."""
    terms = labelled.terms * likely[:, :1]
    for k in range(1, given.shape[1]):
        tally = measure.tally(np.full(len(given), k, dtype=np.intp), given)
        assert isinstance(tally, Sums)
        terms = terms + tally.terms * likely[:, k : k + 1]
    return Sums(terms=terms, finish=labelled.finish)
