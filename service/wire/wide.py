"""Calls of many rows, column by column: read once for the model and for the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from automl.columns import Column, ColumnKind
from automl.compiled.reading import Columns
from service.log_reading import read_column
from service.log_records import Head, column_record

_WHOLE_IN_FLOAT = 2.0**53
"""From here on a whole number that came may not be the float that was read of it."""
_START = datetime(1970, 1, 1, tzinfo=UTC)


def wide_record(
    head: Head,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
    read: Columns,
    ids: Sequence[str],
    raw: npt.NDArray[np.float64],
    at: int,
) -> bytes | None:
    """The log's record of rows in the order of ``columns``, of which the model has ``read`` the numbers, so that whoever
    moves the log has nothing left to read in them. None where they have to be kept as they came."""
    typed: dict[str, Any] = {}
    for place, column in enumerate(columns):
        if column.kind is ColumnKind.NUMERIC:
            numbers = read.numbers[column.name]
            if (np.abs(numbers) >= _WHOLE_IN_FLOAT).any():
                return None
            typed[column.name] = pa.array(np.ascontiguousarray(numbers), column.arrow_type, from_pandas=True)
        else:
            typed[column.name] = read_column([row[place] for row in rows], column).values
    table = pa.table([typed[name] for name in head.order], names=list(head.order))
    moment = _START + timedelta(microseconds=at)
    return column_record(head, table, pa.array(ids, pa.string()), raw, moment)
