"""Reading the rows of a snapshot: their order in time, their labels, their entities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from automl.schema import Schema
from automl.task import Task


def times(table: pa.Table, task: Task) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 of each row: its time column where there is one and it is known, else its arrival."""
    arrived = table["_arrived_at"]
    moments = arrived if task.time_column is None else _event_times(table, task.time_column)
    filled = pc.fill_null(moments, 0) if moments is arrived else pc.coalesce(moments, arrived)
    micros = pc.cast(pc.cast(filled, pa.timestamp("us", tz="UTC")), pa.int64())
    return np.asarray(micros.to_numpy(), dtype=np.int64) * 1000


def _event_times(table: pa.Table, column: str) -> Any:
    values = table[column]
    if pa.types.is_timestamp(values.type):
        return pc.cast(values, pa.timestamp("us", tz="UTC"))
    # A numeric time column (a step or an epoch) keeps its order; the unit does not matter for that.
    return pc.cast(pc.cast(values, pa.float64()), pa.int64(), safe=False).cast(pa.timestamp("us", tz="UTC"))


def tie_breaks(table: pa.Table) -> npt.NDArray[np.uint64]:
    """A fixed shuffle of rows of the same moment: files are often sorted by something that matters."""
    ids = table["_row_id"].to_numpy(zero_copy_only=False).astype(object)
    return np.asarray(pd.util.hash_array(ids), dtype=np.uint64)


def oldest_first(table: pa.Table, task: Task) -> pa.Table:
    """The rows in the order in which they are split, with ``_time`` (ns) and ``_tie`` added."""
    moments, ties = times(table, task), tie_breaks(table)
    positions = np.lexsort((ties, moments))
    ordered = table.take(pa.array(positions))
    return ordered.append_column("_time", pa.array(moments[positions])).append_column(
        "_tie", pa.array(ties[positions])
    )


def order_values(table: pa.Table, task: Task) -> npt.NDArray[np.int64]:
    """Nanoseconds of each row of a table that :func:`oldest_first` made."""
    return np.asarray(table["_time"].to_numpy(), dtype=np.int64)


def entities(table: pa.Table, task: Task) -> npt.NDArray[Any] | None:
    """The entity of each row as text, or None when the project names no entity column."""
    if task.entity_column is None:
        return None
    column = pc.fill_null(pc.cast(table[task.entity_column], pa.string()), "")
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def encoded_labels(table: pa.Table, schema: Schema, task: Task) -> npt.NDArray[Any]:
    """Class positions (int64), or numbers (float64)."""
    texts = table["_label"].to_pylist()
    if not task.is_classification:
        return np.array([float(text) for text in texts], dtype=np.float64)
    position = {schema.target.text(label): place for place, label in enumerate(task.classes)}
    return np.array([position[text] for text in texts], dtype=np.int64)
