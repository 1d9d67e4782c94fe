"""A project's rows as regular series: which column says when, which whose, which how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from automl.columns import Column, ColumnKind, Schema, scalar_text
from automl.errors import SeriesError
from automl.forecasting.panel import Panel, panel
from automl.forecasting.steps import Step
from automl.task import Task

Values = npt.NDArray[np.float64]
MOST_CATEGORIES = 20
"""Values of a covariate that become columns of their own."""


def series_in(
    table: pa.Table,
    labels: pa.ChunkedArray,
    task: Task,
    schema: Schema,
    *,
    step: Step | None = None,
    season: int | None = None,
) -> Panel:
    """The series of typed rows with their labels as text (null where unknown), in the order in which they arrived.

    Raises SeriesError where they make no series, naming the column at fault.
    """
    if task.time_column is None:
        raise SeriesError("a forecasting project needs a time column", column="time_column")
    columns, beside = covariates(table, task, schema)
    try:
        return panel(
            times_of(table, task.time_column),
            names_of(table, task),
            np.asarray(pc.cast(labels, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64),
            covariates=beside,
            covariate_names=columns,
            step=step,
            season=season,
        )
    except SeriesError as error:
        raise SeriesError(str(error), column=task.time_column, remedy=error.remedy) from None


def times_of(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """Moments (datetime64) or numbers. Raises SeriesError for a column that is neither."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype("datetime64[us]")
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    raise SeriesError(
        f"the time column {name!r} holds neither times nor numbers",
        column=name,
        remedy="send ISO 8601 times, or whole numbers",
    )


def names_of(table: pa.Table, task: Task) -> list[str] | None:
    """The series of each row; None where the project has one only."""
    if task.series_column is None:
        return None
    return ["" if value is None else scalar_text(value) for value in table[task.series_column].to_pylist()]


def covariates(table: pa.Table, task: Task, schema: Schema) -> tuple[tuple[str, ...], Values]:
    """Names and numbers of the covariates: a category has a column for each of its commonest values."""
    names: list[str] = []
    columns: list[Values] = []
    for name in task.covariates:
        for title, numbers in _numbers(table[name], schema.by_name[name]):
            names.append(title)
            columns.append(numbers)
    return tuple(names), np.column_stack(columns) if columns else np.zeros((len(table), 0))


def _numbers(column: pa.ChunkedArray, about: Column) -> list[tuple[str, Values]]:
    if about.kind in (ColumnKind.NUMERIC, ColumnKind.BOOLEAN):
        numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return [(about.name, np.asarray(numbers, dtype=np.float64))]
    if about.kind is not ColumnKind.CATEGORICAL:
        raise SeriesError(
            f"the covariate {about.name!r} is {about.kind.value}; numbers, booleans and categories are taken",
            column=about.name,
            remedy="send it as one of these, or leave it out of covariates",
        )
    text = np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)
    missing = np.array([value is None for value in text])
    return [
        (f"{about.name}={value}", np.where(missing, np.nan, (text == value).astype(np.float64)))
        for value in about.categories[:MOST_CATEGORIES]
    ]
