"""Which columns a model leans on: how far its answers move when one column is shuffled among the rows.

Permutation importance (Breiman 2001; Fisher, Rudin & Dominici 2019) of the answers rather than of the loss: it is on the
same scale for every model of a task, whatever its insides, needs no label, and one shuffle of some hundred rows says enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.metrics import metric

Values = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
Ask = Callable[[pd.DataFrame], Values]

RESAMPLES = 200
_AT_ONCE = 20_000
"""Rows put to a model at once, so that memory stays in bounds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leaning:
    """Of one model on n rows, by each of d ``columns``.

    ``moved`` (n, d) is how far each row's answer moves when its value of the column is another row's: the half of the
    absolute differences of its probabilities (0 to 1), or the absolute difference of the numbers. ``worth`` (d,) is what
    the metric loses by it, NaN where it has no value.
    """

    columns: tuple[str, ...]
    moved: Values
    worth: Values

    @property
    def mean(self) -> Values:
        return np.asarray(self.moved.mean(axis=0), dtype=np.float64)

    @property
    def shares(self) -> Values:
        """What part of all movement each column has; all 0 for a model that answers the same to everything."""
        return _shares(self.mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """``share`` of what the challenger leans on lies on other columns than the champion's (the total variation distance of
    both distributions over the columns), with 90% of the resamples of the rows between ``lower`` and ``upper``."""

    share: float
    lower: float
    upper: float


def leaning(
    ask: Ask,
    rows: pd.DataFrame,
    y: npt.NDArray[np.generic],
    columns: Sequence[str],
    *,
    measure: str,
    seed: int,
) -> Leaning:
    """Asks ``ask`` for ``len(rows) * (len(columns) + 1)`` answers. The same rows and seed shuffle alike for every model."""
    shuffles = _shuffles(len(rows), len(columns), seed)
    plain = ask(rows)
    scored = metric(measure)
    own = scored.score(y, plain)
    moved, worth = np.zeros((len(rows), len(columns))), np.full(len(columns), np.nan)
    step = max(1, _AT_ONCE // max(len(rows), 1))
    for start in range(0, len(columns), step):
        some = list(columns[start : start + step])
        answers = ask(_shuffled(rows, some, shuffles[start : start + step]))
        for at, answered in enumerate(np.split(answers, len(some)), start=start):
            moved[:, at] = _apart(answered, plain)
            worth[at] = scored.gain(own, scored.score(y, answered))
    return Leaning(columns=tuple(columns), moved=moved, worth=worth)


def change(challenger: Leaning, champion: Leaning, *, seed: int) -> Change:
    """How far two models on the same rows and columns lean on other columns.

    >>> def of(*moved: float) -> Leaning:
    ...     return Leaning(columns=("a", "b"), moved=np.array([moved, moved]), worth=np.zeros(2))
    >>> change(of(0.3, 0.1), of(0.1, 0.1), seed=0).share
    0.25
    """
    random = np.random.default_rng([11, seed])
    rows = len(challenger.moved)
    drawn = random.multinomial(rows, np.full(rows, 1 / rows), size=RESAMPLES).astype(np.float64)
    resampled = _variation(_shares(drawn @ challenger.moved), _shares(drawn @ champion.moved))
    lower, upper = np.quantile(resampled, (0.05, 0.95))
    share = float(_variation(challenger.shares, champion.shares))
    return Change(share=share, lower=float(lower), upper=float(upper))


def _shares(moved: Values) -> Values:
    total = moved.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(moved, total, out=np.zeros_like(moved), where=total > 0), dtype=np.float64)


def _variation(one: Values, other: Values) -> Values:
    return np.asarray(0.5 * np.abs(one - other).sum(axis=-1))


def _apart(answers: Values, plain: Values) -> Values:
    gaps = np.abs(answers - plain)
    return np.asarray(0.5 * gaps.sum(axis=1) if gaps.ndim == 2 else gaps, dtype=np.float64)


def _shuffles(rows: int, columns: int, seed: int) -> Positions:
    """For each column which row's value each row gets: no row its own."""
    random = np.random.default_rng([5, seed])
    shuffles = np.empty((columns, rows), dtype=np.intp)
    for at in range(columns):
        order = random.permutation(rows)
        shuffles[at, order] = np.roll(order, 1)
    return shuffles


def _shuffled(rows: pd.DataFrame, columns: Sequence[str], shuffles: Positions) -> pd.DataFrame:
    """The rows once for each column, one below the other, with that column shuffled."""
    count, own = len(columns), np.arange(len(rows))
    taken = {}
    for name in rows.columns:
        places = np.tile(own, (count, 1))
        if name in columns:
            at = columns.index(name)
            places[at] = shuffles[at]
        taken[name] = rows[name].array.take(places.ravel())
    return pd.DataFrame(taken, index=pd.RangeIndex(count * len(rows)), copy=False)
