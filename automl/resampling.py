"""The paired bootstrap: how sure is the difference between two models on the same rows?

Both models see the same resamples, drawn once: rows with replacement, or whole groups where rows of one
group belong together (a customer, a machine, a block of time).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy  # its parts come when they are first used

from automl.tallies import Positions, Sums, Tally, Values

_CELLS = 500_000
"""Weights held at once (4 MB as float64): a block of resamples fits the processor's cache."""
_FEW_KINDS = 256
_CAUTION = 0.2
"""Standard errors that the more cautious of two bounds, each estimated, may cost against the ideal one, and an effect
that is a share of an error measured on the same rows."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The bootstrapped differences of two models, from which bounds at any alpha are read.

    ``drawn`` are those of the resamples that had a score, ascending. ``rests_on`` is the number of units that the
    scores really rest on.
    """

    estimate: float
    drawn: Values
    error: float
    rests_on: int
    units: int
    resamples: int

    def difference(self, alpha: float) -> Difference:
        """Estimate and bounds.

        Each bound is the more cautious of two: the bootstrap percentile, and Student's bound from the
        bootstrap standard error. The percentile knows about skew; Student's reaches into tails that a few
        thousand resamples don't hold once alpha has been spent down, and knows when there are few units.
        """
        reach = self.error * float(scipy.special.stdtrit(self.rests_on - 1, 1.0 - alpha))
        tail = max(int(alpha * (len(self.drawn) + 1)), 1)
        return Difference(
            estimate=self.estimate,
            lower=min(float(self.drawn[tail - 1]), self.estimate - reach),
            upper=max(float(self.drawn[-tail]), self.estimate + reach),
            alpha=alpha,
            error=self.error,
            resamples=len(self.drawn),
            skipped=self.resamples - len(self.drawn),
            units=self.units,
        )

    def p_below(self, bound: float) -> float:
        """How surprising these draws were if the difference were ``bound`` or more: small where it is surely less.

        The larger of the bootstrap's and Student's p-value, as in :meth:`difference`.
        """
        at_least = int(np.sum(self.drawn >= bound))
        by_draws = (at_least + 1) / (len(self.drawn) + 1)
        if self.error == 0.0:
            return 1.0 if self.estimate >= bound else by_draws
        by_student = float(scipy.special.stdtr(self.rests_on - 1, (self.estimate - bound) / self.error))
        return max(by_draws, by_student)


def paired_draws(
    challenger: Tally,
    champion: Tally,
    *,
    rows: int,
    sign: float,
    resamples: int,
    seed: int,
    codes: Positions | None = None,
    support: int | None = None,
) -> Draws | None:
    """The bootstrapped difference of two tallies on the same rows; None where the rows give no score.

    ``sign`` is -1 for metrics where lower is better. ``codes`` number the group of each row from 0 without
    gaps. ``support`` is the number of units that the scores really rest on (those of the rarest class,
    say); all units by default. Swapping the two tallies mirrors the result exactly.
    """
    whole = np.ones((1, rows))
    estimate = sign * float(gap(challenger.scores(whole), champion.scores(whole))[0])
    if np.isnan(estimate):
        return None
    units = rows if codes is None else int(codes.max()) + 1
    gaps = [
        gap(ours, theirs) for ours, theirs in _resampled(challenger, champion, rows, codes, resamples, seed)
    ]
    drawn = sign * np.concatenate(gaps)
    drawn = drawn[~np.isnan(drawn)]
    rests_on = max(units if support is None else min(support, units), 2)
    if len(drawn) < 2:
        return None
    # the bootstrap's variance is that of a population of these units: too small by (m - 1) / m
    error = float(drawn.std(ddof=1)) * float(np.sqrt(rests_on / (rests_on - 1)))
    drawn.sort()
    return Draws(
        estimate=estimate, drawn=drawn, error=error, rests_on=rests_on, units=units, resamples=resamples
    )


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
    """:func:`paired_draws`, read at one alpha."""
    draws = paired_draws(
        challenger,
        champion,
        rows=rows,
        sign=sign,
        resamples=resamples,
        seed=seed,
        codes=codes,
        support=support,
    )
    return None if draws is None else draws.difference(alpha)


def rows_to_decide(
    difference: Difference, *, rows: int, effect: float, power: float, alpha: float | None = None
) -> int | None:
    """How many rows would show a gain above ``effect`` with chance ``power``, were the estimate the truth.

    ``rows`` are those behind the difference; the standard error shrinks with their square root. ``alpha`` is
    what the look at those rows may spend, by default what this one did. None where the estimate is not above
    the effect: more rows then don't help.
    """
    above = difference.estimate - effect
    if above <= 0 or difference.error == 0:
        return None
    z = float(scipy.special.ndtri(1.0 - (alpha or difference.alpha)) + scipy.special.ndtri(power)) + _CAUTION
    return int(np.ceil(rows * (z * difference.error / above) ** 2))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values adjusted for their number (Holm 1979), in the order given: those at most alpha may all be believed
    with a chance of at most alpha of being wrong about any, however they depend on each other.

    >>> holm([0.01, 0.04, 0.02])
    (0.03, 0.04, 0.04)
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min((len(p_values) - rank) * p_values[place], 1.0))
        adjusted[place] = worst
    return tuple(adjusted)


def group_codes(groups: npt.NDArray[Any]) -> Positions:
    """Groups numbered from 0 in the order of their first row."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.intp)


def gap(ours: Values, theirs: Values) -> Values:
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
        for weights in drawn_counts(random, rows, rows, resamples):
            yield pair[0].scores(weights), pair[1].scores(weights)
        return
    units = rows if codes is None else int(codes.max()) + 1
    for weights in drawn_counts(random, units, rows, resamples):
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


def drawn_counts(random: np.random.Generator, units: int, width: int, resamples: int) -> Iterator[Values]:
    """How often each of ``units`` was drawn, in blocks of resamples that bound the memory; each weight is to be spread
    over at most ``width`` rows."""
    size = max(1, min(resamples, _CELLS // max(units, width)))
    for start in range(0, resamples, size):
        block = min(size, resamples - start)
        drawn = random.integers(0, units, size=(block, units), dtype=np.intp)
        drawn += (np.arange(block, dtype=np.intp) * units)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=block * units)
        yield counts.reshape(block, units).astype(np.float64)
