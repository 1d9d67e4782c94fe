"""The frozen split of a dataset version: what is trained on, and the newest rows that are judged on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.errors import SplitError
from automl.snapshot import HoldoutRule, Mark, Split, row_order, snapshot_hash, split
from automl.task import Task
from registry.database import Database
from registry.datasets import Datasets
from service.desk import Desk
from service.stages.rows import embargo_of, entities, tie_breaks

TRUTHS = ("given", "feedback", "human")
_NANOS = 1_000_000_000


def run(desk: Desk, detail: str) -> None:
    """Leaves ``train.parquet``, ``holdout.parquet`` (both oldest first) and ``snapshot.json``."""
    spec = desk.spec
    task = Task.from_json(spec["task"])
    desk.ready()
    table = _read(desk, task)
    parts, embargo = _parts(desk, table, task)
    train, holdout = table.take(pa.array(parts.train)), table.take(pa.array(parts.holdout))
    pq.write_table(train, desk.folder / "train.parquet")
    pq.write_table(holdout, desk.folder / "holdout.parquet")
    snapshot: dict[str, Any] = {
        "dataset_version": spec["dataset_version"],
        "hash": snapshot_hash(table["_row_id"], table["_label"]),
        "train_rows": len(train),
        "holdout_rows": len(holdout),
        "left_out_rows": len(parts.left_out),
        "embargo_seconds": None if embargo is None else embargo / _NANOS,
        "cut": parts.cut.to_json(),
        "trained_until": parts.trained_until.to_json(),
        "labels": _counts(table["_label"]) if task.is_classification else None,
        "sources": _counts(table["_label_source"]),
        "holdout_span": _span(holdout, task),
        "train_span": _span(train, task),
    }
    (desk.folder / "snapshot.json").write_text(json.dumps(snapshot))


def _read(desk: Desk, task: Task) -> pa.Table:
    """Truly labelled rows of the version, within the lookback window."""
    spec = desk.spec
    database = Database.open(desk.database_url)
    try:
        datasets = Datasets(database, desk.home / "tables", desk.home / "staging")
        table = datasets.read(spec["project_id"], spec["dataset_version"])
    finally:
        database.close()
    table = table.filter(pc.is_in(table["_label_source"], pa.array(TRUTHS)))
    lookback = spec["lookback_seconds"]
    if lookback is None or not len(table):
        return table
    # A numeric time column has no unit in which to look back, so arrival has to do.
    timed = task.time_column is not None and pa.types.is_timestamp(table[task.time_column].type)
    order = row_order(table, task if timed else replace(task, time_column=None))
    return table.filter(pa.array(order >= np.max(order) - int(lookback * _NANOS)))


def _parts(desk: Desk, table: pa.Table, task: Task) -> tuple[Split, int | None]:
    """The split and the embargo it keeps; an automatic one gives way where it leaves too few rows."""
    spec, champion = desk.spec, desk.spec["champion"]
    order, ties, named = row_order(table, task), tie_breaks(table), entities(table, task)

    def parted(embargo: int | None) -> Split:
        return split(
            order,
            row_ids=ties,
            entities=named,
            rule=HoldoutRule(**spec["holdout"]),
            trained_until=None if champion is None else Mark.from_json(champion["trained_until"]),
            embargo=embargo,
        )

    embargo = embargo_of(table, task, spec["embargo"])
    try:
        return parted(embargo), embargo
    except SplitError:
        if spec["embargo"] != "auto" or embargo is None:
            raise
        return parted(None), None


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(entry["values"]): int(entry["counts"]) for entry in pc.value_counts(column).to_pylist()}


def _span(table: pa.Table, task: Task) -> list[str]:
    values = table[task.time_column or "_arrived_at"]
    bounds = pc.min_max(values).as_py()
    return [str(bounds["min"]), str(bounds["max"])]
