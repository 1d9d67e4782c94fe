"""Exhibits at hand: small tables with a model that answers by a formula, or a real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from automl.columns import Column, ColumnKind, Schema, TargetSpec
from automl.features import preprocessor
from automl.scoring import predictions
from automl.task import Task, TaskKind
from automl.trust.exhibit import Answers, Exhibit, Standing

CLASSES = TargetSpec(kind=TaskKind.CLASSIFICATION, type="text", classes=("no", "yes"))
NUMBERS = TargetSpec(kind=TaskKind.REGRESSION, type="number")
CLASSIFY = Task(
    kind=TaskKind.CLASSIFICATION, target="y", metric="accuracy", classes=("no", "yes"), sensitive=()
)
REGRESS = Task(kind=TaskKind.REGRESSION, target="y", metric="mae")


def schema_of(rows: pd.DataFrame, target: TargetSpec) -> Schema:
    """Numbers are numeric, times datetime, all else categories."""
    columns = []
    for name in rows.columns:
        dtype = rows[name].dtype
        numeric = pd.api.types.is_numeric_dtype(dtype)
        timed = pd.api.types.is_datetime64_any_dtype(dtype)
        kind = ColumnKind.NUMERIC if numeric else ColumnKind.DATETIME if timed else ColumnKind.CATEGORICAL
        columns.append(Column(name=name, kind=kind))
    return Schema(columns=tuple(columns), target=target)


def by_formula(rows: pd.DataFrame, formula: Callable[[pd.DataFrame], npt.NDArray[Any]]) -> Standing:
    """A model that is a function of the rows: of probabilities of the second class, or numbers of shape (n,)."""

    def ask(asked: pd.DataFrame) -> Answers:
        return np.asarray(formula(asked), dtype=np.float64)

    answers = ask(rows)
    return Standing(answers=answers, whole=answers, ask=ask, pipeline=Pipeline([("none", "passthrough")]))


def by_learning(
    train: pd.DataFrame,
    train_y: npt.NDArray[Any],
    rows: pd.DataFrame,
    schema: Schema,
    task: Task,
    model: Any = None,
) -> Standing:
    """A real pipeline with the house's own preprocessing."""
    pipeline = Pipeline(
        [*preprocessor(schema, task, seed=0).steps, ("model", model or LogisticRegression(max_iter=500))]
    )
    pipeline.fit(train, train_y)
    answers = predictions(pipeline, rows, task)
    return Standing(
        answers=answers,
        whole=answers,
        ask=lambda asked: predictions(pipeline, asked, task),
        pipeline=pipeline,
    )


def exhibit_of(
    rows: pd.DataFrame,
    y: npt.NDArray[Any],
    challenger: Standing,
    *,
    champion: Standing | None = None,
    task: Task = CLASSIFY,
    train: pd.DataFrame | None = None,
    train_y: npt.NDArray[Any] | None = None,
    **more: Any,
) -> Exhibit:
    """What checks are shown of these rows; they are their own training rows where there are no others."""
    target = CLASSES if task.is_classification else NUMBERS
    return Exhibit(
        task=task,
        schema=more.pop("schema", None) or schema_of(rows, target),
        metric=task.metric,
        rows=rows,
        y=y,
        whole=rows,
        whole_y=y,
        train=rows if train is None else train,
        train_y=y if train_y is None else train_y,
        champion=champion,
        challenger=challenger,
        seed=more.pop("seed", 7),
        **more,
    )
