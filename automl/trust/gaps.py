"""How far apart a model's groups are, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.trust.figures import Figure, Measured, Values
from automl.trust.groups import Grouping

MEASURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "demographic_parity_difference": ("selection_rate",),
        "equalized_odds_difference": ("true_positive_rate", "false_positive_rate"),
        "calibration_difference": ("calibration",),
        "error_difference": ("error",),
        "bias_difference": ("bias",),
    }
)
"""The gaps, each the largest difference between two groups in one of these figures (names as in fairlearn). Those of
errors are shares of the mean absolute error over all rows."""
LEAST_PART = 0.3
"""A group's rate is judged that is a share of at least so large a part of the rows a group has to have (30 positives where
groups need 100 rows)."""
LEAST_UNITS = 30
"""A group is judged that has rows of at least so many entities: how far fewer differ says little of how far others would,
and of one there is nothing to see."""
LEAST_DRAWS = 50
"""Two groups are compared that have figures in at least so many resamples in which both have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A difference in ``figure`` between two groups, the higher first; it is surely above ``low``."""

    figure: Figure
    groups: tuple[str, str]
    value: float
    low: float

    def to_json(self) -> dict[str, Any]:
        return {
            "figure": self.figure.name,
            "label": self.figure.label,
            "groups": list(self.groups),
            "value": self.value,
            "low": self.low,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The largest difference in any figure of ``measure`` among the judged groups of a grouping: that of ``widest``.

    All pairs of groups together are judged with the same chance of a wrong word: the gap is surely at least that of
    ``surest``, the pair whose bound is the highest, and surely at most ``high``. ``drawn`` is the widest pair's
    difference in each resample.
    """

    measure: str
    widest: Pair
    surest: Pair
    high: float
    drawn: Values

    @property
    def value(self) -> float:
        return self.widest.value

    @property
    def low(self) -> float:
        return max(0.0, self.surest.low)

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "widest": self.widest.to_json(),
            "surest": self.surest.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """All differences in one figure: ``apart`` and their standard ``errors`` (groups, groups); the judged groups. NaN of
    two that can't be compared."""

    place: int
    names: tuple[str, ...]
    judged: npt.NDArray[np.intp]
    apart: Values
    errors: Values

    @property
    def any_compared(self) -> bool:
        return bool(np.isfinite(self.errors[~np.eye(len(self.errors), dtype=np.bool_)]).any())


def comparisons(
    found: Sequence[Measured], groupings: Sequence[Grouping], measures: Sequence[str], least: int
) -> int:
    """How many differences are judged, each in both directions: what a chance of error is divided by."""
    counts = [
        len(judged) * (len(judged) - 1)
        for one, grouping in zip(found, groupings, strict=True)
        for measure in measures
        for place in _places(one, measure)
        for judged in [_judged(one, grouping, place, least)]
    ]
    return sum(counts)


def gap(
    found: Measured, grouping: Grouping, measure: str, *, least: int, alpha: float, unit: float = 1.0
) -> Gap | None:
    """The gap of one grouping, in shares of ``unit``; None where no two groups can be judged.

    ``alpha`` is the chance of error of each single bound (see :func:`comparisons`): a difference is surely more than
    itself less ``z`` standard errors. ``least`` is the rows that a judged group has.
    """
    z = NormalDist().inv_cdf(1 - alpha)
    places = [place for place in _places(found, measure) if len(_judged(found, grouping, place, least)) > 1]
    every = [_pairs(found, grouping, place, least) for place in places]
    pairs = [one for one in every if one.any_compared]
    if not pairs:
        return None
    lows = [one.apart - z * one.errors for one in pairs]
    widest, at = _largest([one.apart for one in pairs])
    surest, sure_at = _largest(lows)
    high, low = pairs[widest].judged[at[0]], pairs[widest].judged[at[1]]
    drawn = found.drawn[:, pairs[widest].place]
    return Gap(
        measure=measure,
        widest=_pair(found, pairs[widest], at, lows[widest], unit),
        surest=_pair(found, pairs[surest], sure_at, lows[surest], unit),
        high=max(float(np.nanmax(one.apart + z * one.errors)) for one in pairs) / unit,
        drawn=(drawn[:, high] - drawn[:, low]) / unit,
    )


def _largest(tables: Sequence[Values]) -> tuple[int, tuple[int, int]]:
    """The table with the largest entry, and where it stands; never on the diagonal, nor where it is NaN."""
    off = [np.where(np.eye(len(table), dtype=np.bool_) | np.isnan(table), -np.inf, table) for table in tables]
    best = max(range(len(off)), key=lambda place: float(off[place].max()))
    row, column = divmod(int(off[best].argmax()), len(off[best]))
    return best, (row, column)


def _pair(found: Measured, pairs: _Pairs, at: tuple[int, int], lows: Values, unit: float) -> Pair:
    first, second = (pairs.names[pairs.judged[place]] for place in at)
    return Pair(
        figure=found.figures[pairs.place],
        groups=(first, second),
        value=float(pairs.apart[at]) / unit,
        low=float(lows[at]) / unit,
    )


def _places(found: Measured, measure: str) -> list[int]:
    return [place for place, one in enumerate(found.figures) if one.name in MEASURES[measure]]


def large_groups(found: Measured, grouping: Grouping, least: int) -> npt.NDArray[np.bool_]:
    """Which groups have the rows, and where entities are drawn the entities, to be judged."""
    alone = found.units == grouping.counts  # each row a unit of its own
    return np.asarray((grouping.counts >= least) & (alone | (found.units >= LEAST_UNITS)), dtype=np.bool_)


def judged_groups(found: Measured, grouping: Grouping, place: int, least: int) -> npt.NDArray[np.bool_]:
    """Which groups a figure is judged of: those large enough, with enough rows that it is a share of."""
    enough = large_groups(found, grouping, least) & (found.rests_on[place] >= LEAST_PART * least)
    return np.asarray(enough & np.isfinite(found.values[place]), dtype=np.bool_)


def _judged(found: Measured, grouping: Grouping, place: int, least: int) -> npt.NDArray[np.intp]:
    return np.flatnonzero(judged_groups(found, grouping, place, least))


def _pairs(found: Measured, grouping: Grouping, place: int, least: int) -> _Pairs:
    judged = _judged(found, grouping, place, least)
    values = found.values[place, judged]
    squares = _squares(found.drawn[:, place][:, judged])
    if found.figures[place].label is not None:
        floor = _least_spread(np.minimum(found.rests_on[place, judged], found.units[judged]))
        squares = np.maximum(squares, floor[:, None] + floor[None, :])
    return _Pairs(
        place=place,
        names=grouping.names,
        judged=judged,
        apart=np.where(np.isnan(squares), np.nan, values[:, None] - values[None, :]),
        errors=np.sqrt(squares),
    )


def _squares(drawn: Values) -> Values:
    """The variances of all differences between groups (groups, groups), of draws (resamples, groups): each two by the
    resamples in which both have a figure, NaN where those are too few."""
    told = np.isfinite(drawn).astype(np.float64)
    kept = told.T @ told
    middle = np.divide(np.where(told > 0, drawn, 0.0).sum(axis=0), np.maximum(told.sum(axis=0), 1.0))
    off = np.where(
        told > 0, drawn - middle, 0.0
    )  # from its middle, so that squares of differences keep their digits
    first, second = off.T @ told, (off**2).T @ told
    total, squared = first - first.T, second + second.T - 2 * off.T @ off
    enough = kept >= LEAST_DRAWS
    count = np.where(enough, kept, 2.0)
    return np.where(enough, np.maximum(squared - total**2 / count, 0.0) / (count - 1), np.nan)


def _least_spread(units: Values) -> Values:
    """The variance of a rate that was seen to be 0 or 1, with a success and a failure added to so many units (Agresti and
    Coull 1998): resamples of units that are all alike never differ, which proves nothing."""
    share = 1.0 / (units + 2.0)
    return share * (1.0 - share) / (units + 2.0)
