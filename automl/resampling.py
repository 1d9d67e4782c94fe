"""The paired bootstrap: how sure is the difference between two models on the same rows?

Both models see the same resamples, drawn once: rows with replacement, or whole groups where rows of one
group belong together (a customer, a machine, a block of time).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from automl.tallies import Positions, Sums, Tally, Values

_CELLS = 500_000
"""Weights held at once (4 MB as float64): a block of resamples fits the processor's cache."""
_FEW_KINDS = 256
_CAUTION = 0.1
"""Standard errors that the more cautious of two bounds, each estimated, may cost against the ideal one."""
_NOISE = 1e-12
"""Differences below this share of the scores are rounding, and count as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A paired difference in the sense that a better challenger is positive.

    Each bound holds with confidence ``1 - alpha`` by itself: the difference is at least ``lower``, and it
    is at most ``upper``. ``error`` is its standard error. ``resamples`` were used, ``skipped`` ones had no
    score (they lacked a class). ``units`` are the rows, or groups, that were drawn.
    """

    estimate: float
    lower: float
    upper: float
    alpha: float
    error: float
    resamples: int
    skipped: int
    units: int

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Difference:
        return cls(**data)


def paired_difference(
    challenger: Tally,
    champion: Tally,
    *,
    rows: int,
    sign: float,
    alpha: float,
    resamples: int,
    seed: int,
    codes: Positions | None = None,
    support: int | None = None,
) -> Difference | None:
    """The bootstrapped difference of two tallies on the same rows; None where the rows give no score.

    ``sign`` is -1 for metrics where lower is better. ``codes`` number the group of each row from 0 without
    gaps. ``support`` is the number of units that the scores really rest on (those of the rarest class,
    say); all units by default. Swapping the two tallies mirrors the result exactly.

    Each bound is the more cautious of two: the bootstrap percentile, and Student's bound from the bootstrap
    standard error. The percentile knows about skew; Student's reaches into tails that a few thousand
    resamples don't hold once alpha has been spent down, and knows when there are few units.
    """
    whole = np.ones((1, rows))
    estimate = sign * float(_gap(challenger.scores(whole), champion.scores(whole))[0])
    if np.isnan(estimate):
        return None
    units = rows if codes is None else int(codes.max()) + 1
    gaps = [
        _gap(ours, theirs) for ours, theirs in _resampled(challenger, champion, rows, codes, resamples, seed)
    ]
    drawn = sign * np.concatenate(gaps)
    drawn = drawn[~np.isnan(drawn)]
    rests_on = max(units if support is None else min(support, units), 2)
    if len(drawn) < 2:
        return None
    # the bootstrap's variance is that of a population of these units: too small by (m - 1) / m
    error = float(drawn.std(ddof=1)) * float(np.sqrt(rests_on / (rests_on - 1)))
    drawn.sort()
    reach = error * float(stdtrit(rests_on - 1, 1.0 - alpha))
    tail = max(int(alpha * (len(drawn) + 1)), 1)
    return Difference(
        estimate=estimate,
        lower=min(float(drawn[tail - 1]), estimate - reach),
        upper=max(float(drawn[-tail]), estimate + reach),
        alpha=alpha,
        error=error,
        resamples=len(drawn),
        skipped=resamples - len(drawn),
        units=units,
    )


def rows_to_decide(difference: Difference, *, rows: int, effect: float, power: float) -> int | None:
    """How many rows would show a gain above ``effect`` with chance ``power``, were the estimate the truth.

    ``rows`` are those behind the difference; the standard error shrinks with their square root. None where
    the estimate is not above the effect: more rows then don't help.
    """
    above = difference.estimate - effect
    if above <= 0 or difference.error == 0:
        return None
    z = float(ndtri(1.0 - difference.alpha) + ndtri(power)) + _CAUTION
    return int(np.ceil(rows * (z * difference.error / above) ** 2))


def group_codes(groups: npt.NDArray[Any]) -> Positions:
    """Groups numbered from 0 in the order of their first row."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.intp)


def _gap(ours: Values, theirs: Values) -> Values:
    """``ours - theirs``, with differences that are only rounding set to none."""
    gap = ours - theirs
    tiny = np.abs(gap) <= _NOISE * np.maximum(np.abs(ours), np.abs(theirs))
    return np.where(tiny, 0.0, gap)


def _resampled(
    challenger: Tally, champion: Tally, rows: int, codes: Positions | None, resamples: int, seed: int
) -> Iterator[tuple[Values, Values]]:
    """Scores of both models on blocks of the same resamples."""
    random = np.random.default_rng(seed)
    if isinstance(challenger, Sums) and isinstance(champion, Sums):
        pair = (challenger, champion)
        if codes is not None:
            rows = int(codes.max()) + 1
            pair = (challenger.grouped(codes, rows), champion.grouped(codes, rows))
        first, counts = _kinds(pair)
        if len(first) <= _FEW_KINDS:
            ours, theirs = (tally.only(first) for tally in pair)
            weights = random.multinomial(rows, counts / rows, size=resamples).astype(np.float64)
            yield ours.scores(weights), theirs.scores(weights)
            return
        for weights in _counts(random, rows, rows, resamples):
            yield pair[0].scores(weights), pair[1].scores(weights)
        return
    units = rows if codes is None else int(codes.max()) + 1
    for weights in _counts(random, units, rows, resamples):
        spread = weights if codes is None else np.take(weights, codes, axis=1)
        yield challenger.scores(spread), champion.scores(spread)


def _kinds(pair: tuple[Sums, Sums]) -> tuple[Positions, Values]:
    """The first row of each kind, and how many rows are of it.

    Rows with equal terms in both models are interchangeable, so counts of kinds are all a resample needs:
    right or wrong in each model makes four kinds, whatever the number of rows. Kinds come in the order of
    their first row, which does not depend on which model is which.
    """
    joint = np.hstack([pair[0].terms, pair[1].terms])
    _, first, counts = np.unique(joint, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return first[order], counts[order].astype(np.float64)


def _counts(random: np.random.Generator, units: int, width: int, resamples: int) -> Iterator[Values]:
    """How often each unit was drawn, in blocks of resamples that bound the memory."""
    size = max(1, min(resamples, _CELLS // max(units, width)))
    for start in range(0, resamples, size):
        block = min(size, resamples - start)
        drawn = random.integers(0, units, size=(block, units), dtype=np.intp)
        drawn += (np.arange(block, dtype=np.intp) * units)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=block * units)
        yield counts.reshape(block, units).astype(np.float64)
