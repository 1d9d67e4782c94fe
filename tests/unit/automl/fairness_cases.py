"""Rows in groups, and models that answer them as asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.frames import TEXT_DTYPE
from automl.task import Task, TaskKind
from automl.trust.audit import Audit, FairnessRule, audited
from automl.trust.groups import groupings

LATE = Task(
    kind=TaskKind.CLASSIFICATION, target="late", metric="roc_auc", classes=(False, True), sensitive=("sex",)
)
COLUMNS = Schema(
    columns=(
        Column(name="sex", kind=ColumnKind.CATEGORICAL),
        Column(name="age", kind=ColumnKind.NUMERIC),
        Column(name="who", kind=ColumnKind.CATEGORICAL),
    ),
    target=TargetSpec(kind=TaskKind.CLASSIFICATION, type="boolean", classes=(False, True)),
)


def words(values: Any) -> pd.Series[Any]:
    return pd.Series(pd.array(list(values), dtype=TEXT_DTYPE))


def of_two(positive: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.column_stack([1 - positive, positive]).astype(np.float64)


def thirty() -> tuple[pd.DataFrame, npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Sixteen rows of A and fourteen of B: (truth, told) pairs that one can count.

    A: 6 of 8 positives and 2 of 8 negatives are told positive; B: 2 of 7 and none of 7. Told positive is 0.8, else 0.2.
    """
    told = [1] * 6 + [0] * 2 + [1] * 2 + [0] * 6 + [1] * 2 + [0] * 5 + [0] * 7
    truth = [1] * 8 + [0] * 8 + [1] * 7 + [0] * 7
    rows = pd.DataFrame(
        {"sex": words(["A"] * 16 + ["B"] * 14), "age": np.arange(30.0), "who": words("x" * 30)}
    )
    return rows, np.array(truth), of_two(np.where(np.array(told) == 1, 0.8, 0.2))


def crowd(
    rows: int, *, shift: float, seed: int, groups: int = 2
) -> tuple[pd.DataFrame, npt.NDArray[Any], npt.NDArray[np.float64]]:
    """A truth that doesn't depend on the group, and a model that adds ``shift`` to the first group's log odds."""
    random = np.random.default_rng(seed)
    group, x = random.integers(0, groups, rows), random.normal(size=rows)
    y = (random.random(rows) < 1 / (1 + np.exp(-1.5 * x))).astype(int)
    p = 1 / (1 + np.exp(-1.5 * x - shift * (group == 0)))
    frame = pd.DataFrame({"sex": words(f"g{one}" for one in group), "age": x, "who": words("x" * rows)})
    return frame, y, of_two(p)


def audit(
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    rule: FairnessRule,
    task: Task = LATE,
    schema: Schema = COLUMNS,
    **models: npt.NDArray[np.float64],
) -> Audit:
    names = rule.audited(task)
    groups = groupings(rows, schema, names, bins=rule.bins, crossed=rule.intersections)
    return audited(models, rows, y, groups, task, rule, seed=7)
