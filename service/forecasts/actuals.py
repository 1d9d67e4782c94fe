"""What came of stored forecasts: the actual values of their steps, and how far off they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from automl.forecasting.live import Scored
from automl.forecasting.rows import names_of, times_of
from automl.forecasting.steps import Step
from automl.task import Task
from registry.forecasts import ForecastRecord
from registry.records import Project
from registry.store import Registry

Actuals = dict[tuple[str, int], float]


def actuals(registry: Registry, project: Project, version: int, step: Step, since: int) -> Actuals:
    """The true values of a dataset version by series and position, from position ``since`` on; of two at one step the
    later counts."""
    task = Task.from_json(project.task)
    assert task.time_column is not None
    columns = [name for name in (task.time_column, task.series_column) if name is not None]
    table = registry.datasets.read(project.id, version, labelled=True, columns=columns)
    table = table.filter(pc.not_equal(table["_label_source"], "pseudo"))
    table = table.filter(pc.is_valid(table[task.time_column]))
    if not len(table):
        return {}
    positions = step.positions(times_of(table, task.time_column))
    late = np.flatnonzero(positions >= since)
    table = table.take(pa.array(late))
    names = names_of(table, task) or [""] * len(table)
    values = [float(text) for text in table["_label"].to_pylist()]
    return dict(zip(zip(names, positions[late].tolist(), strict=True), values, strict=True))


def came_of(forecast: ForecastRecord, known: Actuals) -> list[float | None]:
    """The actual value of each step, None where it did not come yet."""
    return [known.get((forecast.series, forecast.origin + at)) for at in range(len(forecast.steps))]


def scored(records: Sequence[ForecastRecord]) -> list[Scored]:
    """Forecasts with their errors in units of their series."""
    return [_scored(one) for one in records]


def _scored(one: ForecastRecord) -> Scored:
    came = np.array(one.actuals, dtype=np.float64)
    told, lower, upper, expected = (
        np.array([step[name] for step in one.steps], dtype=np.float64)
        for name in ("value", "lower", "upper", "expected_error")
    )
    return Scored(
        series=one.series,
        origin=one.origin,
        errors=np.abs(came - told) / one.scale,
        expected=expected,
        inside=(came >= lower) & (came <= upper),
    )
