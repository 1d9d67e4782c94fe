"""Trees of a LightGBM model for many rows at once: each tree's leaves as the bits of one number.

A split that a row fails rules out the leaves to its left. For each feature the bits that survive are tabulated by
where a value stands among the feature's thresholds; what all features leave standing has its lowest bit at the leaf
that is reached. So a row costs one look-up for each feature instead of a walk through each tree (QuickScorer: Lucchese
et al., *QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees*, SIGIR 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.links import link_of
from automl.compiled.lookups import Bits, Splits, count_lines, lookups_of
from automl.compiled.model_text import TextTree, text_trees

Floats = npt.NDArray[np.float64]

MOST_BYTES = 24 * 1024 * 1024
"""Of lines; beyond, they would push each other out of the processor's cache."""
WIDEST = 64
"""Look-ups for one row; beyond, walking is quicker."""
_BLOCK_BYTES = 512 * 1024
"""Of the bits that are in work together: they are to stay in the cache."""


class BitTrees:
    """Sums over trees, tree after tree as LightGBM adds them, and its objective's link: (n, outputs).

    Made by :func:`bit_trees`, and again from ``told``, a tenth of it. Rows must have no NaN. May be called by many threads.
    ``rest`` is called now and then while the tables are made.
    """

    def __init__(
        self,
        splits: Splits,
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
        self.lookups = lookups_of(splits, trees, rest)

    def __call__(self, features: Floats) -> Floats | None:
        """None when some row would need more than WIDEST look-ups."""
        at = self.lookups.places(features)
        if len(at) > WIDEST:
            return None
        return self.summed(at.shape[1], lambda rows: self.lookups.surviving(at[:, rows]))

    def summed(self, rows: int, surviving: Callable[[slice], Bits]) -> Floats:
        """The answers to rows of which ``surviving`` gives the bits that are left, part by part."""
        trees = len(self._values)
        sums = np.empty((rows, self._outputs))
        block = max(1, _BLOCK_BYTES // (2 * self.lookups.lines[0].nbytes))
        for start in range(0, rows, block):
            part = slice(start, min(start + block, rows))
            leaf = _lowest(surviving(part)).astype(np.int32)
            leaf += self._first
            reached = self._values.take(leaf.T)  # tree after tree, so that sums have LightGBM's last bits
            outputs = reached.reshape(trees // self._outputs, self._outputs, -1)
            sums[part] = outputs.sum(axis=0).T
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
    if count_lines(splits) * len(model.trees) * np.dtype(dtype).itemsize > MOST_BYTES:
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


def _splits(trees: Sequence[TextTree], dtype: Any) -> Splits:
    sizes = [len(tree.features) for tree in trees]
    features = np.array([feature for tree in trees for feature in tree.features], np.int32)
    ruled_out = np.array(
        [(1 << last) - (1 << first) for tree in trees for first, last in tree.ruled_out], dtype
    )
    thresholds = np.array([threshold for tree in trees for threshold in tree.thresholds], np.float64)
    order = np.lexsort((thresholds, features))
    return Splits(
        features=features[order],
        thresholds=thresholds[order],
        trees=np.repeat(np.arange(len(trees), dtype=np.int32), sizes)[order],
        ruled_out=ruled_out[order],
    )
