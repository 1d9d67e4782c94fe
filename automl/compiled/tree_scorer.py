"""What all models of trees in LightGBM's predictor have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from automl.compiled.bit_trees import BitTrees
from automl.compiled.coded_trees import CodedTrees, coded_trees
from automl.compiled.native_trees import NativeTrees

if TYPE_CHECKING:
    from automl.compiled.read_rows import ReadRows
    from automl.compiled.reading import Blocks

Floats = npt.NDArray[np.float64]


class TreeScorer:
    """A scorer whose answers are made of the sums over trees, row by row, by :meth:`told`."""

    def __init__(self, trees: NativeTrees) -> None:
        self._trees = trees
        self._coded: tuple[Blocks, CodedTrees | None] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_coded": None}

    def many(self, features: Floats) -> Floats:
        return self.told(self._trees.many(features))

    def answers(self, rows: ReadRows) -> Floats:
        trees = self.coded(rows.blocks) if rows.are_many else None
        if trees is None or rows.plain is None:
            return self.many(rows.matrix)
        return self.told(trees(self.read(rows.plain), rows.codes))

    @property
    def bits(self) -> BitTrees | None:
        """The trees for many rows, where there are such tables of them."""
        return self._trees.bits

    def read(self, features: Floats) -> Floats:
        """Features as the trees compare them."""
        return features

    def told(self, sums: Floats) -> Floats:
        """The answers to rows from what their trees give, (n, outputs)."""
        raise NotImplementedError

    def coded(self, blocks: Blocks) -> CodedTrees | None:
        """The trees for rows that these blocks have read; made when they are first asked for, a few milliseconds.
        None where rows have to become a matrix."""
        known = self._coded
        if known is None or known[0] is not blocks:
            known = self._coded = (blocks, self._made(blocks))
        return known[1]

    def _made(self, blocks: Blocks) -> CodedTrees | None:
        bits = self.bits
        if bits is None:
            return None
        starts = blocks.starts
        tables = zip(starts, blocks.categories, strict=True)
        return coded_trees(
            bits, blocks.plain, [(start, self.read(table.features)) for start, table in tables]
        )
