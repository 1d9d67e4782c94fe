"""Which change of a row leads to another class: the nearest of those that were tried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.explain.counterfactual import Counterfactuals
from automl.task import TaskKind

COLUMNS = (
    Column(name="age", kind=ColumnKind.NUMERIC),
    Column(name="visits", kind=ColumnKind.NUMERIC),
    Column(name="city", kind=ColumnKind.CATEGORICAL),
    Column(name="note", kind=ColumnKind.TEXT),
)
SCHEMA = Schema(
    columns=COLUMNS, target=TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes"))
)
THIRTY = pa.table(
    {
        "age": [float(at) for at in range(30)],
        "visits": [float(at % 10) for at in range(30)],
        "city": ["Rome", "Oslo", "Rome"] * 10,
        "note": ["a word"] * 30,
    }
)
NAMES = [column.name for column in COLUMNS]


def by(points: Any) -> Counterfactuals:
    def score(table: pa.Table) -> Any:
        yes = np.array([points(row) for row in table.to_pylist()], dtype=float)
        return np.column_stack([1 - yes, yes])

    return Counterfactuals(THIRTY, SCHEMA, NAMES, score)


def row(age: float | None, visits: float, city: str) -> pa.Table:
    given = {"age": [age], "visits": [visits], "city": [city], "note": ["a word"]}
    return pa.table(given, schema=THIRTY.schema)


def test_of_thirty_rows_the_nearest_age_that_says_yes_is_told() -> None:
    """A dozen ages of 30 rows are tried: 0, 3, 5, 8, 11, 13, 16, 18, 21, 24, 26, 29. From 15 on it is yes; of a row of 4
    the nearest is 16, with 12 of 30 rows between."""
    found = by(lambda one: 0.9 if one["age"] is not None and one["age"] >= 15 else 0.1).of(
        row(4.0, 1.0, "Rome")
    )
    assert found is not None
    assert (found.columns, found.to, found.position) == (("age",), (16.0,), 1)
    assert round(found.distance, 6) == round(12 / 30, 6)


def test_a_category_is_changed_where_no_number_is_enough() -> None:
    found = by(lambda one: 0.8 if one["city"] == "Oslo" else 0.2).of(row(4.0, 1.0, "Rome"))
    assert found is not None
    assert (found.columns, found.to, found.distance) == (("city",), ("Oslo",), 1.0)


def test_two_columns_are_changed_where_one_is_not_enough() -> None:
    def points(one: Any) -> float:
        return 0.05 + 0.3 * (one["age"] >= 20) + 0.3 * (one["visits"] >= 5)

    found = by(points).of(row(4.0, 1.0, "Rome"))
    assert found is not None
    assert set(found.columns) == {"age", "visits"}
    told = dict(zip(found.columns, found.to, strict=True))
    assert told["age"] >= 20
    assert told["visits"] >= 5


def test_a_row_that_nothing_changes_has_none_and_a_missing_value_may_be_filled() -> None:
    assert by(lambda one: 0.1).of(row(4.0, 1.0, "Rome")) is None
    found = by(lambda one: 0.1 if one["age"] is None else 0.9).of(row(None, 1.0, "Rome"))
    assert found is not None
    assert found.columns == ("age",)
