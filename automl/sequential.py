"""Is the new model worse than the old one? An answer that may be looked at after every row.

Truth arrives one row at a time, and whoever waits for it looks each time. A confidence interval made for one
look is wrong in most histories when looked at a thousand times; the bounds here hold at all rows at once.

Method. Let d be a paired loss difference within [-1, 1] after division by its stated bound, and m its mean
given everything before it. For a stake s in (0, 1) the capital ``prod(1 + s·d) / exp(s·sum(m))`` can't be
expected to grow, because 1 + s·m <= exp(s·m); so it ever reaches 1/a with a chance of at most a (Ville). A
mixture over a fixed grid of stakes keeps that, and solving it for sum(m) gives the lower bound; betting on -d
gives the upper one. The capital is that of Waudby-Smith & Ramdas (2024, Estimating means of bounded random
variables by betting, JRSS-B 86). Dividing by exp(s·sum(m)) is what frees it from a constant mean: the bounds
are for the average so far of the conditional means, as in Choe & Ramdas (2024, Comparing sequential
forecasters, Operations Research 72), so rows need be neither independent nor alike.

What it can't see. It speaks of the rows whose truth has come, in the losses as they were cut into the bound.
Where truth comes sooner for one class than another, early rows are not like later ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.tallies import Values

_METHOD = "betting mixture 1"
"""Named in the stored state: sums made with other stakes can't be continued."""
_STAKES: Values = 0.9 * np.exp2(-np.arange(18) / 2.0)
"""From a stake for differences nearly all of one sign down to one for hundred thousands of rows."""
_SHARES: Values = 1.0 / np.arange(2.0, len(_STAKES) + 2.0)
_LOG_SHARES: Values = np.log(_SHARES / _SHARES.sum())
"""More on the large stakes, which see a bad model within a few dozen rows; chosen by benchmarks/sequential.py."""
_BLOCK = 20_000
"""Rows turned into log capitals at once (3 MB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """Bounds on the mean of differences within [-bound, bound], valid after every row at once.

    With a chance of at least ``1 - alpha`` the average so far of the differences' conditional means lies
    within ``[lower, upper]`` at every row, however long it runs and whenever one stops; each bound by itself
    fails with a chance of at most ``alpha / 2``. That average may move, so bounds of different rows must not
    be intersected. Differences beyond the bound are cut to it and counted in ``clipped``: the mean is then
    that of the cut differences. The bound must be stated before the rows are seen.

    An immutable value: :meth:`after` gives the next one. Raises ValueError on a bound that is not a positive
    number and an alpha outside (0, 1).

    >>> start = ConfidenceSequence(bound=1.0)
    >>> start.lower, start.upper
    (-1.0, 1.0)
    >>> later = start.after([1.0] * 40)
    >>> later.estimate, later.lower > 0
    (1.0, True)
    """

    bound: float
    alpha: float = 0.05
    rows: int = 0
    total: float = 0.0
    clipped: int = 0
    capital_up: tuple[float, ...] = (0.0,) * len(_STAKES)
    capital_down: tuple[float, ...] = (0.0,) * len(_STAKES)
    """Log capital of each stake put on a positive, and on a negative difference."""

    def __post_init__(self) -> None:
        if not 0 < self.bound < math.inf:
            raise ValueError(f"the bound of a difference must be a positive number, not {self.bound}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1, not {self.alpha}")

    @property
    def estimate(self) -> float | None:
        """The mean of the (cut) differences so far; None before the first."""
        return self.total / self.rows if self.rows else None

    @property
    def lower(self) -> float:
        """The mean is at least this; ``-bound`` while nothing is known."""
        return float(self._lower(np.array([self.capital_up]), np.array([self.rows]))[0])

    @property
    def upper(self) -> float:
        """The mean is at most this; ``bound`` while nothing is known."""
        return -float(self._lower(np.array([self.capital_down]), np.array([self.rows]))[0])

    def after(self, differences: npt.ArrayLike) -> ConfidenceSequence:
        """The sequence after these differences, one number a row, in the order in which truth arrived.

        The same rows in any division into calls give the same state. Raises ValueError where one is NaN.
        """
        given = numbers(differences)
        state = self
        for start in range(0, len(given), _BLOCK):
            state = state._after_block(given[start : start + _BLOCK])
        return state

    def path(self, differences: npt.ArrayLike) -> tuple[Values, Values]:
        """Lower and upper bounds after each of these differences, two vectors of their length."""
        given = numbers(differences)
        lowers, uppers, state = [np.empty(0)], [np.empty(0)], self
        for start in range(0, len(given), _BLOCK):
            block = given[start : start + _BLOCK]
            scaled = np.clip(block / state.bound, -1.0, 1.0)
            rows = state.rows + np.arange(1, len(block) + 1)
            lowers.append(state._lower(_capitals(state.capital_up, scaled), rows))
            uppers.append(-state._lower(_capitals(state.capital_down, -scaled), rows))
            state = state._after_block(block)
        return np.concatenate(lowers), np.concatenate(uppers)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": _METHOD,
            "bound": self.bound,
            "alpha": self.alpha,
            "rows": self.rows,
            "total": self.total,
            "clipped": self.clipped,
            "capital_up": list(self.capital_up),
            "capital_down": list(self.capital_down),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ConfidenceSequence:
        """The inverse of :meth:`to_json`. Raises ValueError for a state that another method made."""
        state = dict(data)
        method = state.pop("method", None)
        if method != _METHOD:
            raise ValueError(f"a state of method {method!r} can't be continued by {_METHOD!r}")
        state["capital_up"], state["capital_down"] = tuple(state["capital_up"]), tuple(state["capital_down"])
        return cls(**state)

    def _after_block(self, block: Values) -> ConfidenceSequence:
        scaled = np.clip(block / self.bound, -1.0, 1.0)
        up = _capitals(self.capital_up, scaled)[-1]
        down = _capitals(self.capital_down, -scaled)[-1]
        return replace(
            self,
            rows=self.rows + len(block),
            # added one by one: the same sum in any division into calls
            total=float(np.cumsum(np.concatenate([[self.total], scaled * self.bound]))[-1]),
            clipped=self.clipped + int(np.count_nonzero(np.abs(block) > self.bound)),
            capital_up=tuple(up.tolist()),
            capital_down=tuple(down.tolist()),
        )

    def _lower(self, capitals: Values, rows: npt.NDArray[Any]) -> Values:
        """The lower bounds that log capitals of shape (n, stakes) give after so many rows each."""
        sums = _smallest_sum(capitals, math.log(2.0 / self.alpha))
        means: Values = np.divide(sums, rows, out=np.full(len(rows), -1.0), where=rows > 0)
        return self.bound * np.clip(means, -1.0, 1.0)


def numbers(values: npt.ArrayLike) -> Values:
    """A vector of floats. Raises ValueError for any other shape, and for NaN."""
    vector = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if vector.ndim != 1 or np.isnan(vector).any():
        raise ValueError("one number for each row is needed, none of them NaN")
    return vector


def _capitals(start: tuple[float, ...], scaled: Values) -> Values:
    """Log capitals of every stake after each row, shape (n, stakes)."""
    steps = np.log1p(np.outer(scaled, _STAKES))
    sums: Values = np.cumsum(np.vstack([np.asarray(start), steps]), axis=0)
    return sums[1:]


def _smallest_sum(capitals: Values, threshold: float) -> Values:
    """The sum of means at which the mixed capital is just worth ``exp(threshold)``.

    The log of the mixture is convex and falls in the sum; Newton's steps from a point on its left side never
    pass the root, so a step too few only makes the bound more cautious.
    """
    shares = capitals + _LOG_SHARES
    sums: Values = ((shares - threshold) / _STAKES).max(axis=1)
    for _ in range(60):
        terms = shares - sums[:, None] * _STAKES
        top = terms.max(axis=1)
        parts = np.exp(terms - top[:, None])
        mass = parts.sum(axis=1)
        steps = (top + np.log(mass) - threshold) * mass / (parts @ _STAKES)
        sums = sums + np.maximum(steps, 0.0)
        if np.all(steps <= 1e-12 * (1.0 + np.abs(sums))):
            break
    return sums
