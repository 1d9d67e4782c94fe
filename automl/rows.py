"""Rows of JSON, and columns of Python values, as raw Arrow columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa

from automl.columns import scalar_text
from automl.errors import SchemaError

_WHOLE_IN_FLOAT = 2**53


def table_from_rows(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows of JSON as a raw table; a key that a row lacks is a missing value in it.

    A column of one type keeps it; mixed types become text. Raises SchemaError: ``not_rows`` when a row is
    no object, ``nested_value`` for an object or list in a cell, ``not_utf8`` for text that is no Unicode.
    """
    names: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, Mapping):
            raise SchemaError(
                f"a row must be an object of column: value, not {type(row).__name__}",
                code="not_rows",
                remedy='send {"rows": [{"column": value, …}, …]}',
            )
        names.update(dict.fromkeys(row))
    arrays = [raw_array([row.get(name) for row in rows], name) for name in names]
    return pa.Table.from_arrays(arrays, names=list(names))


_DIRECT: Mapping[type, pa.DataType] = {str: pa.string(), bool: pa.bool_(), float: pa.float64()}


def raw_array(values: Sequence[object], name: str) -> pa.Array:
    """Python scalars as a raw column: of their one type, else as text. Raises as table_from_rows does."""
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if not kinds:
        return pa.nulls(len(values))
    try:
        if len(kinds) == 1 and (direct := _DIRECT.get(next(iter(kinds)))) is not None:
            return pa.array(values, direct)
        if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):  # type: ignore[operator]
            return pa.array(values, pa.int64())
        if kinds == {int, float} and all(type(v) is not int or abs(v) <= _WHOLE_IN_FLOAT for v in values):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())  # type: ignore[arg-type]
        return pa.array([_cell_text(value, name) for value in values], pa.string())
    except UnicodeEncodeError:
        raise SchemaError(
            f"column {name!r} holds text that is not valid Unicode",
            code="not_utf8",
            column=name,
            remedy="send UTF-8 without lone surrogates",
        ) from None


def _cell_text(value: object, name: str) -> str | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # NaN, NaT
        return None
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return "inf"  # beyond any float; Python refuses to write very long ones
    if isinstance(value, str | bool | int | float | Decimal):
        return scalar_text(value)
    raise SchemaError(
        f"column {name!r} holds a {type(value).__name__} where a single value is expected",
        code="nested_value",
        column=name,
        remedy="flatten objects and lists into columns of their own",
    )
