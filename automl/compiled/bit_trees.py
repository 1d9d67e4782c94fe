"""Trees of a LightGBM model for many rows at once: each tree's leaves as the bits of one number.

A split that a row fails rules out the leaves to its left. For each feature the bits that survive are tabulated by
where a value stands among the feature's thresholds; what all features leave standing has its lowest bit at the leaf
that is reached. So a row costs one look-up for each feature instead of a walk through each tree (QuickScorer: Lucchese
et al., *QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees*, SIGIR 2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.model_text import TextTree, text_trees

Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.unsignedinteger[Any]]


MOST_BYTES = 24 * 1024 * 1024
"""Of lines; beyond, they would push each other out of the processor's cache."""
WIDEST = 64
"""Look-ups for one row; beyond, walking is quicker."""
_BLOCK_BYTES = 512 * 1024
"""Of the bits that are in work together: they are to stay in the cache."""
_ONE_BY_ONE_FROM = 48
"""Rows from which it is quicker to take one look-up of all rows after the other than all look-ups at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splits:
    """All splits of all trees, by feature: a row above the threshold can't end in the tree's leaves ``ruled_out``, which
    are bits."""

    features: npt.NDArray[np.int32]
    thresholds: Floats
    trees: npt.NDArray[np.int32]
    ruled_out: Bits


class BitTrees:
    """Sums over trees, tree after tree as LightGBM adds them, and its objective's link: (n, outputs).

    Made by :func:`bit_trees`, and again from ``told``, a tenth of it. Rows must have no NaN. May be called by many threads.
    ``rest`` is called now and then while the tables are made.
    """

    def __init__(
        self,
        splits: _Splits,
        values: Floats,
        outputs: int,
        objective: str,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        link = link_of(objective)
        if link is None:
            raise ValueError(f"no link is known for {objective!r}")
        self.told = (splits, values, outputs, objective)
        self._outputs = outputs
        self._link = link
        self._values = values
        trees, leaves = values.shape
        self._first = (np.arange(trees) * leaves).astype(np.int32)
        self._lookups = _lookups(splits, trees, rest)

    def __call__(self, features: Floats) -> Floats | None:
        """None when some row would need more than WIDEST look-ups."""
        at = self._lookups.places(features)
        width, rows = at.shape
        if width > WIDEST:
            return None
        trees = len(self._values)
        sums = np.empty((rows, self._outputs))
        block = max(1, _BLOCK_BYTES // (2 * self._lookups.lines[0].nbytes))
        for start in range(0, rows, block):
            leaf = _lowest(self._lookups.surviving(at[:, start : start + block])).astype(np.int32)
            leaf += self._first
            reached = self._values.take(leaf.T)  # tree after tree, so that sums have LightGBM's last bits
            outputs = reached.reshape(trees // self._outputs, self._outputs, -1)
            sums[start : start + block] = outputs.sum(axis=0).T
        return self._link(sums)


def bit_trees(text: str, *, outputs: int) -> BitTrees | None:
    """From a model's text; None for one that has categories, missing values as zeros, more than 64 leaves in a tree, a
    link that is not known here, or tables that would be too large."""
    model = text_trees(text)
    if model is None or link_of(model.objective) is None or not model.trees or len(model.trees) % outputs:
        return None
    leaves = max(tree.leaves for tree in model.trees)
    if leaves > 64 or leaves < 2:
        return None
    dtype = np.uint32 if leaves <= 32 else np.uint64
    splits = _splits(model.trees, dtype)
    places = [len(np.unique(splits.thresholds[part])) for part in _by_feature(splits)]
    lines = 1 + sum(1 + count if count > 1 else 1 for count in places)
    if lines * len(model.trees) * np.dtype(dtype).itemsize > MOST_BYTES:
        return None
    values = np.zeros((len(model.trees), leaves))
    for at, tree in enumerate(model.trees):
        values[at, : tree.leaves] = tree.values
    return BitTrees(splits, values, outputs, model.objective)


def _lowest(bits: Bits) -> npt.NDArray[np.uint8]:
    """The place of each number's lowest bit: how many bits lie below it."""
    np.bitwise_and(bits, np.negative(bits), out=bits)
    np.subtract(bits, 1, out=bits)
    return np.bitwise_count(bits)


def _splits(trees: Sequence[TextTree], dtype: Any) -> _Splits:
    sizes = [len(tree.features) for tree in trees]
    features = np.array([feature for tree in trees for feature in tree.features], np.int32)
    ruled_out = np.array(
        [(1 << last) - (1 << first) for tree in trees for first, last in tree.ruled_out], dtype
    )
    thresholds = np.array([threshold for tree in trees for threshold in tree.thresholds], np.float64)
    order = np.argsort(features, kind="stable")
    return _Splits(
        features=features[order],
        thresholds=thresholds[order],
        trees=np.repeat(np.arange(len(trees), dtype=np.int32), sizes)[order],
        ruled_out=ruled_out[order],
    )


def _by_feature(splits: _Splits) -> list[slice]:
    """Where the splits of each feature stand."""
    starts = np.flatnonzero(np.diff(splits.features, prepend=-1)).tolist()
    return [slice(*ends) for ends in zip(starts, [*starts[1:], len(splits.features)], strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lookups:
    """``lines`` (count, trees) are surviving bits. For an ordered feature, of several thresholds, there is one line for
    each position among them, from its first on. For a flag, a feature of one threshold, there is one for values above it.
    The last line lets all bits stand."""

    lines: Bits
    ordered: tuple[tuple[int, Floats, int], ...]
    """Feature, thresholds, first line."""
    flag_thresholds: Floats
    """By feature, up to the last flag; infinite for what is no flag."""
    flag_lines: npt.NDArray[np.intp]
    """By feature, likewise."""

    def places(self, features: Floats) -> npt.NDArray[np.intp]:
        """The lines of each row, (look-ups, rows): one for each ordered feature, and one for each flag that is up in it,
        filled up with the last. Of flags that tell categories few are up, however many there are."""
        known = len(self.ordered)
        up, flag = (features[:, : len(self.flag_thresholds)] > self.flag_thresholds).nonzero()
        counts = np.bincount(up, minlength=len(features))
        at = np.full(
            (max(1, known + int(counts.max(initial=0))), len(features)), len(self.lines) - 1, np.intp
        )
        for place, (feature, thresholds, first) in enumerate(self.ordered):
            np.add(thresholds.searchsorted(features[:, feature]), first, out=at[place])
        within = np.arange(known, known + len(up)) - (counts.cumsum() - counts).repeat(counts)
        at[within, up] = self.flag_lines[flag]
        return at

    def surviving(self, at: npt.NDArray[np.intp]) -> Bits:
        """The bits, (rows, trees), that all look-ups of a row leave standing."""
        lines = self.lines
        if at.shape[1] < _ONE_BY_ONE_FROM:
            found: Bits = np.bitwise_and.reduce(lines.take(at.T, axis=0), axis=1)
            return found
        left: Bits = lines.take(at[0], axis=0)
        one = np.empty_like(left)
        for places in at[1:]:
            lines.take(places, axis=0, out=one, mode="clip")  # the mode that needs no copy of what it writes
            np.bitwise_and(left, one, out=left)
        return left


def _lookups(splits: _Splits, trees: int, rest: Callable[[], None]) -> _Lookups:
    dtype = splits.ruled_out.dtype
    full = np.iinfo(dtype).max
    ordered: list[tuple[int, Floats, int]] = []
    flags: list[tuple[int, float]] = []
    tables: list[Bits] = []
    lines: list[Bits] = []
    count = 0
    for part in _by_feature(splits):
        rest()
        feature = int(splits.features[part.start])
        thresholds, place = np.unique(splits.thresholds[part], return_inverse=True)
        table = np.full((len(thresholds) + 1, trees), full, dtype)
        np.bitwise_and.at(table, (place + 1, splits.trees[part]), ~splits.ruled_out[part])
        if len(thresholds) == 1:
            flags.append((feature, float(thresholds[0])))
            lines.append(table[1:])
            continue
        np.bitwise_and.accumulate(table, axis=0, out=table)
        ordered.append((feature, thresholds, count))
        tables.append(table)
        count += len(table)
    flag_thresholds = np.full(1 + max((feature for feature, _ in flags), default=-1), np.inf)
    flag_lines = np.zeros(len(flag_thresholds), np.intp)
    for line, (feature, threshold) in enumerate(flags, start=count):
        flag_thresholds[feature], flag_lines[feature] = threshold, line
    return _Lookups(
        lines=np.concatenate([*tables, *lines, np.full((1, trees), full, dtype)]),
        ordered=tuple(ordered),
        flag_thresholds=flag_thresholds,
        flag_lines=flag_lines,
    )


def link_of(objective: str) -> Callable[[Floats], Floats] | None:
    """What LightGBM does with sums for this objective, as its text writes it; None where that is not known here."""
    make = _LINKS.get(objective.partition(" ")[0])
    return None if make is None else make(objective)


def _plain(objective: str) -> Callable[[Floats], Floats] | None:
    return None if "sqrt" in objective else lambda sums: sums


def _logistic(objective: str) -> Callable[[Floats], Floats] | None:
    _, _, steepness = objective.partition("sigmoid:")
    slope = float(steepness.split()[0]) if steepness else 1.0
    return lambda sums: 1.0 / (1.0 + _exp(-slope * sums))


def _softmax(objective: str) -> Callable[[Floats], Floats] | None:
    def link(sums: Floats) -> Floats:
        powers = _exp(sums - sums.max(axis=1, keepdims=True))
        total = np.zeros(len(sums))
        for column in powers.T:  # in LightGBM's order
            total += column
        return powers / total[:, None]

    return link


def _exp(numbers: Floats) -> Floats:
    """The C library's, as in LightGBM: numpy's own differs in the last bit."""
    return np.fromiter(map(math.exp, numbers.ravel().tolist()), np.float64, numbers.size).reshape(
        numbers.shape
    )


_LINKS: Mapping[str, Callable[[str], Callable[[Floats], Floats] | None]] = {
    "": _plain,
    "regression": _plain,
    "regression_l1": _plain,
    "huber": _plain,
    "quantile": _plain,
    "binary": _logistic,
    "multiclass": _softmax,
}
