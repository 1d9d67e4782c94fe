"""Trees of a LightGBM model for many rows at once: each tree's leaves as the bits of a number, or of up to four.

A split that a row fails rules out the leaves to its left. For each feature the bits that survive are tabulated by
where a value stands among the feature's thresholds; what all features leave standing has its lowest bit at the leaf
that is reached. So a row costs one look-up for each feature instead of a walk through each tree (QuickScorer: Lucchese
et al., *QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees*, SIGIR 2015).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.compiled.links import link_of
from automl.compiled.lookups import Bits, Lookups, Splits, count_lines, lookups_of
from automl.compiled.model_text import TextTree, text_trees

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.floating[Any]]

MOST_BYTES = 32 * 1024 * 1024
"""Of all lines of a model, which stay in memory."""
MOST_LEAVES = 256
"""Of a tree; beyond, its bits take so many words that walking is quicker."""
_WORD = 64
_WIDEST = 64
"""Look-ups for one row; beyond, walking is quicker. Where a tree takes several words, twice as many words are looked up."""
_PART_BYTES = 4 * 1024 * 1024
"""Of the lines of trees that are asked together: more would push each other out of the processor's cache."""
_FEWEST_TREES = 32
"""In a part; with fewer, what is done once for each part costs more than walking."""
_BLOCK_BYTES = 512 * 1024
"""Of the bits that are in work together: they are to stay in the cache."""

Surviving = Callable[[slice], Bits]
"""The bits that some rows leave standing in a part's trees."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rounds of trees: what they look up, their leaves' values (trees, leaves), and how many outputs a round has."""

    lookups: Lookups
    values: Values
    outputs: int

    def add(self, sums: Values, surviving: Surviving) -> None:
        """Add these trees' values to ``sums`` (rows, outputs), tree after tree as LightGBM and XGBoost do."""
        trees, leaves = self.values.shape
        words = self.lookups.lines.shape[1] // trees
        first = (np.arange(trees) * leaves).astype(np.int32)
        block = max(1, _BLOCK_BYTES // (2 * self.lookups.lines[0].nbytes))
        for start in range(0, len(sums), block):
            rows = slice(start, min(start + block, len(sums)))
            leaf = _first_leaf(surviving(rows), words)
            leaf += first
            terms = np.empty((1 + trees // self.outputs, self.outputs, len(leaf)), self.values.dtype)
            terms[0] = sums[rows].T
            self.values.take(leaf.T, out=terms[1:].reshape(trees, -1), mode="clip")
            sums[rows] = _sum(terms).T


class BitTrees:
    """Sums over trees, tree after tree as LightGBM adds them, and its objective's link: (n, outputs), in the ``values``' own
    precision.

    Trees are asked in :attr:`parts`, of which each ends after one of the numbers of trees in ``ends``. Made by
    :func:`bit_trees`, and again from ``told``, a tenth of it. May be called by many threads.
    ``rest`` is called now and then while the tables are made.
    """

    def __init__(
        self,
        splits: Splits,
        values: Values,
        outputs: int,
        objective: str,
        ends: Sequence[int],
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        link = link_of(objective)
        if link is None:
            raise ValueError(f"no link is known for {objective!r}")
        self.told = (splits, values, outputs, objective, ends)
        self._outputs = outputs
        self._link = link
        self.parts = tuple(
            Part(lookups_of(splits.of_trees(start, end), end - start, rest), values[start:end], outputs)
            for start, end in itertools.pairwise([0, *ends])
        )

    @property
    def widest(self) -> int:
        """The look-ups for one row beyond which walking is quicker."""
        return min(_WIDEST, 2 * _WIDEST // self.told[0].words)

    @property
    def line_bytes(self) -> int:
        """Of one line for all trees."""
        return sum(part.lookups.lines[0].nbytes for part in self.parts)

    def __call__(self, features: Floats) -> npt.NDArray[Any] | None:
        """None where a row has NaN, or would need more than :attr:`widest` look-ups."""

        def surviving(part: Part) -> Surviving | None:
            at = part.lookups.places(features)
            return None if len(at) > widest else lambda rows: part.lookups.surviving(at[:, rows])

        widest = self.widest
        if any(len(part.lookups.ordered) > widest for part in self.parts) or np.isnan(features.sum()):
            return None
        return self.summed(len(features), map(surviving, self.parts))

    def summed(self, rows: int, surviving: Iterable[Surviving | None]) -> npt.NDArray[Any] | None:
        """The answers to rows of which ``surviving`` gives, part by part, the bits that are left; None where it does."""
        sums: npt.NDArray[Any] = np.zeros((rows, self._outputs), self.told[1].dtype)
        for part, bits in zip(self.parts, surviving, strict=True):
            if bits is None:
                return None
            part.add(sums, bits)
        return self._link(sums)


def bit_trees(text: str, *, outputs: int, single: bool = False) -> BitTrees | None:
    """From a model's text, to be added up in float32 where ``single``.

    None for one that has categories, missing values as zeros, more than MOST_LEAVES leaves in a tree, a link that is not
    known here, or tables that would be too large.
    """
    model = text_trees(text)
    if model is None or link_of(model.objective) is None or not model.trees or len(model.trees) % outputs:
        return None
    leaves = max(tree.leaves for tree in model.trees)
    if leaves > MOST_LEAVES or leaves < 2:
        return None
    splits = _splits(model.trees, leaves)
    ends = _ends(splits, len(model.trees), outputs)
    if ends is None:
        return None
    values: Values = np.zeros((len(model.trees), leaves), np.float32 if single else np.float64)
    for at, tree in enumerate(model.trees):
        values[at, : tree.leaves] = tree.values
    return BitTrees(splits, values, outputs, model.objective, ends)


def _ends(splits: Splits, trees: int, outputs: int) -> list[int] | None:
    """After how many trees each part ends, so that its lines stay in the cache; None where all would take too much memory.

    Fewer trees have fewer thresholds, and so fewer lines: more parts take less memory together.
    """
    size = splits.ruled_out.itemsize * splits.words
    most = max(1, trees // max(_FEWEST_TREES, outputs))
    count = math.ceil(count_lines(splits) * trees * size / _PART_BYTES)
    while True:
        count = min(count, most)
        rounds = np.linspace(0, trees // outputs, count + 1).astype(int).tolist()
        cuts = [outputs * each for each in rounds]
        taken = [
            count_lines(splits.of_trees(start, end)) * (end - start)
            for start, end in itertools.pairwise(cuts)
        ]
        if sum(taken) * size <= MOST_BYTES:
            return cuts[1:]
        if count == most:
            return None
        count *= 2


def _sum(terms: Values) -> Values:
    """Over the first axis, one after the other."""
    if terms[0].size == 1:  # numpy would add such a column up in pairs, which rounds otherwise
        return np.asarray(np.add.accumulate(terms, axis=0)[-1])
    return np.asarray(terms.sum(axis=0))


def _first_leaf(bits: Bits, words: int) -> npt.NDArray[np.int32]:
    """The leaf, (rows, trees), that is the first of those left standing."""
    trees = bits.shape[1] // words
    stands = bits[:, :-trees] != 0
    lowest = _lowest(bits)
    leaf = lowest[:, -trees:].astype(np.int32)
    leaf += _WORD * (words - 1)
    for word in reversed(range(words - 1)):
        part = slice(word * trees, (word + 1) * trees)
        np.copyto(leaf, lowest[:, part] + np.int32(_WORD * word), where=stands[:, part])
    return leaf


def _lowest(bits: Bits) -> npt.NDArray[np.uint8]:
    """The place of each number's lowest bit: how many bits lie below it."""
    np.bitwise_and(bits, np.negative(bits), out=bits)
    np.subtract(bits, 1, out=bits)
    return np.bitwise_count(bits)


def _splits(trees: Sequence[TextTree], leaves: int) -> Splits:
    words = math.ceil(leaves / _WORD)
    features = np.array([feature for tree in trees for feature in tree.features], np.int32)
    thresholds = np.array([threshold for tree in trees for threshold in tree.thresholds], np.float64)
    numbers = np.repeat(np.arange(len(trees), dtype=np.int32), [len(tree.features) for tree in trees])
    ruled_out = np.array([ends for tree in trees for ends in tree.ruled_out], np.int64).reshape(-1, 2)
    begin = _WORD * np.arange(words)[:, None]
    first, last = (np.clip(ends - begin, 0, _WORD) for ends in ruled_out.T)
    word, split = np.nonzero(last > first)
    bits = _below(last[word, split]) ^ _below(first[word, split])
    order = np.lexsort((word, thresholds[split], features[split]))
    split = split[order]
    return Splits(
        features=features[split],
        thresholds=thresholds[split],
        trees=numbers[split],
        word=word[order].astype(np.int32),
        ruled_out=bits[order].astype(np.uint32 if leaves <= 32 else np.uint64),
        words=words,
    )


def _below(places: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Numbers in which so many bits are set, the lowest ones."""
    all_bits = np.uint64(2**_WORD - 1)
    return np.where(places > 0, all_bits >> (_WORD - np.maximum(places, 1)).astype(np.uint64), np.uint64(0))
