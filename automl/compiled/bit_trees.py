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
"""Of tables; beyond, they would push each other out of the processor's cache."""
_BLOCK = 128
"""Rows whose bits are in the cache together."""
_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splits:
    """All splits of all trees, by feature: a row above the threshold can't end in the tree's leaves ``ruled_out``, which
    are bits."""

    features: npt.NDArray[np.int32]
    thresholds: Floats
    trees: npt.NDArray[np.int32]
    ruled_out: Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ordered:
    """A feature of several thresholds: the surviving bits (thresholds + 1, trees) by position among them."""

    feature: int
    thresholds: Floats
    table: Bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flags:
    """Up to eight features of one threshold each: the surviving bits (2^features, trees) by which of them are above."""

    features: npt.NDArray[np.intp]
    thresholds: Floats
    table: Bits


class BitTrees:
    """Sums over trees, tree after tree as LightGBM adds them, and its objective's link: (n, outputs).

    Made by :func:`bit_trees`. Rows must have no NaN. May be called by many threads.
    """

    def __init__(self, splits: _Splits, values: Floats, outputs: int, objective: str) -> None:
        link = link_of(objective)
        if link is None:
            raise ValueError(f"no link is known for {objective!r}")
        self._told = (splits, values, outputs, objective)
        self._outputs = outputs
        self._link = link
        self._values = values
        trees, leaves = values.shape
        self._first = (np.arange(trees) * leaves).astype(np.int32)
        self._dtype = splits.ruled_out.dtype
        self._ordered, self._flags = _tables(splits, trees)

    def __reduce__(self) -> tuple[Any, ...]:
        return BitTrees, self._told  # the tables are ten times as large, and made in a moment

    def __call__(self, features: Floats) -> Floats:
        rows, trees = len(features), len(self._values)
        looks = [
            (part.table, np.searchsorted(part.thresholds, features[:, part.feature]))
            for part in self._ordered
        ]
        for flags in self._flags:
            above = features[:, flags.features] > flags.thresholds
            looks.append((flags.table, np.packbits(above, axis=1, bitorder="little")[:, 0].astype(np.intp)))
        sums = np.empty((rows, self._outputs))
        standing = np.empty((_BLOCK, trees), self._dtype)
        other = np.empty_like(standing)
        for start in range(0, rows, _BLOCK):
            stop = min(rows, start + _BLOCK)
            left = _survivors(looks, start, stop, standing[: stop - start], other[: stop - start])
            leaf = _lowest(left, other[: stop - start]).astype(np.int32)
            leaf += self._first
            reached = self._values.take(leaf.T)  # tree after tree, so that sums have LightGBM's last bits
            sums[start:stop] = reached.reshape(-1, self._outputs, stop - start).sum(axis=0).T
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
    lines = sum(1 + count if count > 1 else 256 / _BYTE for count in places)
    if lines * len(model.trees) * np.dtype(dtype).itemsize > MOST_BYTES:
        return None
    values = np.zeros((len(model.trees), leaves))
    for at, tree in enumerate(model.trees):
        values[at, : tree.leaves] = tree.values
    return BitTrees(splits, values, outputs, model.objective)


def _survivors(
    looks: Sequence[tuple[Bits, npt.NDArray[np.intp]]], start: int, stop: int, standing: Bits, other: Bits
) -> Bits:
    table, at = looks[0]
    np.take(table, at[start:stop], axis=0, out=standing, mode="clip")
    for table, at in looks[1:]:
        np.take(table, at[start:stop], axis=0, out=other, mode="clip")
        np.bitwise_and(standing, other, out=standing)
    return standing


def _lowest(bits: Bits, other: Bits) -> npt.NDArray[np.uint8]:
    """The place of each number's lowest bit: how many bits lie below it."""
    np.negative(bits, out=other)
    np.bitwise_and(bits, other, out=bits)
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


def _tables(splits: _Splits, trees: int) -> tuple[list[_Ordered], list[_Flags]]:
    dtype = splits.ruled_out.dtype
    ordered: list[_Ordered] = []
    single: list[_Ordered] = []
    for part in _by_feature(splits):
        thresholds, places = np.unique(splits.thresholds[part], return_inverse=True)
        table = np.full((len(thresholds) + 1, trees), np.iinfo(dtype).max, dtype)
        np.bitwise_and.at(table, (places + 1, splits.trees[part]), ~splits.ruled_out[part])
        np.bitwise_and.accumulate(table, axis=0, out=table)
        (ordered if len(thresholds) > 1 else single).append(
            _Ordered(feature=int(splits.features[part.start]), thresholds=thresholds, table=table)
        )
    chunks = [single[start : start + _BYTE] for start in range(0, len(single), _BYTE)]
    return ordered, [_flags(chunk) for chunk in chunks]


def _flags(parts: Sequence[_Ordered]) -> _Flags:
    table = parts[0].table[:1]
    for part in parts:
        table = np.concatenate((table, table & part.table[1]))
    return _Flags(
        features=np.array([part.feature for part in parts]),
        thresholds=np.array([part.thresholds[0] for part in parts]),
        table=table,
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
