"""The tables of :mod:`automl.compiled.bit_trees`: which leaves of all trees a feature's value leaves standing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.positions import Positions

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
Bits = npt.NDArray[np.unsignedinteger[Any]]

ONE_BY_ONE_FROM = 48
"""Rows from which it is quicker to take one look-up of all rows after the other than all look-ups at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """All splits of all trees, by feature and, of one feature, by threshold: a row above the threshold can't end in the
    tree's leaves ``ruled_out``, which are bits. A tree's bits take so many ``words``; a split that rules out leaves of
    several is here for each ``word``."""

    features: npt.NDArray[np.int32]
    thresholds: Floats
    trees: npt.NDArray[np.int32]
    word: npt.NDArray[np.int32]
    ruled_out: Bits
    words: int

    def of_trees(self, start: int, end: int) -> Splits:
        """Those of the trees from ``start`` up to, not including, ``end``, which are counted from 0 then."""
        mine = (start <= self.trees) & (self.trees < end)
        return Splits(
            features=self.features[mine],
            thresholds=self.thresholds[mine],
            trees=self.trees[mine] - np.int32(start),
            word=self.word[mine],
            ruled_out=self.ruled_out[mine],
            words=self.words,
        )

    def columns(self, trees: int) -> npt.NDArray[np.int32]:
        """Where each split's bits are in the lines of so many trees: all first words, then all second ones."""
        return self.word * np.int32(trees) + self.trees


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A feature of several thresholds: one line for each position among them, from ``first`` on."""

    feature: int
    thresholds: Floats
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """``lines`` (count, words x trees) are surviving bits. For an ordered feature there is one line for each position
    among its thresholds. For a flag, a feature of one threshold, there is one for values above it. The last line lets all
    bits stand."""

    lines: Bits
    ordered: tuple[Ordered, ...]
    positions: Positions
    """Of the ordered features."""
    flag_thresholds: Floats
    """By feature, up to the last flag; infinite for what is no flag."""
    flag_lines: Places
    """By feature, likewise."""

    def places(self, features: Floats) -> Places:
        """The lines of each row, (look-ups, rows): one for each ordered feature, and one for each flag that is up in it,
        filled up with the last. Of flags that tell categories few are up, however many there are."""
        known = len(self.ordered)
        up, flag = (features[:, : len(self.flag_thresholds)] > self.flag_thresholds).nonzero()
        counts = np.bincount(up, minlength=len(features))
        at = np.full(
            (max(1, known + int(counts.max(initial=0))), len(features)), len(self.lines) - 1, np.intp
        )
        if known:
            values = np.ascontiguousarray(features[:, [each.feature for each in self.ordered]].T)
            self.positions(values, at[:known])
        within = np.arange(known, known + len(up)) - (counts.cumsum() - counts).repeat(counts)
        at[within, up] = self.flag_lines[flag]
        return at

    def surviving(self, at: Places) -> Bits:
        """The bits, (rows, words x trees), that all look-ups of a row leave standing."""
        lines = self.lines
        if at.shape[1] < ONE_BY_ONE_FROM:
            found: Bits = np.bitwise_and.reduce(lines.take(at.T, axis=0), axis=1)
            return found
        left: Bits = lines.take(at[0], axis=0)
        one = np.empty_like(left)
        for places in at[1:]:
            lines.take(places, axis=0, out=one, mode="clip")  # the mode that needs no copy of what it writes
            np.bitwise_and(left, one, out=left)
        return left


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Where the splits of each feature stand, which are the first with their threshold, and how many thresholds each
    feature has."""

    starts: Places
    new: npt.NDArray[np.bool_]
    thresholds: Places

    @classmethod
    def of(cls, splits: Splits) -> _Parts:
        changed = np.ones(len(splits.features), np.bool_)
        changed[1:] = splits.features[1:] != splits.features[:-1]
        starts, new = np.flatnonzero(changed), changed.copy()
        new[1:] |= splits.thresholds[1:] != splits.thresholds[:-1]
        return cls(starts=starts, new=new, thresholds=np.add.reduceat(new, starts, dtype=np.intp))


def count_lines(splits: Splits) -> int:
    """Of the look-ups that :func:`lookups_of` makes."""
    counts = _Parts.of(splits).thresholds
    return 1 + int(np.where(counts > 1, counts + 1, 1).sum())


def lookups_of(splits: Splits, trees: int, rest: Callable[[], None]) -> Lookups:
    """``rest`` is called now and then."""
    parts = _Parts.of(splits)
    full = np.iinfo(splits.ruled_out.dtype).max
    columns, width = splits.columns(trees), trees * splits.words
    ordered: list[Ordered] = []
    tables: list[Bits] = []
    count = 0
    ends = np.append(parts.starts[1:], len(splits.features))
    for at in np.flatnonzero(parts.thresholds > 1).tolist():
        rest()
        part = slice(parts.starts[at], ends[at])
        new = parts.new[part]
        table = np.full((parts.thresholds[at] + 1, width), full, splits.ruled_out.dtype)
        np.bitwise_and.at(table, (new.cumsum(), columns[part]), ~splits.ruled_out[part])
        np.bitwise_and.accumulate(table, axis=0, out=table)
        feature, thresholds = int(splits.features[part.start]), splits.thresholds[part][new]
        ordered.append(Ordered(feature=feature, thresholds=thresholds, first=count))
        tables.append(table)
        count += len(table)
    rest()
    features, thresholds, lines = _flags(splits, parts, trees)
    flag_thresholds = np.full(1 + int(features.max(initial=-1)), np.inf)
    flag_lines = np.zeros(len(flag_thresholds), np.intp)
    flag_thresholds[features], flag_lines[features] = thresholds, np.arange(count, count + len(features))
    rest()
    return Lookups(
        lines=np.concatenate([*tables, lines, np.full((1, width), full, splits.ruled_out.dtype)]),
        ordered=tuple(ordered),
        positions=Positions([each.thresholds for each in ordered], [each.first for each in ordered]),
        flag_thresholds=flag_thresholds,
        flag_lines=flag_lines,
    )


def _flags(splits: Splits, parts: _Parts, trees: int) -> tuple[npt.NDArray[np.int32], Floats, Bits]:
    """The features of one threshold, these, and a line for each: all at once, as one-hot categories make many."""
    is_flag = parts.thresholds == 1
    starts = parts.starts[is_flag]
    sizes = np.diff(parts.starts, append=len(splits.features))
    mine = is_flag.repeat(sizes)
    line = (is_flag.cumsum() - 1).repeat(sizes)[mine]
    full = np.iinfo(splits.ruled_out.dtype).max
    lines = np.full((len(starts), trees * splits.words), full, splits.ruled_out.dtype)
    np.bitwise_and.at(lines, (line, splits.columns(trees)[mine]), ~splits.ruled_out[mine])
    return splits.features[starts], splits.thresholds[starts], lines
