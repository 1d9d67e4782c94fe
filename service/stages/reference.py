"""What goes with a model: rows like those it was trained on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from automl.oddness import LEAST_ROWS, Oddness, measured
from automl.schema import Schema
from automl.task import Task
from service.desk import Desk

REFERENCE_ROWS = 5_000


def write_reference(desk: Desk, train: pa.Table, schema: Schema, *, file: str = "reference.parquet") -> None:
    """A sample of the training rows, against which drift is measured."""
    random = np.random.default_rng(desk.spec["seed"])
    names = [column.name for column in schema.columns]
    count = min(REFERENCE_ROWS, len(train))
    picked = np.sort(random.choice(len(train), size=count, replace=False))
    pq.write_table(train.select(names).take(pa.array(picked)), desk.folder / file)


def write_oddness(
    desk: Desk, train: pa.Table, schema: Schema, task: Task, *, file: str = "oddness.npz"
) -> None:
    """What later rows are measured by: how far they lie from those trained on. No file where there are too few, or no column
    to measure by."""
    columns = measured(schema, task)
    if len(train) < LEAST_ROWS or not columns:
        return
    ids = train["_row_id"].to_pylist()
    oddness = Oddness.fit(train, columns, seed=desk.spec["seed"], ids=ids)
    (desk.folder / file).write_bytes(oddness.to_bytes())
