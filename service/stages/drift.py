"""A drift report of one window of live rows, in its own process: Evidently is large."""

from __future__ import annotations

import json

import pyarrow.parquet as pq

from automl.drift import DriftRule, JointRule, drift
from automl.schema import Schema, frame
from automl.task import Task
from service.desk import Desk


def run(desk: Desk, detail: str) -> None:
    """Compare ``current.parquet`` with ``reference.parquet``; leaves ``drift.json``."""
    spec = desk.spec
    schema, task = Schema.from_json(spec["schema"]), Task.from_json(spec["task"])
    desk.ready()
    reference = frame(pq.read_table(desk.folder / "reference.parquet"), schema)
    current = frame(pq.read_table(desk.folder / "current.parquet"), schema)
    joint = None if spec["joint"] is None else JointRule(**spec["joint"])
    report = drift(
        reference,
        current,
        schema,
        DriftRule(**spec["rule"], joint=joint),
        seed=spec["seed"],
        columns=schema.feature_names(task),
    )
    (desk.folder / "drift.json").write_text(json.dumps(report.to_json()))
    desk.tell("drift", share=report.share)
