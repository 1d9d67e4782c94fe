"""Metrics prepared once on one model's predictions and then evaluated under many weightings of the rows.

The bootstrap asks for the same metric thousands of times with other multiplicities of the rows. What does
not depend on the multiplicities (losses, sort orders, ties) is done once here; what is left is a matrix
product (:class:`Sums`) or a cumulative sum (:class:`Ranks`) per block of resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


class Tally(Protocol):
    """A metric on fixed labels and predictions.

    ``scores`` takes weights of shape (B, rows), none of them negative, and returns B scores, NaN where the
    metric has no value under those weights (one class only, say). A whole-number weight means that many
    copies of the row, exactly; a class whose rows all weigh nothing is not there.
    """

    def scores(self, weights: Values) -> Values: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A metric that is a function of weighted sums over rows: ``finish(weights @ terms)``."""

    terms: Values
    finish: Callable[[Values], Values]

    def scores(self, weights: Values) -> Values:
        return self.finish(weights @ self.terms)

    def grouped(self, codes: Positions, groups: int) -> Sums:
        """The same metric with one row of terms for each group, for weights that are per group."""
        summed = [np.bincount(codes, weights=column, minlength=groups) for column in self.terms.T]
        return Sums(terms=np.stack(summed, axis=1), finish=self.finish)

    def only(self, rows: Positions) -> Sums:
        """The same metric on some of the rows."""
        return Sums(terms=self.terms[rows], finish=self.finish)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranking:
    """One class against the rest: both sides by ascending score, and where each positive falls in each.

    ``below`` and ``upto`` count the negatives scored lower, and lower or equal; ``peers`` counts the
    positives scored lower.
    """

    positives: Positions
    negatives: Positions
    below: Positions
    upto: Positions
    peers: Positions
    tied: bool

    @classmethod
    def of(cls, positive: npt.NDArray[np.bool_], score: Values) -> _Ranking:
        order = np.argsort(score, kind="stable")
        positives, negatives = order[positive[order]], order[~positive[order]]
        high, low = score[positives], score[negatives]
        below, upto = np.searchsorted(low, high, side="left"), np.searchsorted(low, high, side="right")
        return cls(
            positives=positives,
            negatives=negatives,
            below=below,
            upto=upto,
            peers=np.searchsorted(high, high, side="left"),
            tied=bool(np.any(below != upto)),
        )

    def roc_auc(self, weights: Values) -> Values:
        high = np.take(weights, self.positives, axis=1)
        low = _cumulated(np.take(weights, self.negatives, axis=1))
        beaten = np.take(low, self.below, axis=1)
        if self.tied:
            beaten = 0.5 * (beaten + np.take(low, self.upto, axis=1))
        return ratio(np.einsum("ij,ij->i", high, beaten), high.sum(axis=1) * low[:, -1])

    def average_precision(self, weights: Values) -> Values:
        high = np.take(weights, self.positives, axis=1)
        hits, misses = _cumulated(high), _cumulated(np.take(weights, self.negatives, axis=1))
        # counts at each positive's own threshold: everything scored the same or higher
        found = hits[:, -1:] - np.take(hits, self.peers, axis=1)
        wrong = misses[:, -1:] - np.take(misses, self.below, axis=1)
        precision = np.divide(found, found + wrong, out=np.zeros_like(found), where=found > 0)
        return ratio(np.einsum("ij,ij->i", high, precision), hits[:, -1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """A metric of the order of the rows; with several classes the mean of each one against the rest."""

    statistic: Literal["roc_auc", "average_precision"]
    rankings: tuple[_Ranking, ...]

    @classmethod
    def of(
        cls,
        statistic: Literal["roc_auc", "average_precision"],
        y: Positions,
        probabilities: Values,
        classes: tuple[int, ...],
    ) -> Ranks:
        rankings = tuple(_Ranking.of(y == k, probabilities[:, k]) for k in classes)
        return cls(statistic=statistic, rankings=rankings)

    def scores(self, weights: Values) -> Values:
        if self.statistic == "roc_auc":
            return mean_of_defined([ranking.roc_auc(weights) for ranking in self.rankings])
        return mean_of_defined([ranking.average_precision(weights) for ranking in self.rankings])


def roc_aucs(scores: Values, positive: npt.NDArray[np.bool_], weights: Values) -> Values:
    """The area of each of many scorings (many, rows) under one weighting, where :class:`Ranks` has one scoring under many.

    The chance that a positive is scored above a negative, ties counting half; NaN where one of them is missing.
    """
    alike = bool((weights == weights[:1]).all() and weights[:1].sum() > 0)
    known = _untied_aucs(scores, positive) if alike else None
    if known is None:
        return _weighted_aucs(scores, positive, weights)
    areas, tied = known
    if tied.any():
        areas[tied] = _weighted_aucs(scores[tied], positive, weights)
    return areas


def _untied_aucs(
    scores: Values, positive: npt.NDArray[np.bool_]
) -> tuple[Values, npt.NDArray[np.bool_]] | None:
    """The areas by the places of the positives, all rows alike, and which of them don't hold because a positive and a
    negative are tied. None where some score is below zero.

    The label takes the last bit of the score, whose bits order numbers of one sign as integers: sorting those is three times
    as quick as finding an order of the rows and going by it.
    """
    bits = np.ascontiguousarray(scores, dtype=np.float64).view(np.int64) & -2
    if not bits.size or bits.min() < 0:
        return None
    bits |= positive.astype(np.int64)
    bits.sort(axis=1)
    tied = ((bits[:, 1:] ^ bits[:, :-1]) == 1).any(axis=1)
    rows, high = bits.shape[1], int(positive.sum())
    bits &= 1
    won = bits.astype(np.float64) @ np.arange(rows, dtype=np.float64) - high * (high - 1) / 2
    return ratio(won, np.full(len(bits), float(high * (rows - high)))), tied


def _weighted_aucs(scores: Values, positive: npt.NDArray[np.bool_], weights: Values) -> Values:
    order = np.argsort(scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    high = np.where(positive, weights, 0.0)[order]
    low = np.where(positive, 0.0, weights)[order]
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
    return ratio(won, pairs)


def mean_of_defined(parts: list[Values]) -> Values:
    """The mean over parts, element by element, of those that have a value; NaN where none has."""
    stacked = np.stack(parts)
    defined = ~np.isnan(stacked)
    return ratio(np.where(defined, stacked, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


def _cumulated(weights: Values) -> Values:
    """Cumulative sums along rows, from a leading zero."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def ratio(top: Values, bottom: Values) -> Values:
    """``top / bottom``, NaN where there is nothing to divide by."""
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
