"""A forecasting run's rows as series, and where its judgement begins, in a process of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from automl.forecasting.backtest import common_end
from automl.forecasting.judging import cut_of
from automl.forecasting.panel import Panel
from automl.forecasting.rows import series_in
from automl.forecasting.steps import Step
from automl.schema import Schema
from automl.snapshot import snapshot_hash
from automl.task import Task
from registry.database import Database
from registry.datasets import Datasets
from service.desk import Desk
from service.stages.rows import is_truth

ROWS = "series.parquet"


def run(desk: Desk, detail: str) -> None:
    """Leaves ``series.parquet``, the rows, and ``snapshot.json``. What lies before its ``cut`` is searched on, the rest
    judges."""
    task = Task.from_json(desk.spec["task"])
    assert task.horizon is not None
    desk.ready()
    table = rows_of(desk, desk.spec["dataset_version"], labelled=not task.covariates)
    pq.write_table(table, desk.folder / ROWS)
    panel = panel_of(table, task, Schema.from_json(desk.spec["schema"]))
    champion = desk.spec["champion"]
    cut = cut_of(
        panel,
        task.horizon,
        share=desk.spec["holdout"]["share"],
        trained_until=_position(panel, None if champion is None else champion["trained_until"]),
    )
    (desk.folder / "snapshot.json").write_text(json.dumps(_told(desk, table, panel, cut)))


def rows_of(desk: Desk, version: int, *, labelled: bool) -> pa.Table:
    """The rows of a dataset version, in the order in which they arrived; those without value may tell covariates."""
    database = Database.open(desk.database_url)
    try:
        datasets = Datasets(database, desk.home / "tables", desk.home / "staging")
        table = datasets.read(desk.spec["project_id"], version, labelled=labelled)
    finally:
        database.close()
    return table


def panel_of(
    table: pa.Table, task: Task, schema: Schema, *, step: Step | None = None, season: int | None = None
) -> Panel:
    """The series of the rows; labels that nobody gave don't count."""
    labels = pc.if_else(pc.fill_null(is_truth(table), False), table["_label"], pa.scalar(None, pa.string()))
    return series_in(table, labels, task, schema, step=step, season=season)


def known_panel(desk: Desk) -> tuple[Panel, Task]:
    """The series that the first stage read."""
    task = Task.from_json(desk.spec["task"])
    table = pq.read_table(desk.folder / ROWS)
    return panel_of(table, task, Schema.from_json(desk.spec["schema"])), task


def _position(panel: Panel, mark: str | float | None) -> int | None:
    """The position of a time as :meth:`Step.time` gives it."""
    if mark is None:
        return None
    if isinstance(mark, str):
        times = np.array([mark.removesuffix("+00:00")], dtype="datetime64[us]")
    else:
        times = np.array([mark], dtype=np.float64)
    return int(panel.step.positions(times)[0])


def _told(desk: Desk, table: pa.Table, panel: Panel, cut: int) -> dict[str, Any]:
    end = common_end(panel)
    before = sum(max(0, min(len(one), cut - one.start)) for one in panel.series)
    steps = sum(len(one) for one in panel.series)
    filled = sum(int((~one.observed).sum()) for one in panel.series)
    starts = min(one.start for one in panel.series)
    time = panel.step.time
    return {
        "dataset_version": desk.spec["dataset_version"],
        "hash": snapshot_hash(table["_row_id"], pc.fill_null(table["_label"], "")),
        "series": len(panel.series),
        "step": panel.step.to_json(),
        "season": panel.season,
        "filled_steps": filled,
        "train_rows": before,
        "holdout_rows": steps - before,
        "left_out_rows": 0,
        "embargo_seconds": None,
        "labels": None,
        "cut": time(cut),
        "trained_until": time(cut),
        "position": cut,
        "holdout_span": [str(time(cut)), str(time(end - 1))],
        "train_span": [str(time(starts)), str(time(cut - 1))],
        "sources": None,
        "suspected_leaks": [],
    }
