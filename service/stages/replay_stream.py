"""The rows of a replay: from a file or from a project's own tables, typed, labelled, in order of time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.schema import Schema, check, frame
from automl.snapshot import OLDEST, row_order
from automl.task import Task
from registry.database import Database
from registry.datasets import Datasets
from service.chunks import Limits
from service.desk import Desk
from service.first_upload import first_schema, together
from service.readers import Source, open_source, read
from service.replay.plan import ReplayPlan
from service.stages.rows import encoded_labels, entities, tie_breaks

TRUTHS = ("given", "feedback", "human")
_WEEK = 7 * 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Rows oldest first; ``times``, ``window`` and ``delay`` in nanoseconds of the simulated clock."""

    task: Task
    schema: Schema
    table: pa.Table
    X: pd.DataFrame
    y: npt.NDArray[Any]
    groups: npt.NDArray[Any] | None
    times: npt.NDArray[np.int64]
    window: int
    delay: int
    facts: dict[str, Any]


def stream_of(desk: Desk, plan: ReplayPlan) -> Stream:
    """Read once, then kept in the work folder as Parquet, so that going on needs the source no more.

    Raises Problem, SchemaError or ValueError where the source can't be played.
    """
    kept, notes = desk.folder / "stream.parquet", desk.folder / "stream.json"
    if not notes.exists():
        table, task, schema, facts = _read(desk)
        facts["labelled"] = len(table)
        table = _in_order(table, task).take(pa.array(np.arange(0, len(table), plan.keep_every)))
        if not len(table):
            raise ValueError("the stream has no labelled row")
        pq.write_table(table, kept)
        told = {"task": task.to_json(), "schema": schema.to_json(), "facts": facts}
        draft = notes.with_suffix(".draft")
        draft.write_text(json.dumps(told))
        draft.replace(notes)
    told = json.loads(notes.read_text())
    task, schema = Task.from_json(told["task"]), Schema.from_json(told["schema"])
    return _stream(pq.read_table(kept), task, schema, plan, told["facts"])


def _stream(table: pa.Table, task: Task, schema: Schema, plan: ReplayPlan, facts: dict[str, Any]) -> Stream:
    times, window, delay = _clock(table, task, plan)
    groups = entities(table, task)
    if groups is not None:
        alone = np.array([f"\0row {position}" for position in range(len(groups))], dtype=object)
        groups = np.where(pd.isna(groups), alone, groups)
    return Stream(
        task=task,
        schema=schema,
        table=table,
        X=frame(table, schema),
        y=encoded_labels(table, schema, task),
        groups=groups,
        times=times,
        window=window,
        delay=delay,
        facts={**facts, "rows": len(table), "dated": not isinstance(plan.window, int)},
    )


def _clock(table: pa.Table, task: Task, plan: ReplayPlan) -> tuple[npt.NDArray[np.int64], int, int]:
    if isinstance(plan.window, int):
        # Rows without dates: a window of them stands for a week, so that cooldowns and schedules mean something.
        pace = _WEEK // plan.window
        delay = plan.delay if isinstance(plan.delay, int) else 0
        return np.arange(len(table), dtype=np.int64) * pace, pace * plan.window, pace * delay
    name = task.time_column or "_arrived_at"
    if name not in table.column_names or not pa.types.is_timestamp(table[name].type):
        raise ValueError("the rows have no time column with dates: give the window as a number of rows")
    delay_of = plan.delay if isinstance(plan.delay, timedelta) else timedelta(0)
    return row_order(table, task), _nanos(plan.window), _nanos(delay_of)


def _nanos(span: timedelta) -> int:
    return round(span / timedelta(microseconds=1)) * 1000


def _in_order(table: pa.Table, task: Task) -> pa.Table:
    order = row_order(table, task)
    if task.time_column is not None:
        dated = order != OLDEST
        table, order = table.filter(pa.array(dated)), order[dated]
    ties = np.asarray(tie_breaks(table))
    return table.take(pa.array(np.lexsort((ties, order))))


def _read(desk: Desk) -> tuple[pa.Table, Task, Schema, dict[str, Any]]:
    source = desk.spec["source"]
    task = Task.from_json(desk.spec["task"])
    schema = None if desk.spec["schema"] is None else Schema.from_json(desk.spec["schema"])
    if source["kind"] == "file":
        return _read_file(desk, source, task, schema)
    assert schema is not None
    database = Database.open(desk.database_url)
    try:
        datasets = Datasets(database, desk.home / "tables", desk.home / "staging")
        table = datasets.read(source["project_id"], source["dataset_version"])
    finally:
        database.close()
    table = table.filter(pc.is_in(table["_label_source"], pa.array(TRUTHS)))
    return table, task, schema, {"kind": "stored", "dataset_version": source["dataset_version"]}


def _read_file(
    desk: Desk, spec: dict[str, Any], task: Task, schema: Schema | None
) -> tuple[pa.Table, Task, Schema, dict[str, Any]]:
    limits = Limits(**spec["limits"])
    named = {task.target, task.time_column, task.id_column, task.entity_column, *task.sensitive} - {None}
    with Path(spec["path"]).open("rb") as file:
        source = open_source(
            file,
            filename=spec["name"],
            media_type=None,
            known={str(name) for name in named} | set(schema.names if schema is not None else ()),
            limits=limits,
            folder=desk.folder,
        )
        if schema is None:
            schema, task = first_schema(source, task)
        table, refused = _checked(source, schema, task)
    unlabelled = table["_label"].null_count
    table = table.filter(pc.is_valid(table["_label"]))
    return table, task, schema, {"kind": "file", "refused": refused, "unlabelled": unlabelled}


def _checked(source: Source, schema: Schema, task: Task) -> tuple[pa.Table, int]:
    """The good rows of a file, with their labels and numbers, and how many were refused."""
    parts: list[pa.Table] = []
    refused = 0
    for chunk in read(source):
        refused += len(chunk.broken)
        if not chunk.table.num_rows:
            continue
        checked = check(chunk.table, schema, task)
        refused += chunk.table.num_rows - len(checked.positions)
        lines = chunk.lines[checked.positions]
        table = checked.table.append_column("_label", checked.labels)
        table = table.append_column("_row_id", pa.array([f"{line:012d}" for line in lines], pa.string()))
        arrived = pa.array(lines.astype(np.int64), pa.timestamp("us", tz="UTC"))
        parts.append(table.append_column("_arrived_at", arrived))
    return together(parts), refused
