"""Typed tables as the frames a pipeline takes, and back."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from automl.columns import Column, ColumnKind, Schema

TEXT_DTYPE: Any = pd.StringDtype("pyarrow", na_value=float("nan"))
TIME_DTYPE = pd.DatetimeTZDtype("us", "UTC")


def frame(table: pa.Table, schema: Schema) -> pd.DataFrame:
    """The schema's columns in schema order, in the dtypes that are pinned for training and serving.

    Numbers and booleans are float64 (true is 1.0), categories and text pandas ``str``, times
    ``datetime64[us, UTC]``; missing is NaN or NaT. A schema column that the table lacks is all missing;
    other columns are left out.
    """
    rows = table.num_rows
    present = frozenset(table.column_names)
    columns = {
        column.name: pinned(
            table.column(column.name) if column.name in present else pa.nulls(rows, column.arrow_type), column
        )
        for column in schema.columns
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False)


def typed(rows: pd.DataFrame, schema: Schema) -> pa.Table:
    """The inverse of :func:`frame`: the schema's columns of a frame in its dtypes, as a typed table."""
    return pa.table({column.name: _unpinned(rows[column.name], column) for column in schema.columns})


def _unpinned(values: pd.Series[Any], column: Column) -> pa.Array:
    found = pa.Array.from_pandas(values)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return found.cast(column.arrow_type)


def pinned(values: pa.Array | pa.ChunkedArray, column: Column) -> Any:
    """Typed values of one column as the array a frame holds."""
    if column.kind in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        return values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if column.kind is ColumnKind.DATETIME:
        return values.to_pandas().array
    return TEXT_DTYPE.__from_arrow__(values)
