"""What each column adds to the champion's answers, of live rows beside training rows, in its own process."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from automl.explain import Explainer, Method
from automl.schema import Schema, frame
from automl.scoring import predictions
from automl.task import Task
from automl.trust.attribution_drift import attribution_drift
from service.desk import Desk
from service.sealed import unseal_object
from service.stages.names import CHAMPION_FILE

EXACT_ROWS = 1_000
SAMPLED_ROWS = 150
"""Rows of each side where contributions can only be sampled, which asks the model some hundred times for each row."""


def run(desk: Desk, detail: str) -> None:
    """Compare ``current.parquet`` with ``reference.parquet``; leaves ``attribution.json``."""
    spec = desk.spec
    schema, task = Schema.from_json(spec["schema"]), Task.from_json(spec["task"])
    pipeline = unseal_object(desk.folder / CHAMPION_FILE, desk.key)
    desk.ready()
    reference = pq.read_table(desk.folder / "reference.parquet")
    explainer = Explainer(
        pipeline, schema, task, reference, lambda table: predictions(pipeline, frame(table, schema), task)
    )
    most = SAMPLED_ROWS if explainer.method is Method.SAMPLED else EXACT_ROWS
    before, now = (
        explainer.explain(_drawn(_typed(table, schema), most, spec["seed"])).contributions
        for table in (reference, pq.read_table(desk.folder / "current.parquet"))
    )
    found = attribution_drift(before, now, explainer.columns, **spec["rule"])
    report = {
        "method": explainer.method.value,
        "rows": len(now),
        "rows_reference": len(before),
        "threshold": spec["rule"]["threshold"],
        "alpha": spec["rule"]["alpha"],
        "columns": [one.to_json() for one in found],
        "moved": [one.column for one in found if one.moved],
    }
    (desk.folder / "attribution.json").write_text(json.dumps(report, allow_nan=False))
    desk.tell("attribution", moved=report["moved"])


def _typed(table: pa.Table, schema: Schema) -> pa.Table:
    """The schema's columns; one that these rows lack is empty."""
    there = frozenset(table.column_names)
    return pa.table(
        {
            column.name: table[column.name].cast(column.arrow_type)
            if column.name in there
            else pa.nulls(table.num_rows, column.arrow_type)
            for column in schema.columns
        }
    )


def _drawn(table: pa.Table, most: int, seed: int) -> pa.Table:
    if table.num_rows <= most:
        return table
    picked: npt.NDArray[Any] = np.random.default_rng(seed).choice(table.num_rows, size=most, replace=False)
    return table.take(pa.array(np.sort(picked)))
