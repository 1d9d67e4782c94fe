"""Columns that know the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from automl.leaks import Leak, suspected_leaks
from automl.schema import check, frame, infer
from automl.task import Task, TaskKind


def found(rows: pd.DataFrame, kind: TaskKind, y: Any | None = None) -> tuple[Leak, ...]:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    name = "rmse" if kind is TaskKind.REGRESSION else "roc_auc"
    schema, task = infer(table, Task(kind=kind, target="y", metric=name))
    typed = frame(check(table, schema, task).table, schema)
    if y is None:
        known = {str(label): at for at, label in enumerate(task.classes)}
        y = np.array([known[str(label)] for label in rows["y"]]) if known else rows["y"].to_numpy(dtype=float)
    return suspected_leaks(typed, y, schema=schema, task=task, seed=0)


def table(rows: int = 1_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame_ = pd.DataFrame({"size": rng.normal(size=rows), "city": rng.choice(["Rome", "Oslo", "Lima"], rows)})
    frame_["when"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows), unit="h")
    frame_["y"] = np.where(frame_["size"] + rng.normal(size=rows) > 0, "late", "in time")
    return frame_


def test_a_column_that_is_written_after_the_label_is_named_with_what_it_scores() -> None:
    rows = table()
    rows["refund"] = np.where(rows["y"] == "late", 20.0, 0.0) + np.random.default_rng(1).normal(
        size=len(rows)
    )
    (leak,) = found(rows, TaskKind.CLASSIFICATION)
    assert leak.column == "refund"
    assert leak.score > 0.99
    assert "refund alone predicts y" in leak.reason


def test_a_category_that_says_the_class_is_named_too_and_with_three_classes_also() -> None:
    rows = table()
    rows["y"] = np.random.default_rng(2).choice(["a", "b", "c"], len(rows))
    rows["status"] = "closed as " + rows["y"]
    (leak,) = found(rows, TaskKind.CLASSIFICATION)
    assert leak.column == "status"


@pytest.mark.parametrize("kind", [TaskKind.CLASSIFICATION, TaskKind.REGRESSION])
def test_honest_columns_are_not_suspected_even_where_they_say_much(kind: TaskKind) -> None:
    rows = table()
    if kind is TaskKind.REGRESSION:
        rows["y"] = 3 * rows["size"] + np.random.default_rng(1).normal(size=len(rows))
    assert found(rows, kind) == ()


def test_a_copy_of_a_number_in_another_unit_is_named() -> None:
    rows = table()
    rows["y"] = np.random.default_rng(3).gamma(2.0, size=len(rows))
    rows["cents"] = (rows["y"] * 100).round()
    (leak,) = found(rows, TaskKind.REGRESSION)
    assert leak.column == "cents"


def test_a_number_of_each_row_is_no_leak_and_few_rows_say_nothing() -> None:
    rows = table()
    rows["order"] = [f"order {at}" for at in range(len(rows))]
    assert found(rows, TaskKind.CLASSIFICATION) == ()
    few = table(40)
    few["same"] = few["y"]
    assert found(few, TaskKind.CLASSIFICATION) == ()
