"""The two distances of the drift report and their distribution when nothing changed.

The same Wasserstein and Jensen-Shannon distances that Evidently computes (0.7.23, ``wasserstein`` and
``jensenshannon``; tests/unit/automl/test_distances.py holds them beside each other), for many windows at once.

Method. If nothing changed, reference and current rows can be exchanged: windows of the same sizes drawn at
random from all rows together have distances as the observed one has. The share of draws that reach it is the
p-value of a permutation test, (1 + reached) / (1 + draws), which is valid for rows of any distribution and
windows of any size (Phipson & Smyth 2010). It speaks of rows that come in no order: where hours or days differ
by nature, a window holds less of that than the reference, and only the effect size says whether it matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]
"""(rows, draws): which rows are the current window in each draw."""
Values = npt.NDArray[np.float64]

_CELLS = 300_000
"""Rows times draws in memory at once."""
_USUAL = 0.95
_REACHED_ENOUGH = 15
_ROUNDING = 1e-9


class Distance(Protocol):
    """A distance between the two windows of one column that any split of its rows can be put in."""

    def between(self, masks: Masks) -> Values:
        """(draws,): the distance of each split; 0 where a side has no value."""
        ...


class Wasserstein:
    """Of numbers, in units of ``unit``. Missing ones belong to no side."""

    def __init__(self, values: npt.NDArray[Any], *, unit: float = 1.0) -> None:
        numbers = np.asarray(values, dtype=np.float64)
        present = np.flatnonzero(np.isfinite(numbers))
        self._order = present[np.argsort(numbers[present], kind="stable")]
        gaps = np.diff(numbers[self._order]) / unit
        self._steps = np.flatnonzero(gaps > 0)
        self._gaps = gaps[self._steps]

    def between(self, masks: Masks) -> Values:
        if len(self._order) == 0:
            return np.zeros(masks.shape[1])
        below = np.cumsum(masks[self._order], axis=0, dtype=np.int32)
        current = below[-1].astype(np.float64)
        reference = len(self._order) - current
        each = 1 / np.maximum(reference, 1)
        # F_current - F_reference at each step, in one pass over the largest array
        apart = below[self._steps] * (1 / np.maximum(current, 1) + each)
        apart -= (self._steps + 1.0)[:, None] * each
        np.abs(apart, out=apart)
        return _both_sides(self._gaps @ apart, current, reference)


class JensenShannon:
    """Of categories, given as codes from 0; a negative code is a missing value. In nats, square root taken."""

    def __init__(self, codes: npt.NDArray[np.intp]) -> None:
        self._one_hot = np.zeros((int(codes.max(initial=-1)) + 1, len(codes)), dtype=np.float32)
        rows = np.flatnonzero(codes >= 0)
        self._one_hot[codes[rows], rows] = 1.0
        self._totals = self._one_hot.sum(axis=1, dtype=np.float64)[:, None]

    def between(self, masks: Masks) -> Values:
        current = (self._one_hot @ masks.astype(np.float32)).astype(np.float64)
        reference = self._totals - current
        sizes = current.sum(axis=0), reference.sum(axis=0)
        p, q = current / np.maximum(sizes[0], 1), reference / np.maximum(sizes[1], 1)
        middle = (p + q) / 2
        divergence = (_relative(p, middle) + _relative(q, middle)) / 2
        return _both_sides(np.sqrt(np.maximum(divergence, 0.0)), *sizes)


class MissingShare:
    """The difference of the shares of missing values."""

    def __init__(self, missing: npt.NDArray[np.bool_]) -> None:
        self._missing = missing.astype(np.float32)

    def between(self, masks: Masks) -> Values:
        size = masks.sum(axis=0).astype(np.float64)
        gone = (self._missing @ masks.astype(np.float32)).astype(np.float64)
        others = len(masks) - size
        left = float(self._missing.sum()) - gone
        return _both_sides(np.abs(gone / np.maximum(size, 1) - left / np.maximum(others, 1)), size, others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What unchanged rows would do: ``p_value`` of the observed distance, and the distance that 95% of windows
    without change stay under."""

    p_value: float
    usual: float
    draws: int


def by_chance(
    distances: Mapping[str, Distance], *, reference: int, current: int, draws: int, seed: int
) -> dict[str, Chance]:
    """How often windows drawn at random from all rows are as far apart as the observed ones are.

    Rows come reference first. All distances see the same draws; one that chance reached often enough already sees
    no more of them (Besag & Clifford 1991), since nothing could make its p-value small. The same arguments give the
    same answer.
    """
    sizes = {"reference": reference, "current": current}
    observed = {name: observed_distance(each, **sizes) for name, each in distances.items()}
    null: dict[str, list[Values]] = {name: [] for name in distances}
    reached = dict.fromkeys(distances, 0)
    for masks in _masks(reference + current, current, draws, seed):
        open_ones = [name for name in distances if reached[name] < _REACHED_ENOUGH]
        if not open_ones:
            break
        for name in open_ones:
            found = distances[name].between(masks)
            null[name].append(found)
            reached[name] += int(np.sum(found >= observed[name] * (1 - _ROUNDING)))
    answers = {}
    for name, parts in null.items():
        drawn = np.concatenate(parts)
        answers[name] = Chance(
            p_value=(1 + reached[name]) / (1 + len(drawn)),
            usual=float(np.quantile(drawn, _USUAL)),
            draws=len(drawn),
        )
    return answers


def observed_distance(distance: Distance, *, reference: int, current: int) -> float:
    """The distance between the first ``reference`` rows and the ``current`` ones behind them."""
    return float(distance.between(_observed(reference, current))[0])


def adjusted(p_values: npt.NDArray[Any]) -> Values:
    """p-values that control the false-discovery rate: calling those at most q true leaves at most a share q
    of false ones among them on average (Benjamini & Hochberg 1995; for the positive dependence that columns
    of the same rows usually have: Benjamini & Yekutieli 2001)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    raised = p[order] * len(p) / np.arange(len(p), 0, -1)
    answer = np.empty(len(p))
    answer[order] = np.minimum(np.minimum.accumulate(raised), 1.0)
    return answer


def _observed(reference: int, current: int) -> Masks:
    return (np.arange(reference + current) >= reference)[:, None]


def _masks(rows: int, current: int, draws: int, seed: int) -> Iterator[Masks]:
    random = np.random.default_rng(seed)
    at_once = max(1, _CELLS // rows)
    for start in range(0, draws, at_once):
        lots = random.random((min(at_once, draws - start), rows), dtype=np.float32)
        masks = np.zeros(lots.shape, dtype=np.bool_)
        np.put_along_axis(masks, np.argpartition(lots, current - 1, axis=1)[:, :current], True, axis=1)
        yield np.ascontiguousarray(masks.T)


def _both_sides(distance: Values, current: Values, reference: Values) -> Values:
    return np.asarray(np.where((current > 0) & (reference > 0), distance, 0.0), dtype=np.float64)


def _relative(p: Values, q: Values) -> Values:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=0), dtype=np.float64)
