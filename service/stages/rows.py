"""Reading the rows of a snapshot: their order, their entities, their labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from automl.embargo import label_delay
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


def embargo_of(table: pa.Table, task: Task, asked: float | str) -> int | None:
    """Nanoseconds that have to lie between rows to train on and rows to judge on; None where rows of one moment may
    be parted.

    ``auto`` is, with a time column, the median delay of the feedback that came, at most a day; without one, rows of one
    upload arrived together and have to be parted. A time column of plain numbers has no seconds: they are
    only kept strictly apart.
    """
    timed = task.time_column is not None
    if timed and not pa.types.is_timestamp(table[task.time_column].type):
        return 0
    if asked != "auto":
        return int(float(asked) * 1e9)
    return _feedback_delay(table) if timed else None


def _feedback_delay(table: pa.Table) -> int:
    told = table.filter(pc.equal(table["_label_source"], "feedback"))
    asked_at, told_at = (
        told[name].cast(pa.int64()).to_numpy().astype(np.int64) * 1_000
        for name in ("_arrived_at", "_labelled_at")
    )
    return label_delay(asked_at, told_at)


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
