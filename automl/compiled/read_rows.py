"""Rows that were read, for models that take them in different ways."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from automl.compiled.coded_trees import CODED_FROM, Codes
from automl.compiled.column_reading import Columns
from automl.compiled.reading import Blocks, Reader

Floats = npt.NDArray[np.float64]


class ReadRows:
    """One call's rows: as the matrix of their features, or by the codes of their categories. Each is made when it is
    first asked for, and once for all members of a blend."""

    def __init__(self, reader: Reader, columns: Columns) -> None:
        self._reader = reader
        self._columns = columns

    @property
    def blocks(self) -> Blocks:
        return self._reader.blocks

    @cached_property
    def matrix(self) -> Floats:
        return self._reader.filled(self._columns)

    @property
    def are_many(self) -> bool:
        """Whether trees are asked by codes."""
        return len(self._columns) >= CODED_FROM

    @cached_property
    def plain(self) -> Floats | None:
        """The features that are no category's, (features, rows); None where some have gaps."""
        plain = self._reader.plain(self._columns)
        return None if np.isnan(plain.sum()) else plain

    @cached_property
    def codes(self) -> Sequence[Codes]:
        """Of each category."""
        return [self._columns.codes[table.name] for table in self.blocks.categories]
