"""Where values stand among the thresholds of their features: a search by halves, but for its guesses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_BUCKETS = 1_024
"""Equal parts of the range of a feature's thresholds."""
_MOST_STEPS = 8
"""Thresholds in one bucket; a feature that has more in some is searched by halves."""


class Positions:
    """For features of several thresholds each, ``first`` and how many of its thresholds lie below a value.

    A value's bucket tells how many thresholds lie in those before it, and those in it are gone through: a processor guesses
    no branch, which is what a search by halves spends its time on. Buckets are in the order of values whatever is
    rounded, so the answer is exact.
    """

    def __init__(self, thresholds: Sequence[Floats], first: Sequence[int]) -> None:
        lows = np.array([each[0] for each in thresholds], np.float64)[:, None]
        highs = np.array([each[-1] for each in thresholds], np.float64)[:, None]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            self._scale = (_BUCKETS - 1) / (highs - lows)
        self._low = lows
        self._starts = np.zeros((len(thresholds), _BUCKETS + 1), np.intp)
        self._limits = np.full(sum(map(len, thresholds)) + len(thresholds), np.inf)
        self._shift = np.zeros((len(thresholds), 1), np.intp)
        self._row = (np.arange(len(thresholds)) * (_BUCKETS + 1))[:, None]
        self._halved: list[tuple[int, Floats, int]] = []
        self._steps = 0
        begin = 0
        for place, each in enumerate(thresholds):
            self._limits[begin : begin + len(each)] = each
            self._shift[place] = first[place] - begin
            counts = self._counts(place, each)
            if counts is None:
                self._halved.append((place, each, first[place]))
                self._scale[place] = 0.0
            else:
                self._starts[place] = begin + counts.cumsum() - counts
                self._steps = max(self._steps, int(counts.max()))
            begin += len(each) + 1

    def __call__(self, values: Floats, out: Places) -> None:
        """``values`` and ``out`` are (features, rows); no value is NaN."""
        if len(values) > len(self._halved):
            buckets = self._buckets(values, self._low, self._scale)
            buckets += self._row
            found = self._starts.ravel().take(buckets, mode="clip")
            for _ in range(self._steps):
                found += self._limits.take(found, mode="clip") < values
            np.add(found, self._shift, out=out)
        for place, thresholds, first in self._halved:
            np.add(thresholds.searchsorted(values[place]), first, out=out[place])

    def _counts(self, place: int, thresholds: Floats) -> npt.NDArray[np.intp] | None:
        """How many thresholds lie in each bucket; None where some has too many, or the range can't be parted."""
        low, scale = self._low[place], self._scale[place]
        if not (0.0 < scale[0] < np.inf):
            return None
        counts = np.bincount(self._buckets(thresholds, low, scale), minlength=_BUCKETS + 1)
        return counts if counts.max() <= _MOST_STEPS else None

    @staticmethod
    def _buckets(values: Floats, low: Floats, scale: Floats) -> Places:
        with np.errstate(invalid="ignore", over="ignore"):
            within = values - low
            within *= scale
            np.clip(within, -1.0, _BUCKETS - 1, out=within)
            within += 1.0
            return within.astype(np.intp)
