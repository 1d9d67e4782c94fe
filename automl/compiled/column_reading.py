"""Many rows of JSON values column by column: read once, for the model and for the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.coercion import coerce
from automl.columns import Column, ColumnKind
from automl.compiled.category_block import CategoryTable, settled
from automl.compiled.moments import USUAL

Floats = npt.NDArray[np.float64]
Row = tuple[Any, ...]

_FAULTS = (pa.ArrowException, TypeError, ValueError, OverflowError)
_NUMERIC: frozenset[type] = frozenset({float, int, type(None)})
_TEXTS = frozenset({str, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Rows as the blocks take them: column by column, by name. A slice is a part of the rows."""

    rows: int
    numbers: Mapping[str, Floats]
    """NaN where missing; a yes is 1."""
    times: Mapping[str, Any]
    codes: Mapping[str, npt.NDArray[np.intp]]
    texts: Mapping[str, Sequence[str]]
    typed: Mapping[str, pa.Array] | None
    """All columns as :func:`automl.schema.check` types them; None where that is not known, as of a part."""

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, part: slice) -> Columns:
        return Columns(
            rows=len(range(*part.indices(self.rows))),
            numbers={name: values[part] for name, values in self.numbers.items()},
            times={name: values[part] for name, values in self.times.items()},
            codes={name: values[part] for name, values in self.codes.items()},
            texts={name: values[part] for name, values in self.texts.items()},
            typed=None,
        )


def read_columns(
    columns: Sequence[Column], tables: Mapping[str, CategoryTable], rows: Sequence[Row]
) -> Columns | None:
    """Rows whose values stand in the order of ``columns``; None as a whole when only the long way settles some value."""
    read: dict[ColumnKind, dict[str, Any]] = {kind: {} for kind in ColumnKind}
    typed: dict[str, pa.Array] | None = {}
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        found = _READERS[column.kind](values, column, tables.get(column.name))
        if found is None:
            return None
        read[column.kind][column.name], array = found
        if array is None:
            typed = None
        elif typed is not None:
            typed[column.name] = array
    return Columns(
        rows=len(rows),
        numbers=read[ColumnKind.NUMERIC] | read[ColumnKind.BOOLEAN],
        times=read[ColumnKind.DATETIME],
        codes={name: lines for name, lines in read[ColumnKind.CATEGORICAL].items() if name in tables},
        texts=read[ColumnKind.TEXT],
        typed=typed,
    )


def datetimes(values: Any) -> Any:
    """Typed times for numpy."""
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype="datetime64[us]")


_Found = tuple[Any, pa.Array | None] | None
"""What the blocks take and what the check makes of a column; None when some value is one that only the long way settles."""


def _numbers(values: Sequence[Any], column: Column, _: CategoryTable | None) -> _Found:
    try:
        array = pa.array(values, pa.float64())
    except _FAULTS:  # a whole number that no float is, perhaps
        return _odd_numbers(values)
    numbers = array.to_numpy(zero_copy_only=False)
    missing = np.isnan(numbers)
    if np.isinf(numbers).any() or (_may_be_booleans(numbers) and bool in set(map(type, values))):
        return None
    if np.count_nonzero(missing) > array.null_count:  # missing as another protocol writes it
        array = pa.array(numbers, from_pandas=True)
    return numbers, array


def _may_be_booleans(numbers: Floats) -> bool:
    """Arrow takes a yes for 1; to look at each value's type costs as much as to read it."""
    return bool(((numbers == 1.0) | (numbers == 0.0)).any())


def _odd_numbers(values: Sequence[Any]) -> _Found:
    """Numbers of which some stand in the log as they came."""
    if not _NUMERIC.issuperset(map(type, values)):
        return None
    try:
        numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:  # a whole number beyond any float
        return None
    return None if np.isinf(numbers).any() else (numbers, None)


def _booleans(values: Sequence[Any], column: Column, _: CategoryTable | None) -> _Found:
    try:
        array = pa.array(values, pa.bool_())
    except _FAULTS:
        return None
    return array.cast(pa.float64()).to_numpy(zero_copy_only=False), array


def _times(values: Sequence[Any], column: Column, _: CategoryTable | None) -> _Found:
    """As an upload's are: reading a column of texts that way is quick."""
    if not _TEXTS.issuperset(map(type, values)):
        return None
    try:
        texts = pa.array(values, pa.string())
    except UnicodeEncodeError:
        return None
    if not pc.all(pc.match_substring_regex(texts, f"^{USUAL}$")).as_py():
        return None
    read = coerce(texts, column)
    if any(positions.size for _, positions in read.problems):
        return None
    return datetimes(read.values), read.values


def _category(values: Sequence[Any], column: Column, table: CategoryTable | None) -> _Found:
    if table is None:  # the model does not use it
        return _texts(values, column, None)
    codes = table.codes_of(values)
    return None if codes is None else (codes, pa.array(values, pa.string()))


def _texts(values: Sequence[Any], column: Column, _: CategoryTable | None) -> _Found:
    """Missing text is empty."""
    if not all(value is None or settled(value) for value in values):
        return None
    return ["" if value is None else value for value in values], pa.array(values, pa.string())


_READERS: Mapping[ColumnKind, Any] = {
    ColumnKind.NUMERIC: _numbers,
    ColumnKind.BOOLEAN: _booleans,
    ColumnKind.DATETIME: _times,
    ColumnKind.CATEGORICAL: _category,
    ColumnKind.TEXT: _texts,
}
