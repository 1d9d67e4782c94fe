"""Reading the rows of a snapshot: their order, their entities, their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from automl.schema import Schema
from automl.task import Task

TRUTHS = ("given", "feedback", "human")


def tie_breaks(table: pa.Table) -> list[str]:
    """A fixed shuffle of rows of the same moment.

    The rows of one upload without a time column all arrived at once, and files are often sorted by something
    that matters: the last lines of a file must not become the holdout.
    """
    ids = table["_row_id"].to_numpy(zero_copy_only=False).astype(object)
    return [f"{number:016x}" for number in pd.util.hash_array(ids).tolist()]


def entities(table: pa.Table, task: Task) -> npt.NDArray[Any] | None:
    """The entity of each row as text (None where it has none, which makes it one of its own), or None when
    the project names no entity column."""
    if task.entity_column is None:
        return None
    column = pc.cast(table[task.entity_column], pa.string())
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)


def encoded_labels(table: pa.Table, schema: Schema, task: Task) -> npt.NDArray[Any]:
    """Class positions (int64), or numbers (float64)."""
    texts = table["_label"].to_pylist()
    if not task.is_classification:
        return np.array([float(text) for text in texts], dtype=np.float64)
    position = {schema.target.text(label): place for place, label in enumerate(task.classes)}
    return np.array([position[text] for text in texts], dtype=np.int64)


def is_truth(table: pa.Table) -> pa.ChunkedArray:
    """Which rows have a true label, not a model's word and not none."""
    return pc.is_in(table["_label_source"], pa.array(TRUTHS))
