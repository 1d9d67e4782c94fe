"""Categories: what the fitted encoders make of each value, as a look-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.coercion import MISSING_WORDS

Floats = npt.NDArray[np.float64]
Codes_ = npt.NDArray[np.intp]
_MISSING = frozenset(MISSING_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTable:
    """One column's features. ``index`` leads a value (None: missing) to its line of ``features``; the last line is
    that of values that training did not have."""

    name: str
    index: Mapping[str | None, int]
    features: Floats
    known: pa.Array

    @property
    def width(self) -> int:
        return int(self.features.shape[1])

    def codes(self, values: pa.Array | pa.ChunkedArray) -> Codes_:
        """The line of each value of a typed column."""
        found = pc.index_in(values, value_set=self.known)
        lines = pc.fill_null(found, len(self.features) - 1)
        if values.null_count:
            lines = pc.if_else(pc.is_null(values), pa.scalar(self.index[None], lines.type), lines)
        if isinstance(lines, pa.ChunkedArray):
            lines = lines.combine_chunks()
        return np.asarray(lines.to_numpy(zero_copy_only=False), dtype=np.intp)

    def codes_of(self, values: Sequence[object]) -> Codes_ | None:
        """The line of each value; None when some value is one that only the long way settles."""
        index, unseen = self.index, len(self.features) - 1
        lines = []
        try:
            for value in values:
                line = index.get(value)  # type: ignore[call-overload]
                if line is None:
                    if not settled(value):
                        return None
                    line = unseen
                lines.append(line)
        except TypeError:  # no value of JSON is a category that can't be hashed
            return None
        return np.array(lines, dtype=np.intp)


def settled(value: object) -> bool:
    """Whether a value is surely kept as it is: a text that is no missing word, without outer blanks.

    >>> settled("Rome"), settled(" Rome"), settled("NaN"), settled(7)
    (True, False, False, False)
    """
    if type(value) is not str or value in _MISSING:
        return False
    if value.isascii():
        return "!" <= value[0] <= "~" and "!" <= value[-1] <= "~"
    if not (
        (value[0].isalnum() or "!" <= value[0] <= "~") and (value[-1].isalnum() or "!" <= value[-1] <= "~")
    ):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
