"""The frozen split of a dataset version: what is trained on, and the newest rows that are judged on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.errors import SplitError
from automl.leaks import suspected_leaks
from automl.meta_features import meta_features
from automl.schema import Schema, frame
from automl.snapshot import HoldoutRule, Mark, Split, row_order, snapshot_hash, split
from automl.task import Task
from registry.database import Database
from registry.datasets import Datasets
from service.desk import Desk
from service.stages.rows import embargo_of, encoded_labels, entities, is_truth, tie_breaks

POOL_ROWS = 50_000
"""Rows without truth that a teacher is asked about at most: the newest."""
_NANOS = 1_000_000_000


def run(desk: Desk, detail: str) -> None:
    """Leaves ``train.parquet``, ``holdout.parquet`` (both oldest first) and ``snapshot.json``; where pseudo-labels
    are asked for, ``pool.parquet`` too."""
    task = Task.from_json(desk.spec["task"])
    desk.ready()
    everything = _read(desk)
    true = is_truth(everything)
    table, oldest = _looked_back(everything.filter(true), desk.spec["lookback_seconds"], task)
    parts, embargo = _parts(desk, table, task)
    train, holdout = table.take(pa.array(parts.train)), table.take(pa.array(parts.holdout))
    pq.write_table(train, desk.folder / "train.parquet")
    pq.write_table(holdout, desk.folder / "holdout.parquet")
    pool_rows = None
    if desk.spec["pseudo"] is not None:
        pool = _pool(everything.filter(pc.invert(true)), holdout, oldest, task)
        pq.write_table(pool, desk.folder / "pool.parquet")
        pool_rows = len(pool)
    leaks, described = _looked_at(desk, train, task)
    snapshot: dict[str, Any] = {
        "dataset_version": desk.spec["dataset_version"],
        "hash": snapshot_hash(table["_row_id"], table["_label"]),
        "train_rows": len(train),
        "holdout_rows": len(holdout),
        "left_out_rows": len(parts.left_out),
        "embargo_seconds": None if embargo is None else embargo / _NANOS,
        "pool_rows": pool_rows,
        "cut": parts.cut.to_json(),
        "trained_until": parts.trained_until.to_json(),
        "labels": _counts(table["_label"]) if task.is_classification else None,
        "sources": _counts(table["_label_source"]),
        "holdout_span": _span(holdout, task),
        "train_span": _span(train, task),
        "suspected_leaks": leaks,
        "meta_features": described,
    }
    (desk.folder / "snapshot.json").write_text(json.dumps(snapshot))


def _looked_at(desk: Desk, train: pa.Table, task: Task) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Columns that alone say the label, and what the problem looks like."""
    schema = Schema.from_json(desk.spec["schema"])
    y, rows = encoded_labels(train, schema, task), frame(train, schema)
    leaks = suspected_leaks(rows, y, schema=schema, task=task, seed=desk.spec["seed"])
    return [asdict(leak) for leak in leaks], meta_features(rows, y, schema=schema, task=task)


def _read(desk: Desk) -> pa.Table:
    """The rows of the version; those without any label only where pseudo-labels are asked for."""
    spec = desk.spec
    database = Database.open(desk.database_url)
    try:
        datasets = Datasets(database, desk.home / "tables", desk.home / "staging")
        return datasets.read(spec["project_id"], spec["dataset_version"], labelled=spec["pseudo"] is None)
    finally:
        database.close()


def _looked_back(table: pa.Table, lookback: float | None, task: Task) -> tuple[pa.Table, int | None]:
    """The rows within the lookback window, and the moment where it begins."""
    if lookback is None or not len(table):
        return table, None
    order = row_order(table, _timed(table, task))
    oldest = int(np.max(order)) - int(lookback * _NANOS)
    return table.filter(pa.array(order >= oldest)), oldest


def _timed(table: pa.Table, task: Task) -> Task:
    """A numeric time column has no unit in which to look back, so arrival has to do."""
    timed = task.time_column is not None and pa.types.is_timestamp(table[task.time_column].type)
    return task if timed else replace(task, time_column=None)


def _parts(desk: Desk, table: pa.Table, task: Task) -> tuple[Split, int | None]:
    """The split and the embargo it keeps; an automatic one gives way where it leaves too few rows."""
    embargo = embargo_of(table, task, desk.spec["embargo"])
    try:
        return _parted(desk, table, task, embargo), embargo
    except SplitError:
        if desk.spec["embargo"] != "auto" or embargo is None:
            raise
        return _parted(desk, table, task, None), None


def _parted(desk: Desk, table: pa.Table, task: Task, embargo: int | None) -> Split:
    """The split. A row that the champion was trained on, if only by a model's word, never judges it."""
    champion = desk.spec["champion"]
    order, ties, named = row_order(table, task), tie_breaks(table), entities(table, task)
    taught = _taught(desk, table)
    asked = np.flatnonzero(~taught)
    parts = split(
        order[asked],
        row_ids=[ties[row] for row in asked],
        entities=None if named is None else named[asked],
        rule=HoldoutRule(**desk.spec["holdout"]),
        trained_until=None if champion is None else Mark.from_json(champion["trained_until"]),
        embargo=embargo,
    )
    train, holdout, left_out = asked[parts.train], asked[parts.holdout], asked[parts.left_out]
    if taught.any():
        usable = taught & (order < parts.trained_until.at)
        if named is not None:
            usable &= ~np.isin(named.astype(str), named[holdout].astype(str))
        joined = np.concatenate([np.flatnonzero(usable), train])
        train = joined[np.argsort(order[joined], kind="stable")]
        left_out = np.concatenate([left_out, np.flatnonzero(taught & ~usable)])
    return replace(parts, train=train, holdout=holdout, left_out=left_out)


def _taught(desk: Desk, table: pa.Table) -> npt.NDArray[np.bool_]:
    """Which rows the champion was trained on by pseudo-labels."""
    path = desk.folder / "champion-pseudo.parquet"
    if not path.exists():
        return np.zeros(len(table), dtype=bool)
    ids = pq.read_table(path, columns=["_row_id"])["_row_id"].combine_chunks()
    return np.asarray(pc.is_in(table["_row_id"], ids).to_numpy(zero_copy_only=False), dtype=bool)


def _pool(pool: pa.Table, holdout: pa.Table, oldest: int | None, task: Task) -> pa.Table:
    """Rows without truth, newest last: within the lookback window, of no entity that is judged on."""
    if not len(pool):
        return pool
    if oldest is not None:
        pool = pool.filter(pa.array(row_order(pool, _timed(pool, task)) >= oldest))
    of_pool, of_holdout = entities(pool, task), entities(holdout, task)
    if of_pool is not None and of_holdout is not None:
        held = set(of_holdout) - {None}
        pool = pool.filter(pa.array([entity not in held for entity in of_pool], pa.bool_()))
    by_age = np.argsort(row_order(pool, task), kind="stable")
    return pool.take(pa.array(by_age[-POOL_ROWS:]))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(entry["values"]): int(entry["counts"]) for entry in pc.value_counts(column).to_pylist()}


def _span(table: pa.Table, task: Task) -> list[str]:
    values = table[task.time_column or "_arrived_at"]
    bounds = pc.min_max(values).as_py()
    return [str(bounds["min"]), str(bounds["max"])]
